"""Regions and the country over time, and published nights, from the truth, a page at a time."""

import asyncio
import collections
import dataclasses
import datetime
from collections.abc import Sequence
from typing import NamedTuple, cast

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.utility import Utility
from serving.access.refusal import Refusal
from serving.figures.disclosure import OTHER
from serving.figures.local_days import local_date
from serving.figures.records import NightQuality, PublishedNight
from serving.figures.region_range import RegionUsage, country_items, region_items
from serving.figures.usage_range import DAY, FIRST_DATE, LAST_DATE, By, DateRange, asked_range
from serving.lookups.cursors import CursorRefused, cursor, date_of, place
from serving.lookups.lookup import Lookup, RegionsAnswer
from serving.stores.queries import ms_of_night
from serving.stores.sources import StoreState, TruthSource

COUNTRY_NIGHTS_MAX = 366  # of one page
REGION_NIGHTS_MAX = 124  # whose regions are all looked at, to judge which may be shown
QUALITIES_MAX = 64  # nights whose counts are kept: they change when the night is published anew
HOURS_A_DAY = 24


class AskedUsage(NamedTuple):
    """At most `limit` spans of the UTC days [start, end), from the cursor `after` on."""

    utility: Utility
    by: By
    start: datetime.date | None
    end: datetime.date | None
    after: str | None
    limit: int


@dataclasses.dataclass(frozen=True)
class RegionUsageAnswer:
    """A page of a region's usage, or the country's (`region` None)."""

    region: str | None
    utility: Utility
    by: By
    dates: DateRange
    now_ms: int
    truth_until: int | None
    items: Sequence[RegionUsage]
    notes: tuple[str, ...]
    next: str | None
    past: bool


