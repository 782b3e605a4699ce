"""Heartbeats to meters' hours, and those to one row a meter: the pass over the archive, in Spark's own code.

A register is cumulative, so lost, doubled and reordered heartbeats cost nothing: of an hour it takes the
first and the last heartbeat, and the least and the greatest register between. Grouping by phase (`sent_at`
modulo the interval) makes the 5 s slot of a heartbeat stand for its `sent_at` one to one, so that a bit a
slot counts heartbeats exactly in the same pass, and heartbeats by another clock stand apart. Keys and orders
are packed into one number each: Spark hashes and compares one faster than four.
"""

import contextlib
from collections.abc import Iterator

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch.night import Night
from infra.contracts.durations import HOUR_MS
from infra.contracts.heartbeat import INTERVAL_MS, REGISTER_MAX
from infra.contracts.utility import UTILITIES

METER = ["user_id", "utility"]
# The utility's code in place of its word.
UTILITY_CODE = "CASE utility " + " ".join(f"WHEN '{one}' THEN {one.code}" for one in UTILITIES) + " END"
WORD_BITS = 64
WORDS = -(-HOUR_MS // INTERVAL_MS // WORD_BITS)
PHASE_BITS, HOUR_BITS, UTILITY_BITS = 13, 5, 2
REGISTER_BITS = REGISTER_MAX.bit_length()
# What one meter's hour by one clock comes to; `first` and `last` hold (slot, register), the slot first.
HOUR_FIELDS = (
    "hour",
    "phase",
    "first",
    "last",
    "least",
    "greatest",
    "rate_min",
    "rate_max",
    "rate_sum",
    "heartbeats_read",
    "heartbeats",
)


def meter_hours(heartbeats: DataFrame, night: Night) -> DataFrame:
    """Fold heartbeats (`utility` as its code) to one row a user, utility, hour and phase.

    The key is null for heartbeats that are unsound: a field is missing or `sent_at` is not of the day.
    """
    with _unchecked(heartbeats.sparkSession):
        return _meter_hours(heartbeats, night)


@contextlib.contextmanager
def _unchecked(spark: SparkSession) -> Iterator[None]:
    """Build expressions whose arithmetic wraps: checking every sum for overflow costs a third of the pass.

    Nothing here can overflow but the time since the day's start, and no instant of another day wraps into it.
    """
    before = spark.conf.get("spark.sql.ansi.enabled")
    spark.conf.set("spark.sql.ansi.enabled", "false")
    try:
        yield
    finally:
        spark.conf.set("spark.sql.ansi.enabled", str(before))


def _meter_hours(heartbeats: DataFrame, night: Night) -> DataFrame:
    since = f"(sent_at - {night.start_ms}L)"
    key = (
        f"SHIFTLEFT(user_id, {UTILITY_BITS + HOUR_BITS + PHASE_BITS})"
        f" | SHIFTLEFT(CAST(utility AS BIGINT), {HOUR_BITS + PHASE_BITS})"
        f" | SHIFTLEFT({since} DIV {HOUR_MS}, {PHASE_BITS}) | sent_at % {INTERVAL_MS}"
    )
    beats = heartbeats.selectExpr(
        f"CASE WHEN {_sound(night)} THEN {key} END AS key",
        f"CAST({since} % {HOUR_MS} DIV {INTERVAL_MS} AS INT) AS slot",
        "register",
        "CAST(rate AS BIGINT) AS rate",
    ).selectExpr(
        "key",
        "register",
        "rate",
        f"SHIFTLEFT(CAST(slot AS BIGINT), {REGISTER_BITS}) | register AS in_order",
        f"CAST(slot DIV {WORD_BITS} AS INT) AS word",
        f"SHIFTLEFT(1L, slot % {WORD_BITS}) AS bit",
    )
    words = [f"BIT_OR(IF(word = {word}, bit, 0L))" for word in range(WORDS)]
    folded = beats.groupBy("key").agg(
        F.expr("MIN(in_order) AS first"),
        F.expr("MAX(in_order) AS last"),
        F.expr("MIN(register) AS least"),
        F.expr("MAX(register) AS greatest"),
        F.expr("MIN(rate) AS rate_min"),
        F.expr("MAX(rate) AS rate_max"),
        F.expr("SUM(rate) AS rate_sum"),
        F.expr("COUNT(1) AS heartbeats_read"),
        F.expr(" + ".join(f"BIT_COUNT({word})" for word in words)).alias("heartbeats"),
    )
    utility_and_below = UTILITY_BITS + HOUR_BITS + PHASE_BITS
    return folded.selectExpr(
        f"SHIFTRIGHT(key, {utility_and_below}) AS user_id",
        f"CAST({_bits('key', HOUR_BITS + PHASE_BITS, UTILITY_BITS)} AS INT) AS utility",
        f"{_bits('key', PHASE_BITS, HOUR_BITS)} AS hour",
        f"{_bits('key', 0, PHASE_BITS)} AS phase",
        *HOUR_FIELDS[2:-1],
        "CAST(heartbeats AS BIGINT) AS heartbeats",
    )


def meter_rows(hours: DataFrame) -> DataFrame:
    """Gather a meter's hours: one row a user and utility with a list `hours` of HOUR_FIELDS, BIGINT each."""
    fields = ", ".join(HOUR_FIELDS)
    return hours.groupBy(*METER).agg(F.expr(f"COLLECT_LIST(STRUCT({fields})) AS hours"))


def sound(night: Night) -> str:
    """Return the condition that a heartbeat has all its fields and was sent on the day; never null."""
    return f"COALESCE({_sound(night)}, FALSE)"


def _bits(column: str, low: int, width: int) -> str:
    return f"(SHIFTRIGHT({column}, {low}) & {(1 << width) - 1}L)"


def _sound(night: Night) -> str:
    return (
        "user_id IS NOT NULL AND rate IS NOT NULL"
        f" AND register BETWEEN 0 AND {REGISTER_MAX}L"
        f" AND sent_at BETWEEN {night.start_ms}L AND {night.end_ms - 1}L"
    )


assert (HOUR_MS // INTERVAL_MS).bit_length() + REGISTER_BITS < 63
assert len(UTILITIES) <= 1 << UTILITY_BITS
assert INTERVAL_MS <= 1 << PHASE_BITS
