"""The JSON shapes of the API as OpenAPI tells them. `render` fills them; a test holds both together."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.stores.sources import StoreState

LocalTime = Annotated[str, Field(examples=["2026-03-08T03:00:00-04:00"])]
UtcTime = Annotated[str, Field(examples=["2026-03-08T18:03:05.000Z"])]
Note = Annotated[
    str, Field(examples=["today: meter first heard at 2026-03-08T09:12:40-04:00, counted from there"])
]
HourQuality = Literal["measured", "interpolated", "estimated", "projected", "corrected"]
FigureQuality = Literal["measured", "interpolated", "estimated", "projected", "corrected", "mixed"]


class Shape(BaseModel):
    """What all shapes share: no unknown field, no number read from text."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


class HourUsage(Shape):
    """Usage of one hour; null where a register at either end is not known, or the hour is to come."""

    from_: LocalTime = Field(alias="from")
    usage: int | None = Field(examples=[412])
    complete: bool
    quality: HourQuality | None = Field(
        description="measured: between two registers that the meter sent; interpolated: a short silence, "
        "spread evenly; estimated: a longer one, spread as past days went; projected: not heard since, a "
        "later night revises it; corrected: a wrong register was set aside. Hours after `truth_until` are "
        "not validated yet.",
        examples=["measured"],
    )


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
    quality: FigureQuality | None = Field(
        description="that of all counted hours; mixed where they differ: `usage_estimated` says how much",
        examples=["mixed"],
    )
    usage_estimated: int | None = Field(
        description="the part of `usage` in hours whose quality is not measured", examples=[318]
    )
    revised_at: UtcTime | None = Field(
        description="when a published figure of a night that this day touches was last replaced, if any was"
    )
    revised_reason: str | None = Field(description="why", examples=["late data"])
    hours: list[HourUsage]


class MeterNow(Shape):
    """The newest heartbeat of a meter."""

    rate: int = Field(examples=[1830])
    rate_unit: Literal["W", "L/h"]
    register_: int = Field(alias="register", description="what the dial shows", examples=[48_211_907])
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
    month_cost: int | None = Field(
        description="price of the energy used in the household's local month so far, up to `truth_until`, in "
        "the currency's minor unit; without standing charge and tax, which the invoice adds; null where that "
        "night does not tell",
        examples=[3820],
    )
    notes: list[Note]


class Owner(Shape):
    """Master data of a household."""

    kind: Literal["home", "business"] | None
    name: str | None = Field(examples=["Ada Miller"])
    region: str | None = Field(examples=["US-NY"])
    region_name: str | None = Field(examples=["New York"])
    zone: str = Field(examples=["America/New_York"])


class Sources(Shape):
    """What each store said: ok, away (no answer in time), none (holds nothing of this, or was not asked)."""

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
    quality: FigureQuality | None = Field(
        description="that of all days' figures together; mixed where they differ; null without any",
        examples=["measured"],
    )
    notes: list[Note]
    utilities: Utilities


class RegionUse(Shape):
    """One utility's use in a region, over its newest window.

    Of `other` the window is the oldest of the regions in it that are heard; one that is not counts by what it
    told last, as a note says.
    """

    rate: int = Field(examples=[58_220_114])
    rate_unit: Literal["W", "L/h"]
    active_meters: int = Field(description="meters heard in the window", examples=[41_207])
    silent_meters: int = Field(description="meters known, but not heard in the window", examples=[112])
    window_end: UtcTime
    age_s: int = Field(examples=[6])
    stale: bool = Field(description="the window ended more than 60 s ago")


class RegionUtilities(Shape):
    """A region's utilities; one never heard of, or of too few users to be told, is left out."""

    electricity: RegionUse | None = None
    gas: RegionUse | None = None
    water: RegionUse | None = None


class Region(Shape):
    """One region's use now; `other` sums all that are not shown singly."""

    region: str = Field(examples=["US-NY"])
    name: str = Field(examples=["New York"])
    zone: str | None = Field(examples=["America/New_York"])
    utilities: RegionUtilities


class CountryUse(Shape):
    """One utility's use, summed over the regions that are not stale; null where all are, or users are few."""

    rate: int | None = Field(examples=[912_004_551])
    rate_unit: Literal["W", "L/h"]
    active_meters: int = Field(examples=[802_113])
    silent_meters: int = Field(examples=[2_240])
    window_end: UtcTime | None = Field(description="the oldest window in the sum")
    regions: int = Field(description="summed; those folded into others count as one", examples=[44])
    regions_stale: int = Field(examples=[0])


class Country(Shape):
    """The country's use by utility."""

    electricity: CountryUse
    gas: CountryUse
    water: CountryUse


class CountryNow(Shape):
    """The country's use now."""

    as_of: UtcTime
    sources: Sources
    notes: list[Note]
    country: Country
    hidden_regions: int = Field(
        description="regions that are not shown singly, as they have fewer than 15 users or would tell of "
        "one that has; the country counts them",
        examples=[7],
    )


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


class Login(BaseModel):
    """A token to log in with, and the page that was asked for before."""

    model_config = ConfigDict(extra="forbid", strict=True)

    token: str = Field(min_length=1, max_length=4_096, examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9..."])
    next: str | None = Field(default=None, max_length=2_048, examples=["/household/10000042"])


class Session(Shape):
    """Who is logged in, until when, and their pages."""

    subject: str = Field(examples=["user:10000042"])
    role: Literal["household", "analyst", "operator", "device"]
    user_id: int | None = Field(examples=[10_000_042])
    expires_at: UtcTime
    home: str | None = Field(description="the page they see first", examples=["/household/10000042"])
    go: str | None = Field(
        description="the page to go to: `next`, where that is a page which the role sees, else `home`",
        examples=["/household/10000042"],
    )
