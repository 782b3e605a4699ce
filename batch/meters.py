"""Master data for a night: one row a user and utility with all that validation and pricing ask of it."""

import dataclasses
import functools

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch.literal_rows import literal_rows
from batch.local_hours import OPEN_DAY
from batch.night import Night, NightRefused
from batch.tariffs import ROWS_NAMED_MAX, Tariffs
from batch.usage import METER, UTILITY_CODE
from infra.contracts import master_data
from infra.contracts.utility import UTILITIES

# Object and key by frame.
KEYS = {
    "users": (master_data.USERS_PATH, ["user_id"]),
    "regions": (master_data.REGIONS_PATH, ["region"]),
    "meters": (master_data.METERS_PATH, ["meter_id"]),
    "agreements": (master_data.AGREEMENTS_PATH, [*METER, "moved_in_on"]),
    "reads": (master_data.READS_PREFIX, METER),
}
# What is assumed of a meter that master data know only the user of: nothing that a rule could find, and no
# usage whose cost is too great for 64 bits.
DIAL_UNKNOWN = 1 << 50
RATE_UNKNOWN = 1 << 33


@dataclasses.dataclass(frozen=True)
class MasterFrames:
    """Master data as Spark holds them, in the contract's columns; `reads` may have no row."""

    users: DataFrame
    regions: DataFrame
    meters: DataFrame
    agreements: DataFrame
    reads: DataFrame

    def once(self) -> "MasterFrames":
        """Return the same without rows that say the same twice. One job, if there are none.

        :raises NightRefused: naming the object and ids of which rows lack something or contradict each other.
        """
        frames = {name: getattr(self, name) for name in KEYS}
        keyed = [
            frame.selectExpr(
                f"'{name}' AS name",
                f"XXHASH64({', '.join(KEYS[name][1])}) AS key",
                f"{_unusable(frame)} AS unusable",
            )
            for name, frame in frames.items()
        ]
        counted = functools.reduce(DataFrame.unionAll, keyed).groupBy("name")
        rows = counted.agg(
            F.expr("COUNT(1) AS rows"),
            F.expr("COUNT(DISTINCT key) AS keys"),
            F.expr("COUNT_IF(unusable) AS unusable"),
        ).collect()
        for name in sorted(row["name"] for row in rows if row["unusable"]):
            path, key = KEYS[name]
            wrong = frames[name].where(_unusable(frames[name])).orderBy(*key)
            raise NightRefused(
                f"{path} has rows that lack a value or are of an unknown kind or utility: "
                f"{' and '.join(key)} {_named(wrong, key)}"
            )
        doubled = [row["name"] for row in rows if row["rows"] > row["keys"]]
        return dataclasses.replace(self, **{name: _once(frames[name], *KEYS[name]) for name in doubled})


def meters_of(spark: SparkSession, master: MasterFrames, tariffs: Tariffs, night: Night) -> DataFrame:
    """Return one row a user and utility (as its code); see the columns selected at the end."""
    meters = _serving(master.meters.withColumn("utility", F.expr(UTILITY_CODE)), night)
    stays = _stays(spark, master.agreements, tariffs).withColumn("utility", F.expr(UTILITY_CODE))
    reads = master.reads.selectExpr("user_id", f"{UTILITY_CODE} AS utility", "register AS read")
    utilities = literal_rows(spark, [(one.code,) for one in UTILITIES], "utility INT")
    users = master.users.select("user_id", "kind", "zone", "region").crossJoin(F.broadcast(utilities))
    joined = users.join(meters, METER, "left").join(stays, METER, "left").join(reads, METER, "left")
    return joined.selectExpr(
        *METER,
        "TRUE AS known",
        "kind = 'home' AS home",
        "zone",
        "region",
        f"COALESCE(register_max + 1, {DIAL_UNKNOWN}L) AS dial",
        f"COALESCE(rate_max, {RATE_UNKNOWN}L) AS rate_max",
        "exchange_at",
        "exchange_final",
        "exchange_initial",
        "read",
        "stays",
    )


def _serving(meters: DataFrame, night: Night) -> DataFrame:
    """Return each user's meter as of a night's end, and how it was exchanged within the night, if it was."""
    start, end = f"{night.start_ms}L", f"{night.end_ms}L"
    there = meters.where(f"installed_at < {end} AND (removed_at IS NULL OR removed_at >= {start})")
    folded = there.groupBy(*METER).agg(
        F.expr("MAX_BY(register_max, installed_at) AS register_max"),
        F.expr("MAX_BY(rate_max, installed_at) AS rate_max"),
        F.expr(f"MAX(installed_at) FILTER (WHERE installed_at >= {start}) AS installed_at"),
        F.expr("MAX_BY(register_initial, installed_at) AS initial"),
        F.expr(f"MAX_BY(register_final, removed_at) FILTER (WHERE removed_at < {end}) AS final"),
    )
    exchanged = "installed_at IS NOT NULL AND final IS NOT NULL"
    return folded.selectExpr(
        *METER,
        "register_max",
        "rate_max",
        f"CASE WHEN {exchanged} THEN installed_at - {start} END AS exchange_at",
        f"CASE WHEN {exchanged} THEN final END AS exchange_final",
        f"CASE WHEN {exchanged} THEN initial END AS exchange_initial",
    )


def _stays(spark: SparkSession, agreements: DataFrame, tariffs: Tariffs) -> DataFrame:
    """Return each meter's agreements as a list `stays` of (plan's place, first day, day after)."""
    places = [(plan.name, plan.utility, place) for place, plan in enumerate(tariffs.plans)]
    plans = literal_rows(spark, places, "plan STRING, utility STRING, place BIGINT")
    for row in agreements.select("plan", "utility").distinct().collect():
        if tariffs.place(row["plan"], row["utility"]) < 0:
            raise NightRefused(
                f"{master_data.AGREEMENTS_PATH} has agreements by plan {row['plan']!r} for {row['utility']}, "
                f"which {master_data.TARIFFS_PATH} does not price"
            )
    placed = agreements.join(F.broadcast(plans), ["plan", "utility"])
    stay = (
        "STRUCT(place, CAST(UNIX_DATE(moved_in_on) AS BIGINT) AS moved_in,"
        f" CAST(COALESCE(UNIX_DATE(moved_out_on), {OPEN_DAY}) AS BIGINT) AS moved_out)"
    )
    return placed.groupBy(*METER).agg(F.expr(f"SORT_ARRAY(COLLECT_LIST({stay})) AS stays"))


def _once(frame: DataFrame, path: str, key: list[str]) -> DataFrame:
    distinct = frame.distinct()
    named = _named(distinct.groupBy(*key).count().where("count > 1").orderBy(*key), key)
    if named:
        raise NightRefused(f"{path} has rows that contradict each other for {' and '.join(key)} {named}")
    return distinct


def _unusable(frame: DataFrame) -> str:
    """Return the condition for rows that lack a value, or have a word that the contract does not know."""
    lacking = [f"{name} IS NULL" for name in frame.columns if name not in master_data.NULLABLE]
    words = {"utility": UTILITIES, "kind": master_data.KINDS}
    unknown = [
        f"{name} NOT IN ({', '.join(repr(str(word)) for word in known)})"
        for name, known in words.items()
        if name in frame.columns
    ]
    return f"({' OR '.join([*lacking, *unknown])})"


def _named(rows: DataFrame, key: list[str]) -> str:
    """Return the keys of the first few rows."""
    first = rows.limit(ROWS_NAMED_MAX).collect()
    return ", ".join(" ".join(str(row[column]) for column in key) for row in first)
