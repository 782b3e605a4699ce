"""The country's load from Redis and its forecast from the newest night: one copy of some seconds for all."""

import asyncio
import dataclasses
from collections.abc import Sequence

from infra.contracts.utility import UTILITIES
from serving.figures.disclosure import USERS_MIN
from serving.figures.load import LoadPoint, Pattern, country_load, forecast
from serving.figures.usage_range import DAY, DateRange
from serving.lookups.lookup import Lookup, or_away, state_of
from serving.stores.sources import LiveSource, StoreAway, StoreState, TruthSource

# A country's courses are most of a megabyte in Redis, whose one thread has better to do.
COPY_MS_MAX = 15_000
KEPT_MS_MAX = 60_000
PATTERN_S_MAX = 1.5  # what the forecast follows is two questions, and not worth waiting for longer


@dataclasses.dataclass(frozen=True)
class LoadAnswer:
    """The country's load of the last day, and today's forecast from a night's pattern, if there is one."""

    now_ms: int
    truth_until: int | None
    mysql: StoreState
    points: Sequence[LoadPoint]
    pattern: Pattern | None
    forecast: Sequence[LoadPoint]
    notes: tuple[str, ...]


class LoadLookup:
    """Answers for the country's load."""

    def __init__(self, lookup: Lookup, live: LiveSource, truth: TruthSource) -> None:
        self._lookup, self._live, self._truth = lookup, live, truth
        self._copy: LoadAnswer | None = None
        self._refresh: asyncio.Future[LoadAnswer] | None = None

    async def load(self) -> LoadAnswer:
        """Return the load as it was at most COPY_MS_MAX ago, or KEPT_MS_MAX while a newer one is asked for.

        However many ask, the stores are asked once, and nobody waits for longer than that takes.

        :raises StoreAway: where Redis is away.
        """
        under_way = self._refresh is not None and not self._refresh.done()
        age_max = KEPT_MS_MAX if under_way else COPY_MS_MAX
        if self._copy and self._lookup.now() - self._copy.now_ms <= age_max:
            return self._copy
        if self._refresh is None or not under_way:
            self._refresh = asyncio.ensure_future(self._refreshed())
            # That nobody waits any longer is no reason to complain of what they would have been told.
            self._refresh.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._refresh)

    async def _refreshed(self) -> LoadAnswer:
        self._copy = await self._asked()
        return self._copy

    async def _asked(self) -> LoadAnswer:
        courses, found, told = await asyncio.gather(
            self._live.loads(), self._lookup.regions(), or_away(self._pattern_in_time())
        )
        now_ms = self._lookup.now()
        points = await asyncio.to_thread(country_load, courses, found.made_of, now_ms)
        until, pattern, mysql, note = None, None, StoreState.AWAY, "the nightly truth is away"
        if not isinstance(told, StoreAway):
            until, pattern = told
            mysql, note = state_of(told, until is not None), "no night is published yet"
        expected = forecast(points, pattern, now_ms) if pattern else ()
        notes = found.notes if pattern else (*found.notes, f"{note}; there is no forecast")
        return LoadAnswer(now_ms, until, mysql, points, pattern, expected, notes)

    async def _pattern_in_time(self) -> tuple[int | None, Pattern | None]:
        try:
            async with asyncio.timeout(PATTERN_S_MAX):
                return await self._pattern()
        except TimeoutError:
            raise StoreAway("MySQL is away") from None

    async def _pattern(self) -> tuple[int | None, Pattern | None]:
        newest = await self._truth.nights(None, 1)
        if not newest:
            return None, None
        night = newest[0].night
        days = await asyncio.gather(
            *(self._truth.country_days(utility, DateRange(night, night + DAY)) for utility in UTILITIES)
        )
        hours = {
            utility: found[0].hours
            for utility, found in zip(UTILITIES, days, strict=True)
            if found and found[0].users >= USERS_MIN
        }
        return newest[0].truth_until, Pattern(night, hours)