class CountryLookup:
    """Answers for regions, the country and nights."""

    def __init__(self, lookup: Lookup, truth: TruthSource) -> None:
        self._lookup, self._truth = lookup, truth
        self._qualities: collections.OrderedDict[tuple[datetime.date, int], NightQuality] = (
            collections.OrderedDict()
        )

    async def region(self, code: str) -> RegionsAnswer:
        """Return the use now of the regions, if the one of a code is among those that are shown.

        :raises Refusal: where it is not known, or not shown.
        :raises StoreAway: where Redis is away.
        """
        answer = await self._lookup.regions()
        if code not in answer.uses:
            kept_back = answer.judged.disclosure.hidden | answer.judged.uncounted
            raise _not_shown(code) if code in kept_back else _unknown(code)
        return answer

    async def usage(self, region: str | None, asked: AskedUsage) -> RegionUsageAnswer:
        """Return the spans that are asked for: of a region, OTHER, or all (None).

        Days after the newest night are left out.

        :raises RangeRefused, CursorRefused: where these are not ones that can be answered.
        :raises Refusal: where there is no such region.
        :raises StoreAway: where MySQL is away.
        """
        utility, by, start, end, after, limit = asked
        since = None
        if after is not None:
            start, end, since = _place(region, by, after)
        now_ms = self._lookup.now()
        dates = asked_range(by, start, end, local_date(now_ms, "UTC"))
        newest = await self._truth.nights(None, 1)
        # Not before: where MySQL is away nobody knows which regions there are.
        if region not in (None, OTHER) and region not in await self._lookup.masters():
            raise _unknown(str(region))
        until = newest[0].truth_until if newest else None
        published_end = local_date(until, "UTC") if until else dates.start
        begin = since[0] if since else dates.start
        last = min(dates.end, published_end)
        most = limit if by is By.DAY else limit // HOURS_A_DAY + 2
        stop = min(last, begin + min(most, REGION_NIGHTS_MAX if region else COUNTRY_NIGHTS_MAX) * DAY)
        page = DateRange(begin, max(begin, stop))
        items, notes = await self._items(region, utility, by, page)
        items = items[since[1] if since else 0 :]
        more = len(items) > limit or stop < last
        following = items[limit].start if len(items) > limit else ms_of_night(stop)
        parts = (region or "", by.value, str(dates.start), str(dates.end), following)
        return RegionUsageAnswer(
            *(region, utility, by, dates, now_ms, until),
            items[:limit],
            notes,
            cursor("region-usage", *parts) if more else None,
            past=dates.end <= published_end,
        )

    async def _items(
        self, region: str | None, utility: Utility, by: By, page: DateRange
    ) -> tuple[list[RegionUsage], tuple[str, ...]]:
        # Thousands of rows and hours: requests go on meanwhile.
        if region is None:
            days = await self._truth.country_days(utility, page)
            found, where = await asyncio.to_thread(country_items, days, by, page), "the country"
        else:
            days = await self._truth.region_days(utility, page)
            found = await asyncio.to_thread(region_items, days, region, utility, by, page)
            where = "the region"
        if not found.days_hidden:
            return found.items, ()
        note = f"{found.days_hidden} days are not shown: too few users had this utility in {where}"
        return found.items, (note,)

    async def nights(self, after: str | None, limit: int) -> tuple[Sequence[PublishedNight], str | None]:
        """Return at most `limit` published nights, the newest first, and the cursor of those that follow.

        :raises CursorRefused: where the cursor is not of this list.
        :raises StoreAway: where MySQL is away.
        """
        before = None
        if after is not None:
            [text] = cast(list[str], place("nights", after, (str,)))
            before = date_of(text)
        found = await self._truth.nights(before, limit + 1)
        items = found[:limit]
        return items, cursor("nights", str(items[-1].night)) if len(found) > limit else None

    async def quality(self, night: datetime.date | None) -> tuple[PublishedNight, NightQuality]:
        """Return a night, by default the newest, and what validation and reconciliation came to in it.

        :raises Refusal: where it is not published.
        :raises StoreAway: where MySQL is away.
        """
        if night is not None and not FIRST_DATE <= night <= LAST_DATE:
            raise _night_unknown(night)
        found = await self._truth.nights(None if night is None else night + DAY, 1)
        if not found or (night is not None and found[0].night != night):
            raise _night_unknown(night)
        key = (found[0].night, found[0].published_at)
        if key not in self._qualities:
            self._qualities[key] = await self._truth.night_quality(found[0].night)
            while len(self._qualities) > QUALITIES_MAX:
                self._qualities.popitem(last=False)
        return found[0], self._qualities[key]


STATES = {"redis": StoreState.NONE, "mysql": StoreState.OK}  # of what the truth alone tells


def _place(
    region: str | None, by: By, after: str
) -> tuple[datetime.date, datetime.date, tuple[datetime.date, int]]:
    """Return the range of a cursor, and the night and hour at which its page begins."""
    told, told_by, start, end, since = cast(
        tuple[str, str, str, str, int], place("region-usage", after, (str, str, str, str, int))
    )
    first, until = date_of(start), date_of(end)
    refused = CursorRefused()
    if (told, told_by) != (region or "", by) or not FIRST_DATE <= first <= until <= LAST_DATE:
        raise refused
    if since % HOUR_MS or not ms_of_night(first) <= since <= ms_of_night(until):
        raise refused
    hours = since % DAY_MS // HOUR_MS
    if hours and by is By.DAY:
        raise refused
    return first, until, (local_date(since, "UTC"), hours)


def _unknown(code: str) -> Refusal:
    return Refusal(404, "region-unknown", "Region is unknown", f"region is unknown: {code}")


def _not_shown(code: str) -> Refusal:
    detail = f"region {code} is not shown singly: it has few users, or would tell of one that has; see other"
    return Refusal(404, "region-not-shown", "Region is not shown", detail)


def _night_unknown(night: datetime.date | None) -> Refusal:
    detail = f"night is not published: {night}" if night else "no night is published yet"
    return Refusal(404, "night-unknown", "Night is unknown", detail)
