"""The JSON shapes of usage over a range, and of what was told before."""

from typing import Literal

from pydantic import Field

from infra.contracts.utility import Utility
from serving.api.shapes import FigureQuality, LocalTime, Note, Shape, Sources, UtcTime
from serving.figures.usage_range import By

Cursor = str | None
A_CURSOR = "WyJ1c2FnZSIsImRheSJd"
NEXT = "cursor of the page that follows; null at the end"


class UsageItem(Shape):
    """Usage of one hour, day or month, cut to the range."""

    from_: LocalTime = Field(alias="from")
    to: LocalTime
    usage: int | None = Field(
        description="Wh or litres; null where no two registers prove it; notes say why", examples=[9214]
    )
    complete: bool = Field(description="all of the span, or all so far of the one that runs")
    quality: FigureQuality | None = Field(examples=["measured"])
    usage_estimated: int | None = Field(
        description="the part of `usage` in hours whose quality is not measured", examples=[0]
    )
    cost: int | None = Field(
        description="the energy in minor units of `currency`, rounded half to even; null where no price is "
        "known. Without standing charge and tax, which the invoice adds",
        examples=[147],
    )
    cost_micro: int | None = Field(
        description="the same in millionths of the minor unit, exact: these sum from hours to months",
        examples=[147_424_000],
    )
    cost_complete: bool = Field(
        description="all of the span is priced; usage after `truth_until` is priced by the next night"
    )
    source: Literal["truth", "live", "truth+live"] | None
    revised_at: UtcTime | None = Field(
        description="when a published figure of a night that the span touches was last replaced, if any was"
    )
    revised_reason: str | None = Field(description="why", examples=["late data"])


class UsageRange(Shape):
    """One utility's usage of a range of local dates, divided by the household's own calendar."""

    user_id: int = Field(examples=[10_000_042])
    utility: Utility
    unit: Literal["Wh", "L"]
    by: By
    zone: str = Field(examples=["America/New_York"])
    from_: str = Field(alias="from", description="the first local date", examples=["2026-03-01"])
    to: str = Field(description="the local date after the last", examples=["2026-04-01"])
    currency: str | None = Field(description="ISO 4217; null where no night told it yet", examples=["USD"])
    as_of: UtcTime
    truth_until: UtcTime | None
    sources: Sources
    notes: list[Note]
    items: list[UsageItem] = Field(description="ascending; spans that have not begun are left out")
    next: Cursor = Field(description=NEXT, examples=[A_CURSOR])


class SameDayLastWeek(Shape):
    """The same weekday of the week before."""

    date: str = Field(description="local", examples=["2026-03-01"])
    usage: int | None = Field(description="of all that day; null where it is not known", examples=[9_102])


class SoFar(Shape):
    """Today and the days it is compared with, each from its midnight until its clock shows one time."""

    until: LocalTime = Field(
        description="that time today: the end of the last full hour that is known; midnight where none is"
    )
    today: int | None = Field(description="null where not all until then is known", examples=[5_020])
    yesterday: int | None = Field(examples=[4_871])
    same_day_last_week: int | None = Field(examples=[5_214])


class Month(Shape):
    """The household's local month so far."""

    from_: str = Field(alias="from", description="its first local date", examples=["2026-03-01"])
    to: str = Field(description="the first of the next", examples=["2026-04-01"])
    usage: int | None = Field(description="Wh or litres, up to now", examples=[88_214])
    complete: bool = Field(description="all of the month so far is known")
    cost: int | None = Field(
        description="the energy up to `truth_until` in minor units, without standing charge and tax; null "
        "where a price is not known",
        examples=[1_612],
    )
    cost_forecast: int | None = Field(
        description="`cost`, and for the days that are left the mean of the last complete days, 28 at most; "
        "null where fewer than 3 are known",
        examples=[6_120],
    )
    currency: str | None = Field(examples=["USD"])
    days_counted: int = Field(description="complete days that the forecast's mean is of", examples=[28])


class UtilitySummary(Shape):
    """One utility's month, the same day of last week, and today so far beside the days before it."""

    unit: Literal["Wh", "L"]
    so_far: SoFar
    same_day_last_week: SameDayLastWeek
    month: Month


class UtilitySummaries(Shape):
    """The three utilities of a household."""

    electricity: UtilitySummary
    gas: UtilitySummary
    water: UtilitySummary


class HouseholdSummary(Shape):
    """A household's month with its forecast, and today beside other days: what changes by the hour."""

    user_id: int = Field(examples=[10_000_042])
    zone: str = Field(examples=["America/New_York"])
    currency: str | None = Field(examples=["USD"])
    as_of: UtcTime
    truth_until: UtcTime | None
    sources: Sources
    notes: list[Note]
    utilities: UtilitySummaries
