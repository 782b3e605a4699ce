"""Registers of a made-up meter, and what each layer would know of them."""

import datetime
import itertools
from collections.abc import Mapping, Sequence

from infra.contracts.live_state import HOUR_MS, MARKS_MAX, LiveMeter, LiveState, RegionUse
from infra.contracts.utility import Utility
from serving.household import Household
from serving.regions import RegionMaster
from serving.registers import DAY_MS, Truth, UsageDay
from serving.sources import StoreAway

ELECTRICITY = Utility.ELECTRICITY
USER_ID = 10_000_042


def instant(text: str) -> int:
    """Return ms since 1970 of an ISO 8601 time; without an offset it is UTC."""
    moment = datetime.datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp() * 1000)


def a_household(zone: str = "America/New_York") -> Household:
    return Household("home", "Ada Miller", "US-NY", "New York", zone)


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
        marks = {hour: self.register((hour + 1) * HOUR_MS) for hour in range(first_hour, last_hour)}
        register = self.register(last_hour * HOUR_MS) + extra
        return LiveState(
            "US-NY", {ELECTRICITY: LiveMeter(sent_at, register, 700, 1, marks, first_hour > begun)}
        )


class InMemoryLive:
    """Live state from a mapping; away when told so."""

    def __init__(
        self,
        states: Mapping[int, LiveState] | None = None,
        regions: Mapping[str, Mapping[Utility, RegionUse]] | None = None,
    ) -> None:
        self.states, self.region_uses, self.away, self.broken = states or {}, regions or {}, False, False

    async def live_state(self, user_id: int) -> LiveState | None:
        if self.broken:
            raise RuntimeError("a fault of ours")
        await self.ping()
        return self.states.get(user_id)

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

    async def truth(self, user_id: int, since_ms: int) -> tuple[Household | None, Truth]:
        await self.ping()
        return self.households.get(user_id), self.truths.get(user_id, Truth())

    async def regions(self) -> Mapping[str, RegionMaster]:
        await self.ping()
        return self.masters

    async def ping(self) -> None:
        if self.away:
            raise StoreAway("MySQL is away")

    async def close(self) -> None:
        pass
