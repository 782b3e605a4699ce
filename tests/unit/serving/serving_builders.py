"""Registers of a made-up meter, and what each layer would know of them."""

import asyncio
import datetime
import functools
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import MARKS_MAX, LiveMeter, LiveState, RegionUse
from infra.contracts.utility import UTILITIES, Utility
from serving.access.identity import OwnedUser, Role
from serving.access.limits import Grant, SharedAway, limits
from serving.access.revocation import (
    NEWS_MAX,
    Revocations,
    RevocationsAway,
    Revoked,
    RevokedNews,
    SharedRevocations,
)
from serving.access.session import Access
from serving.access.tokens import Tokens
from serving.figures.alerts import Finding, NightHours
from serving.figures.disclosure import Users
from serving.figures.household import Household
from serving.figures.load import Course
from serving.figures.records import (
    AlertNights,
    Invoice,
    InvoiceLine,
    InvoicePlace,
    NightQuality,
    OfUser,
    Predecessor,
    PredecessorPlace,
    PublishedNight,
    RegionDay,
)
from serving.figures.regions import RegionMaster
from serving.figures.truth import Truth, UsageDay
from serving.figures.usage_range import DateRange
from serving.stores.sources import StoreAway

ELECTRICITY = Utility.ELECTRICITY
USER_ID = 10_000_042
TOKEN_KEY = b"a key of the tests, long enough to sign with it"


def instant(text: str) -> int:
    """Return ms since 1970 of an ISO 8601 time; without an offset it is UTC."""
    moment = datetime.datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp() * 1000)


def a_household(zone: str = "America/New_York") -> Household:
    return Household("home", "Ada Miller", "US-NY", "New York", zone)


class NoSharedBuckets:
    """Buckets that no process can ask."""

    async def take(self, subject: str, wanted: int, per_minute: int) -> Grant:
        raise SharedAway


class OneList:
    """A list of revoked tokens that processes share; away when told so."""

    def __init__(self) -> None:
        self.held: list[Revoked] = []
        self.away = False

    async def revoke(self, revoked: Sequence[Revoked]) -> None:
        if self.away:
            raise RevocationsAway
        self.held += [one for one in revoked if one not in self.held]

    async def revoked_since(self, place: int) -> RevokedNews:
        if self.away:
            raise RevocationsAway
        news = self.held[place : place + NEWS_MAX]
        return RevokedNews(news, place + len(news), len(self.held))


def an_access(
    now: Callable[[], int],
    *,
    per_minute: int = 1_000_000,
    attempts: int = 1_000_000,
    secure: bool = False,
    shared: SharedRevocations | None = None,
) -> Access:
    revocations = Revocations(shared or OneList(), now)
    spending = limits(NoSharedBuckets(), per_minute, attempts, now)
    return Access(Tokens((TOKEN_KEY,), now), spending, revocations, secure)


def logged_in(now: int, role: Role = Role.OPERATOR, user_id: int | None = None) -> dict[str, str]:
    """Return the headers of a request by somebody of a role."""
    return {"Authorization": f"Bearer {Tokens((TOKEN_KEY,), lambda: now).issue(role, user_id)}"}


def a_night(night: datetime.date) -> PublishedNight:
    end = instant(night.isoformat()) + DAY_MS
    usage = dict(zip(UTILITIES, (10, 20, 30), strict=True))
    estimated, users = dict.fromkeys(UTILITIES, 1), dict.fromkeys(UTILITIES, 1_333)
    return PublishedNight(
        *(night, end, end + 60_000, 1_333, 17_280, usage, estimated, night, 2**60 - 1, users),
        utility_users_estimated=dict.fromkeys(UTILITIES, 15),
    )


