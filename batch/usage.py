"""Usage from registers: heartbeats in, one row a user, utility and UTC day out.

A register is cumulative, so the usage of an hour is the register as of its end less the register as
of its start; lost, doubled and reordered heartbeats cost nothing. What remains to be counted are
distinct heartbeats. Grouping by phase (`sent_at` modulo the interval) makes the 5 s slot of a
heartbeat stand for its `sent_at` one to one, so that a bit a slot counts them exactly in the same pass.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch.night import DAY_MS, HOUR_MS, Night
from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.nightly import HOUR_COLUMNS, USAGE_DAYS_COLUMNS

METER = ["user_id", "utility"]
WORD_BITS = 64
WORDS = -(-HOUR_MS // INTERVAL_MS // WORD_BITS)
# An instant within an hour takes 22 bits of an order, the register's low bits the rest: two registers
# at one instant are told apart up to 2**41 (2 TWh). One number sorts faster than a structure.
TIE_BITS = 41
TIE_MASK = (1 << TIE_BITS) - 1
MARKS = tuple(f"mark_{column}" for column in HOUR_COLUMNS)
ENDS = tuple(f"end_{column}" for column in HOUR_COLUMNS)
FIRSTS = tuple(f"first_{column}" for column in HOUR_COLUMNS)


def meter_hours(heartbeats: DataFrame, night: Night) -> DataFrame:
    """Fold heartbeats (columns of the archive) to one row a user, utility, UTC hour and phase.

    `hour` is null for heartbeats that are unsound: a field is missing or `sent_at` is not of the day.
    """
    since = _since(night)
    beats = heartbeats.selectExpr(
        *METER,
        "sent_at",
        "register",
        f"CASE WHEN {_sound(night)} THEN CAST({since} DIV {HOUR_MS} AS INT) END AS hour",
        f"CAST(sent_at % {INTERVAL_MS} AS INT) AS phase",
        f"CAST({since} % {HOUR_MS} DIV {INTERVAL_MS} AS INT) AS slot",
        f"SHIFTLEFT({since} % {HOUR_MS}, {TIE_BITS}) AS instant",
        f"register & {TIE_MASK}L AS low",
    )
    words = [
        f"BIT_OR(CASE WHEN slot DIV {WORD_BITS} = {word} THEN SHIFTLEFT(1L, slot % {WORD_BITS}) ELSE 0L END)"
        for word in range(WORDS)
    ]
    return beats.groupBy(*METER, "hour", "phase").agg(
        F.expr("MIN(sent_at) AS first_sent_at"),
        F.expr("MAX(sent_at) AS last_sent_at"),
        F.expr(f"MIN(instant | ({TIE_MASK}L - low)) AS first_order"),
        F.expr(f"MIN_BY(register, instant | ({TIE_MASK}L - low)) AS first_register"),
        F.expr("MAX(instant | low) AS last_order"),
        F.expr("MAX_BY(register, instant | low) AS last_register"),
        F.expr("MAX(register) AS greatest_register"),
        F.expr("COUNT(1) AS heartbeats_read"),
        F.expr(" + ".join(f"BIT_COUNT({word})" for word in words)).alias("heartbeats"),
    )


def meter_days(hours: DataFrame) -> DataFrame:
    """Fold meter hours to one row a user and utility: 24 first registers, 24 marks, counts.

    A mark is the last register of its hour, null where the meter was silent.
    """
    marks = [
        F.expr(f"MAX_BY(last_register, last_order) FILTER (WHERE hour = {hour})").alias(MARKS[hour])
        for hour in range(24)
    ]
    firsts = [
        F.expr(f"MIN_BY(first_register, first_order) FILTER (WHERE hour = {hour})").alias(FIRSTS[hour])
        for hour in range(24)
    ]
    return hours.groupBy(*METER).agg(
        *marks,
        *firsts,
        F.min("first_sent_at").alias("first_sent_at"),
        F.max("last_sent_at").alias("last_sent_at"),
        F.sum("heartbeats_read").alias("heartbeats_read"),
        F.sum("heartbeats").alias("heartbeats"),
        F.expr("COALESCE(SUM(heartbeats_read) FILTER (WHERE hour IS NULL), 0) AS unsound"),
        F.expr("BOOL_OR(greatest_register > last_register) AS fell"),
    )


def usage_days(days: DataFrame, previous: DataFrame, users: DataFrame) -> DataFrame:
    """Difference registers: the contract's columns save `night`, and what the summary needs.

    `previous` holds the rows of the night before (none on the first). A meter silent all day carries
    its register and its `last_sent_at`. Further columns: `region` and `known` (from master data),
    `heartbeats_read`, `unsound`, `fell` (a register went down; a dip that recovers within one hour
    and phase is not seen).
    """
    carried = previous.select(
        *METER,
        F.col("register_end").alias("carried_register"),
        F.col("last_sent_at").alias("carried_sent_at"),
    )
    first = F.coalesce(*(F.col(column) for column in FIRSTS))
    # Spark keeps an expression used more than once only if it is a column of its own.
    started = days.join(carried, METER, "full").withColumn(
        "register_start", F.coalesce(F.col("carried_register"), first)
    )
    ended = started.select(*started.columns, *(_as_of_end(hour).alias(ENDS[hour]) for hour in range(24)))
    befores = ("register_start", *ENDS[:-1])
    rows = ended.select(
        *METER,
        "register_start",
        F.col(ENDS[-1]).alias("register_end"),
        F.when(F.col("carried_register").isNull(), F.col("first_sent_at")).alias("first_sent_at"),
        F.coalesce("last_sent_at", "carried_sent_at").alias("last_sent_at"),
        *(_or_zero(column) for column in ("heartbeats", "heartbeats_read", "unsound")),
        F.coalesce("fell", F.lit(False)).alias("fell"),
        *(
            (F.col(end) - F.col(before)).alias(column)
            for end, before, column in zip(ENDS, befores, HOUR_COLUMNS, strict=True)
        ),
    )
    fell = F.expr(f"fell OR LEAST({', '.join(HOUR_COLUMNS)}) < 0")
    return (
        rows.withColumn("usage_total", F.expr(" + ".join(HOUR_COLUMNS)))
        .withColumn("fell", fell)
        .join(users.select("user_id", "region", F.lit(True).alias("known")), "user_id", "left")
        .withColumn("known", F.coalesce("known", F.lit(False)))
    )


def published_rows(rows: DataFrame, night: Night) -> DataFrame:
    """Return the rows of known users in the contract's columns and order; `night` is text."""
    known = rows.where("known").withColumn("night", F.lit(str(night)))
    return known.select(*USAGE_DAYS_COLUMNS)


