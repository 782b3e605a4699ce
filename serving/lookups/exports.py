"""A user's hours over years, some weeks at a time: whole, or refused."""

import asyncio
import dataclasses
import datetime
from collections.abc import AsyncIterator, Sequence

from infra.contracts.utility import Utility
from serving.access.identity import OwnedUser
from serving.exports.hours import Export, ExportedHour, Writer
from serving.figures.local_days import local_date, midnight
from serving.figures.usage_range import By, SpanUsage
from serving.lookups.usage import UsageAnswer, UsageLookup
from serving.stores.sources import StoreAway, StoreState

# What is held of one export at a time: a month of one utility's hours.
PART = datetime.timedelta(days=31)
PART_HOURS_MAX = 8_784


@dataclasses.dataclass(frozen=True)
class ExportRange:
    """Which hours: half-open local dates, up to now at the most."""

    export: Export
    start: datetime.date
    end: datetime.date
    until: datetime.date  # nothing of this date or later has begun


class ExportLookup:
    """Reads the hours of an export."""

    def __init__(self, usages: UsageLookup) -> None:
        self._usages = usages

    async def range(
        self,
        user: OwnedUser,
        utility: Utility,
        start: datetime.date | None,
        end: datetime.date | None,
    ) -> ExportRange:
        """Return what is asked for, by the household's own calendar.

        :raises RangeRefused: where that is no range.
        :raises UserNotFound: where there is no such user.
        :raises StoreAway: where the truth is away.
        """
        answer = await self._usages.usage(user, utility, By.DAY, start, end, None, 1)
        known, zone = answer.known, answer.known.household.zone
        end_ms = midnight(answer.dates.end, zone)
        _whole(answer, end_ms)
        export = Export(
            user.user_id,
            zone,
            midnight(answer.dates.start, zone),
            end_ms,
            known.now_ms,
            known.household.currency,
        )
        until = local_date(known.now_ms, zone) + datetime.timedelta(days=1)
        return ExportRange(export, answer.dates.start, answer.dates.end, until)

    async def file(
        self, user: OwnedUser, utilities: Sequence[Utility], asked: ExportRange, writer: Writer
    ) -> AsyncIterator[bytes]:
        """Yield the parts of the file.

        :raises StoreAway: where a store goes away meanwhile; the file is then cut off, and shows it.
        """
        # A zone's rules of the clock take a while to find.
        yield await asyncio.to_thread(writer.begin)
        for utility in utilities:
            start = asked.start
            while start < min(asked.end, asked.until):
                end = min(start + PART, asked.end)
                answer = await self._usages.usage(user, utility, By.HOUR, start, end, None, PART_HOURS_MAX)
                _whole(answer, midnight(end, asked.export.zone))
                hours = [_hour(utility, item) for item in answer.items]
                # Others' answers do not wait for it.
                yield await asyncio.to_thread(writer.add, hours)
                start = end
        yield await asyncio.to_thread(writer.end)


def _whole(answer: UsageAnswer, end_ms: int) -> None:
    """Refuse what lacks a store: in a file nobody would see that hours are missing for that alone.

    :raises StoreAway: naming it.
    """
    if answer.known.mysql is StoreState.AWAY:
        raise StoreAway("MySQL is away")
    if answer.known.redis is StoreState.AWAY and end_ms > (answer.known.truth.truth_until or 0):
        raise StoreAway("Redis is away")


def _hour(utility: Utility, item: SpanUsage) -> ExportedHour:
    figure, counted = item.figure, (item.figure.counted_from, item.figure.counted_until)
    # A file is read when more of the hour that runs is over: all so far is not all to its reader.
    complete = figure.complete and counted == item.span
    return ExportedHour(
        utility,
        item.span.start,
        figure.usage,
        complete,
        figure.quality,
        "+".join(figure.layers) or None,
        item.cost_micro,
        (item.span.end - item.span.start) // 1000,
        None if complete or figure.usage is None else counted,
    )
