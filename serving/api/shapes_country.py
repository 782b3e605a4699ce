"""The JSON shapes of regions and the country over time, and of the quality of nights."""

from typing import Literal

from pydantic import Field

from infra.contracts.utility import Utility
from serving.api.shapes import Note, Region, Shape, Sources, UtcTime
from serving.api.shapes_usage import A_CURSOR, NEXT, Cursor


class RegionNow(Region):
    """One region's use now."""

    as_of: UtcTime
    sources: Sources
    notes: list[Note]


class RegionUsageItem(Shape):
    """What a region, or the country, used in a UTC hour or day."""

    from_: UtcTime = Field(alias="from")
    to: UtcTime
    usage: int | None = Field(
        description="Wh or litres; null where the night is not published, or the region, or all, not shown",
        examples=[58_220_114],
    )
    users: int | None = Field(description="whose usage it is", examples=[41_207])
    users_estimated: int | None = Field(
        description="of a day: how many of them have hours with usage that is not measured; null by hour",
        examples=[112],
    )
    usage_estimated: int | None = Field(
        description="of a day of the country: the usage in those hours; null by hour, of a region, and of "
        "fewer than 15 users",
        examples=[12_044],
    )


class CountryUsage(Shape):
    """The country's published usage over UTC days."""

    utility: Utility
    unit: Literal["Wh", "L"]
    by: Literal["hour", "day"]
    from_: str = Field(alias="from", description="the first UTC day", examples=["2026-03-01"])
    to: str = Field(description="the UTC day after the last", examples=["2026-04-01"])
    as_of: UtcTime
    truth_until: UtcTime | None
    sources: Sources
    notes: list[Note]
    items: list[RegionUsageItem] = Field(description="ascending; days after the newest night are left out")
    next: Cursor = Field(description=NEXT, examples=[A_CURSOR])


class RegionUsage(CountryUsage):
    """A region's published usage over UTC days."""

    region: str = Field(examples=["US-NY"])


class LoadItem(Shape):
    """A summed rate by utility: W, L/h, L/h; null where nothing tells it."""

    from_: UtcTime = Field(alias="from")
    electricity: int | None = Field(examples=[912_004_551])
    gas: int | None = Field(examples=[48_113_900])
    water: int | None = Field(examples=[20_114_550])


class CountryLoad(Shape):
    """The country's load over the last day, and today's forecast."""

    as_of: UtcTime
    truth_until: UtcTime | None
    sources: Sources
    notes: list[Note]
    step_s: int = Field(description="of `items`", examples=[300])
    items: list[LoadItem] = Field(description="ascending, 24 hours up to the 5 minutes that run")
    forecast_from: str | None = Field(
        description="the night whose course the forecast follows; null without any", examples=["2026-03-08"]
    )
    forecast: list[LoadItem] = Field(description="the mean rate of each UTC hour of today; empty without any")


class UtilityAmounts(Shape):
    """An amount a utility: Wh, litres, litres; null where it is of fewer than 15 users."""

    electricity: int | None = Field(examples=[912_004_551])
    gas: int | None = Field(examples=[48_113_900])
    water: int | None = Field(examples=[20_114_550])


class NightItem(Shape):
    """A published night: a UTC day."""

    night: str = Field(examples=["2026-03-08"])
    truth_until: UtcTime
    published_at: UtcTime
    users: int = Field(examples=[802_113])
    heartbeats: int = Field(description="that were counted", examples=[41_207_113_002])
    usage: UtilityAmounts
    usage_estimated: UtilityAmounts = Field(
        description="the part in hours whose quality is not measured; null where fewer than 15 users have any"
    )
    restated_from: str = Field(
        description="the earliest night that its run published rows of", examples=["2026-03-06"]
    )
    checksum: str = Field(description="over all its rows, whatever their order", examples=["812004551223341"])


class RuleCount(Shape):
    """How often a rule found something."""

    rule: str = Field(examples=["gap"])
    count: int = Field(examples=[812])
    users: int = Field(examples=[790])
    amount: int | None = Field(
        description="the usage concerned, of all utilities; null of fewer than 15 users", examples=[48_220]
    )


class ReconciliationCount(Shape):
    """How often one answer of stream, meter and the utility's own read won over the others."""

    utility: Utility
    winner: Literal["billing", "validated", "estimated"]
    reason: str = Field(examples=["utility read"])
    rows: int = Field(examples=[41])
    users: int = Field(examples=[41])
    difference_total: int | None = Field(
        description="the greatest answer less the least, summed over the rows; null of fewer than 15 users",
        examples=[9_214],
    )


class RevisedCount(Shape):
    """How many published rows the night's run replaced."""

    reason: str = Field(examples=["late data"])
    rows: int = Field(examples=[112])
    nights: int = Field(description="whose rows they are", examples=[2])


class Quality(NightItem):
    """How well a night is known: what validation found, who was right, and what changed."""

    as_of: UtcTime
    sources: Sources
    notes: list[Note]
    findings: list[RuleCount]
    reconciliation: list[ReconciliationCount]
    revised: list[RevisedCount]


class Nights(Shape):
    """Published nights, the newest first."""

    as_of: UtcTime
    sources: Sources
    notes: list[Note]
    items: list[NightItem]
    next: Cursor = Field(description=NEXT, examples=[A_CURSOR])
