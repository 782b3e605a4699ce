"""A user's usage over a range, a page at a time, from whichever stores answer."""

import asyncio
import dataclasses
import datetime
from collections.abc import Mapping
from typing import cast

from infra.contracts.durations import DAY_MS
from infra.contracts.utility import UTILITIES, Utility
from serving.access.identity import OwnedUser
from serving.figures.local_days import local_date, midnight
from serving.figures.registers import MeterRegisters
from serving.figures.summary import LOOK_BACK_DAYS, Summary, summarised
from serving.figures.usage_range import (
    DAY,
    FIRST_DATE,
    By,
    DateRange,
    RangeRefused,
    Span,
    SpanUsage,
    asked_range,
    next_month,
    notes,
    resolved_range,
    spans,
    usages,
)
from serving.lookups.cursors import CursorRefused, cursor, place
from serving.lookups.lookup import KnownUser, Lookup
from serving.stores.sources import TruthSource

# What one page may read of MySQL: three years, or a year of hours.
PAGE_NIGHTS_MAX = 1_100
PAGE_MONTHS_MAX = 36
HOURS_A_DAY_MIN = 23
# A page of more items is computed beside the event loop: others wait for milliseconds only.
ITEMS_INLINE_MAX = 200
NIGHTS_INLINE_MAX = 40  # few items, months, may be of many nights, whose every hour is priced
EDGE_MS = DAY_MS  # no zone is further from UTC


@dataclasses.dataclass(frozen=True)
class UsageAnswer:
    """One page of a range. `past`: all of it is published, so that only a revision changes it."""

    user_id: int
    utility: Utility
    by: By
    dates: DateRange
    known: KnownUser
    items: tuple[SpanUsage, ...]
    notes: tuple[str, ...]
    next: str | None
    past: bool


@dataclasses.dataclass(frozen=True)
class SummaryAnswer:
    """A household's month, and today beside other days, by utility."""

    user_id: int
    known: KnownUser
    utilities: Mapping[Utility, Summary]


class UsageLookup:
    """Answers for ranges of one user's one utility."""

    def __init__(self, lookup: Lookup, truth: TruthSource) -> None:
        self._lookup, self._truth = lookup, truth
        self._one_at_a_time = asyncio.Semaphore()

    async def usage(
        self,
        user: OwnedUser,
        utility: Utility,
        by: By,
        start: datetime.date | None,
        end: datetime.date | None,
        after: str | None,
        limit: int,
    ) -> UsageAnswer:
        """Return at most `limit` spans of local dates [start, end), or what follows a cursor.

        Spans that have not begun are left out.

        :raises RangeRefused, CursorRefused: where these are not ones that can be answered.
        :raises UserNotFound: where both stores answer and neither knows the user.
        :raises StoreAway: where a store is away and the other knows nothing of the user.
        """
        now_ms = self._lookup.now()
        since = None
        if after is not None:
            start, end, since = _place(by, after)
        # Which day today is depends on the zone, which the same statement tells: ask for a day more.
        utc_today = local_date(now_ms, "UTC")
        # One that is as long as may be today is a day too long tomorrow: it is judged by the right day below.
        earliest = asked_range(by, start, end, utc_today - DAY)
        latest = resolved_range(by, start, end, utc_today + DAY)
        first = earliest.start if since is None else local_date(since, "UTC")
        last = latest.start if since is None else local_date(since, "UTC") + DAY
        until = min(_page_end(by, last, limit), latest.end, utc_today + DAY)
        known = await self._lookup.known(user, self._truth.usage(user, utility, first - 2 * DAY, until + DAY))
        zone = known.household.zone
        today = local_date(known.now_ms, zone)
        dates = asked_range(by, start, end, today)
        begin = dates.start if since is None else local_date(since, zone)
        end_of_begun = min(dates.end, next_month(today) if by is By.MONTH else today + DAY)
        stop = min(_page_end(by, begin, limit), end_of_begun)
        page = [
            span
            for span in spans(by, DateRange(begin, max(begin, stop)), zone)
            if span.start <= known.now_ms and (since is None or span.start >= since)
        ]
        more = len(page) > limit or stop < end_of_begun
        following = page[limit].start if len(page) > limit else midnight(stop, zone)
        items = await self._usages(known, utility, page[:limit])
        return UsageAnswer(
            user.user_id,
            utility,
            by,
            dates,
            known,
            items,
            (*known.notes, *notes(items, zone)),
            cursor("usage", by, str(dates.start), str(dates.end), following) if more else None,
            past=bool(items) and items[-1].span.end <= (known.truth.truth_until or 0),
        )

    async def summary(self, user: OwnedUser) -> SummaryAnswer:
        """Return the month so far with its forecast, and today beside yesterday and a week ago.

        :raises UserNotFound: where both stores answer and neither knows the user.
        :raises StoreAway: where a store is away and the other knows nothing of the user.
        """
        since = self._lookup.now() - LOOK_BACK_DAYS * DAY_MS
        known = await self._lookup.known(user, self._truth.truth(user, since))
        meters = known.live.meters if known.live else {}
        zone = known.household.zone
        utilities = {
            utility: summarised(
                MeterRegisters(known.truth, utility, meters.get(utility)),
                known.truth.truth_until or 0,
                zone,
                known.now_ms,
            )
            for utility in UTILITIES
        }
        return SummaryAnswer(user.user_id, known, utilities)

    async def _usages(self, known: KnownUser, utility: Utility, page: list[Span]) -> tuple[SpanUsage, ...]:
        live = known.live.meters.get(utility) if known.live else None

        def computed() -> tuple[SpanUsage, ...]:
            registers = MeterRegisters(known.truth, utility, live)
            return tuple(usages(registers, page, known.household.zone, known.now_ms))

        if len(page) <= ITEMS_INLINE_MAX and len(known.truth.rows) <= NIGHTS_INLINE_MAX:
            return computed()
        # Several threads that compute would leave the one that answers others a small part of the time.
        async with self._one_at_a_time:
            return await asyncio.to_thread(computed)


def _page_end(by: By, begin: datetime.date, limit: int) -> datetime.date:
    """Return the date before which a page ends that begins with a date."""
    if by is By.MONTH:
        months = begin.year * 12 + begin.month - 1 + min(limit, PAGE_MONTHS_MAX)
        return datetime.date(months // 12, months % 12 + 1, 1)
    days = limit if by is By.DAY else limit // HOURS_A_DAY_MIN + 2
    return begin + min(days, PAGE_NIGHTS_MAX) * DAY


def _place(by: By, after: str) -> tuple[datetime.date, datetime.date, int]:
    """Return the range of a cursor, and the instant at which its page begins."""
    told, start, end, since = cast(tuple[str, str, str, int], place("usage", after, (str, str, str, int)))
    try:
        dates = asked_range(
            By(told), datetime.date.fromisoformat(start), datetime.date.fromisoformat(end), FIRST_DATE
        )
    except (ValueError, RangeRefused) as error:
        raise CursorRefused(f"cursor is not one of this list: {error}") from None
    inside = midnight(dates.start, "UTC") - EDGE_MS <= since <= midnight(dates.end, "UTC") + EDGE_MS
    if told != by or not inside:
        raise CursorRefused()
    return dates.start, dates.end, since
