"""Conservation: what the users used is what their dials moved, what the hours hold, what the regions used.

    usage = last register - first register                          of each meter's dial
            + rolled over + reset + exchanged                       where a dial began anew
            + estimated - quarantined                               what no dial showed, what no user used

The sums must agree per utility, to the unit; a broken equation refuses the night and names users.
"""

import dataclasses
from collections.abc import Iterable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch.night import NightRefused
from infra.contracts import master_data
from infra.contracts.nightly import HOUR_COLUMNS

USERS_NAMED_MAX = 5
HOURS_SUM = " + ".join(HOUR_COLUMNS)
ESTIMATED = "open_end - open_start - restated"
REGISTERS = f"raw_end - raw_start + turned + reset + exchanged - quarantined + {ESTIMATED}"
ROW_BROKEN = (
    f"usage_total <> {REGISTERS} OR usage_total <> register_end - register_start"
    f" OR usage_total <> {HOURS_SUM} OR LEAST({', '.join(HOUR_COLUMNS)}) < 0"
)


@dataclasses.dataclass(frozen=True)
class RegionTotal:
    """The sums over one utility in one region; `known_region` is False where master data lacks it."""

    utility: str
    region: str | None
    known_region: bool
    rows: int
    usage_total: int
    register_difference: int
    """What the dials moved, with what is estimated and without what is quarantined."""
    hours_total: int
    estimated: int
    quarantined: int
    rows_broken: int  # rows at odds with themselves, which a sum could hide by cancelling


def region_totals(rows: DataFrame, regions: DataFrame) -> list[RegionTotal]:
    """Sum the rows of known users by utility and region; a few hundred totals, not rows."""
    sums = (
        rows.where("known")
        .groupBy("utility", "region")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.sum("usage_total").alias("usage_total"),
            F.expr(f"SUM({REGISTERS}) AS register_difference"),
            F.expr(f"SUM({HOURS_SUM}) AS hours_total"),
            F.expr(f"SUM({ESTIMATED}) AS estimated"),
            F.expr("SUM(quarantined) AS quarantined"),
            F.expr(f"COUNT_IF({ROW_BROKEN}) AS rows_broken"),
        )
    )
    known = regions.select("region", F.lit(True).alias("known_region")).distinct()
    totals = sums.join(F.broadcast(known), "region", "left").na.fill({"known_region": False})
    return [RegionTotal(**row.asDict()) for row in totals.collect()]


def broken_equations(totals: Iterable[RegionTotal]) -> list[str]:
    """Return one phrase a utility whose four sums differ; none if the night conserves."""
    totals = list(totals)
    phrases = []
    for utility in sorted({total.utility for total in totals}):
        of_utility = [total for total in totals if total.utility == utility]
        sums = {
            "users": sum(total.usage_total for total in of_utility),
            "registers": sum(total.register_difference for total in of_utility),
            "hours": sum(total.hours_total for total in of_utility),
            "regions": sum(total.usage_total for total in of_utility if total.known_region),
        }
        own = any(total.rows_broken or not total.known_region for total in of_utility)
        if len(set(sums.values())) > 1 or own:
            figures = ", ".join(f"{name} {value}" for name, value in sums.items())
            phrases.append(f"{utility}: {figures}")
    return phrases


def assert_conserved(rows: DataFrame, regions: DataFrame) -> list[RegionTotal]:
    """Return the totals by region of a night that conserves.

    :raises NightRefused: with the sums and up to five users whose rows break them.
    """
    totals = region_totals(rows, regions)
    broken = broken_equations(totals)
    if broken:
        users = ", ".join(str(user_id) for user_id in _users_to_blame(rows, regions))
        unknown = sorted({str(total.region) for total in totals if not total.known_region})
        where = f"; {master_data.REGIONS_PATH} does not know {', '.join(unknown)}" if unknown else ""
        raise NightRefused(f"conservation fails ({'; '.join(broken)}); users {users or 'unknown'}{where}")
    return totals


def _users_to_blame(rows: DataFrame, regions: DataFrame) -> list[int]:
    """Return the least ids among users whose own row breaks an equation."""
    own = rows.where("known").join(
        F.broadcast(regions.select("region", F.lit(True).alias("known_region")).distinct()), "region", "left"
    )
    wrong = own.where(f"known_region IS NULL OR {ROW_BROKEN}")
    users = wrong.select("user_id").distinct().orderBy("user_id").limit(USERS_NAMED_MAX).collect()
    return [row["user_id"] for row in users]