class Meter:
    """A meter heard first just after `start`, a UTC midnight: `usages[i]` is what it counts in hour i."""

    def __init__(self, start: int, usages: Sequence[int], first_register: int = 5_000_000_000) -> None:
        assert start % DAY_MS == 0
        self.start = start
        self.registers = [first_register]
        for usage in usages:
            self.registers.append(self.registers[-1] + usage)

    def register(self, at: int) -> int:
        assert at % HOUR_MS == 0
        return self.registers[(at - self.start) // HOUR_MS]

    def usage(self, start: int, end: int) -> int:
        return self.register(end) - self.register(start)

    def night(self, start: int, first_sent_at: int | None = None) -> UsageDay:
        bounds = [self.register(start + hour * HOUR_MS) for hour in range(25)]
        hours = tuple(end - begin for begin, end in itertools.pairwise(bounds))
        return UsageDay(start, ELECTRICITY, bounds[0], bounds[-1], first_sent_at, hours)

    def truth(self, *nights: int, until: int | None = None) -> Truth:
        """Return the truth with these nights; the meter's first night says when it was first heard."""
        rows = tuple(
            self.night(night, self.start + 1_000 if night == self.start else None) for night in nights
        )
        return Truth(until or max(nights) + DAY_MS, frozenset(nights), rows)

    def live(self, sent_at: int, extra: int = 0, since: int | None = None) -> LiveState:
        """Return the live state at `sent_at`, `extra` units into its hour, of a stream begun at `since`."""
        last_hour = sent_at // HOUR_MS
        begun = (since or self.start) // HOUR_MS - 1
        first_hour = max(begun, last_hour - MARKS_MAX)
        marks = tuple(self.register((hour + 1) * HOUR_MS) for hour in range(first_hour, last_hour))
        register = self.register(last_hour * HOUR_MS) + extra
        meter = LiveMeter(sent_at, register, 700, 1, first_hour, marks, first_hour > begun)
        return LiveState("US-NY", {ELECTRICITY: meter})


def without_marks_before(meter: LiveMeter, hour: int) -> LiveMeter:
    """Return a meter whose marks of the hours before one were dropped."""
    lost = min(max(hour - meter.first_hour, 0), len(meter.marks))
    return meter._replace(first_hour=meter.first_hour + lost, marks=meter.marks[lost:], marks_dropped=True)


class InMemoryLive:
    """Live state from a mapping; away when told so."""

    def __init__(
        self,
        states: Mapping[int, LiveState] | None = None,
        regions: Mapping[str, Mapping[Utility, RegionUse]] | None = None,
    ) -> None:
        self.states, self.region_uses, self.away, self.broken = states or {}, regions or {}, False, False
        self.courses: dict[str, Course] = {}
        self.loads_asked = 0
        self.loads_take: Callable[[], Awaitable[object]] = functools.partial(asyncio.sleep, 0)

    async def live_state(self, user: OwnedUser) -> LiveState | None:
        if self.broken:
            raise RuntimeError("a fault of ours")
        await self.ping()
        return self.states.get(user.user_id)

    async def live_state_of_each(self, users: Sequence[OwnedUser]) -> list[LiveState | None]:
        return [await self.live_state(user) for user in users]

    async def loads(self) -> Mapping[str, Course]:
        self.loads_asked += 1
        await self.loads_take()
        await self.ping()
        return self.courses

    async def regions(self) -> Mapping[str, Mapping[Utility, RegionUse]]:
        await self.ping()
        return self.region_uses

    async def ping(self) -> None:
        if self.away:
            raise StoreAway("Redis is away")

    async def close(self) -> None:
        pass


class InMemoryTruth:
    """Truth from mappings; away when told so."""

    def __init__(
        self,
        households: Mapping[int, Household] | None = None,
        truths: Mapping[int, Truth] | None = None,
        regions: Mapping[str, RegionMaster] | None = None,
    ) -> None:
        self.households, self.truths, self.masters, self.away = (
            households or {},
            truths or {},
            regions or {},
            False,
        )
        self.users: dict[str, Mapping[Utility, int]] = {}
        self.days: list[RegionDay] = []
        self.published: list[PublishedNight] = []
        self.quality = NightQuality([], [], [])
        self.qualities_asked = 0
        self.findings: list[Finding] = []
        self.alert_hours: list[NightHours] = []
        self.predecessors: list[Predecessor] = []
        self.bills: list[tuple[Invoice, list[InvoiceLine]]] = []

    async def truth(self, user: OwnedUser, since_ms: int) -> tuple[Household | None, Truth]:
        await self.ping()
        return self.households.get(user.user_id), self.truths.get(user.user_id, Truth())

    async def truth_of_each(
        self, users: Sequence[OwnedUser], since_ms: int
    ) -> list[tuple[Household | None, Truth]]:
        return [await self.truth(user, since_ms) for user in users]

    async def usage(
        self, user: OwnedUser, utility: Utility, first: datetime.date, last: datetime.date
    ) -> tuple[Household | None, Truth]:
        household, truth = await self.truth(user, 0)
        newest = (truth.truth_until or 0) - DAY_MS
        bounds = [instant(date.isoformat()) for date in (first, last)]
        nights = frozenset(n for n in truth.nights if bounds[0] <= n <= bounds[1] or n == newest)
        rows = tuple(row for row in truth.rows if row.night_ms in nights and row.utility is utility)
        return household, Truth(truth.truth_until, nights, rows)

    async def revisions(
        self, user: OwnedUser, utility: Utility, dates: DateRange, after: PredecessorPlace | None, limit: int
    ) -> OfUser[Predecessor]:
        await self.ping()
        found = [
            one
            for one in self.predecessors
            if dates.start <= one.night < dates.end and (after is None or one[:2] > after)
        ]
        return OfUser(user.user_id in self.households, found[:limit])

    async def alert_nights(self, user: OwnedUser) -> AlertNights:
        await self.ping()
        until = self.truths.get(user.user_id, Truth()).truth_until
        return AlertNights(user.user_id in self.households, until, self.findings, self.alert_hours)

    async def invoices(self, user: OwnedUser, after: InvoicePlace | None, limit: int) -> OfUser[Invoice]:
        await self.ping()
        places = {(one.month, one.version, 2 if one.reverses else 1): one for one, _ in self.bills}
        found = [places[place] for place in sorted(places, reverse=True) if after is None or place < after]
        return OfUser(user.user_id in self.households, found[:limit])

    async def invoice(self, user: OwnedUser, number: str) -> tuple[Invoice, Sequence[InvoiceLine]] | None:
        await self.ping()
        theirs = user.user_id in self.households and f"-{user.user_id}-" in number
        return next((bill for bill in self.bills if theirs and bill[0].number == number), None)

    async def region_users(self) -> Users:
        await self.ping()
        return self.users

    async def region_days(self, utility: Utility, dates: DateRange) -> Sequence[RegionDay]:
        await self.ping()
        return [day for day in self.days if dates.start <= day.night < dates.end]

    async def country_days(self, utility: Utility, dates: DateRange) -> Sequence[RegionDay]:
        sums = []
        for night, of_night in itertools.groupby(
            await self.region_days(utility, dates), lambda day: day.night
        ):
            days = list(of_night)
            hours = tuple(map(sum, zip(*(day.hours for day in days), strict=True)))
            users, users_estimated, usage, estimated = (
                sum(day[at] or 0 for day in days) for at in range(2, 6)
            )
            sums.append(RegionDay(night, "", users, users_estimated, usage, estimated, hours))
        return sums

    async def nights(self, before: datetime.date | None, limit: int) -> Sequence[PublishedNight]:
        await self.ping()
        return [one for one in self.published if before is None or one.night < before][:limit]

    async def night_quality(self, night: datetime.date) -> NightQuality:
        await self.ping()
        self.qualities_asked += 1
        return self.quality

    async def regions(self) -> Mapping[str, RegionMaster]:
        await self.ping()
        return self.masters

    async def ping(self) -> None:
        if self.away:
            raise StoreAway("MySQL is away")

    async def close(self) -> None:
        pass
