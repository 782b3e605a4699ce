"""The JSON shapes of the API as OpenAPI tells them. `render` fills them; a test holds both together."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.sources import StoreState

LocalTime = Annotated[str, Field(examples=["2026-03-08T03:00:00-04:00"])]
UtcTime = Annotated[str, Field(examples=["2026-03-08T18:03:05.000Z"])]
Note = Annotated[
    str, Field(examples=["today: meter first heard at 2026-03-08T09:12:40-04:00, counted from there"])
]


class Shape(BaseModel):
    """What all shapes share: no unknown field, no number read from text."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


class HourUsage(Shape):
    """Usage of one hour; null where a register at either end is not known, or the hour is to come."""

    from_: LocalTime = Field(alias="from")
    usage: int | None = Field(examples=[412])
    complete: bool


class DayUsage(Shape):
    """Usage of one local day of 23, 24 or 25 hours, counted from `counted_from` until `counted_until`."""

    date: str = Field(examples=["2026-03-08"])
    from_: LocalTime = Field(alias="from")
    to: LocalTime
    counted_from: LocalTime | None
    counted_until: LocalTime | None
    usage: int | None = Field(description="Wh or litres; null where it is not known", examples=[9214])
    unit: Literal["Wh", "L"]
    complete: bool = Field(description="the whole day, or for today all of it so far")
    source: Literal["truth", "live", "truth+live"] | None
    hours: list[HourUsage]


class MeterNow(Shape):
    """The newest heartbeat of a meter."""

    rate: int = Field(examples=[1830])
    rate_unit: Literal["W", "L/h"]
    register_: int = Field(alias="register", examples=[48_211_907])
    sent_at: UtcTime
    age_s: int = Field(examples=[4])
    stale: bool = Field(description="nothing heard for more than 60 s")


class UtilityNow(Shape):
    """One utility of a household: now, today and yesterday."""

    unit: Literal["Wh", "L"]
    rate_unit: Literal["W", "L/h"]
    now: MeterNow | None
    today: DayUsage
    yesterday: DayUsage
    notes: list[Note]


class Owner(Shape):
    """Master data of a household."""

    kind: Literal["home", "business"] | None
    name: str | None = Field(examples=["Ada Miller"])
    region: str | None = Field(examples=["US-NY"])
    region_name: str | None = Field(examples=["New York"])
    zone: str = Field(examples=["America/New_York"])


class Sources(Shape):
    """What each store said: ok, away (did not answer in time), none (holds nothing of this user)."""

    redis: StoreState
    mysql: StoreState


class Utilities(Shape):
    """The three utilities of a household."""

    electricity: UtilityNow
    gas: UtilityNow
    water: UtilityNow


class HouseholdNow(Shape):
    """One household by the lambda equation: truth up to `truth_until`, live state after it."""

    user_id: int = Field(examples=[10_000_042])
    as_of: UtcTime
    household: Owner
    truth_until: UtcTime | None
    sources: Sources
    quality: Literal["measured"]
    notes: list[Note]
    utilities: Utilities


class RegionUse(Shape):
    """One utility's use in a region, over its newest window."""

    rate: int = Field(examples=[58_220_114])
    rate_unit: Literal["W", "L/h"]
    active_meters: int = Field(description="meters heard in the window", examples=[41_207])
    silent_meters: int = Field(description="meters known, but not heard in the window", examples=[112])
    window_end: UtcTime
    age_s: int = Field(examples=[6])
    stale: bool = Field(description="the window ended more than 60 s ago")


class RegionUtilities(Shape):
    """A region's utilities; one never heard of is left out."""

    electricity: RegionUse | None = None
    gas: RegionUse | None = None
    water: RegionUse | None = None


class Region(Shape):
    """One region's use now."""

    region: str = Field(examples=["US-NY"])
    name: str = Field(examples=["New York"])
    zone: str | None = Field(examples=["America/New_York"])
    utilities: RegionUtilities


class CountryUse(Shape):
    """One utility's use, summed over the regions that are not stale; null where all of them are."""

    rate: int | None = Field(examples=[912_004_551])
    rate_unit: Literal["W", "L/h"]
    active_meters: int = Field(examples=[802_113])
    silent_meters: int = Field(examples=[2_240])
    window_end: UtcTime | None = Field(description="the oldest window in the sum")
    regions: int = Field(examples=[51])
    regions_stale: int = Field(examples=[0])


class Country(Shape):
    """The country's use by utility."""

    electricity: CountryUse
    gas: CountryUse
    water: CountryUse


class CountryNow(Shape):
    """The country's use now."""

    as_of: UtcTime
    country: Country


class RegionsNow(CountryNow):
    """Every region's use now, and their sum."""

    regions: list[Region]


class Health(Shape):
    """The process answers; for readiness also what its stores say."""

    status: Literal["ok"]
    sources: Sources | None = None


class Problem(BaseModel):
    """An error, as RFC 9457 shapes it."""

    type: str = Field(examples=["urn:meterbeat:problem:user-unknown"])
    title: str = Field(examples=["User is unknown"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["user is unknown: 10000042"])