def sound(night: Night) -> Column:
    """Whether a heartbeat has all its fields and was sent on the night's day; never null."""
    return F.expr(f"COALESCE({_sound(night)}, FALSE)")


def counts(rows: DataFrame) -> dict[str, int]:
    """Return what the rows of `usage_days` count, by the names of the report; `unsound` besides."""
    [row] = rows.selectExpr(
        "COUNT(DISTINCT user_id) FILTER (WHERE known) AS users",
        "COUNT(1) FILTER (WHERE known) AS rows",
        "SUM(heartbeats) FILTER (WHERE known) AS heartbeats",
        "SUM(heartbeats_read - heartbeats) FILTER (WHERE known) AS doubled",
        "SUM(heartbeats_read) FILTER (WHERE NOT known) AS set_aside",
        "COUNT(1) FILTER (WHERE known AND heartbeats_read = 0) AS silent",
        "COUNT(1) FILTER (WHERE known AND fell) AS fell",
        "SUM(unsound) AS unsound",
    ).collect()
    return {name: int(value or 0) for name, value in row.asDict().items()}


def newest_sent_at(rows: DataFrame) -> dict[str, int]:
    """Return when the newest heartbeat of each utility that was heard was sent, over all known users."""
    heard = rows.where("known AND heartbeats_read > 0")
    newest = heard.groupBy("utility").agg(F.max("last_sent_at").alias("sent_at"))
    return {row["utility"]: row["sent_at"] for row in newest.collect()}


def _since(night: Night) -> str:
    return f"(sent_at - {night.start_ms}L)"


def _sound(night: Night) -> str:
    since = _since(night)
    return f"user_id IS NOT NULL AND register IS NOT NULL AND {since} >= 0 AND {since} < {DAY_MS}"


def _as_of_end(hour: int) -> Column:
    """Return the register as of an hour's end: its mark, or the last one before it."""
    return F.coalesce(*(F.col(column) for column in reversed(MARKS[: hour + 1])), F.col("register_start"))


def _or_zero(column: str) -> Column:
    return F.coalesce(F.col(column), F.lit(0)).alias(column)
