"""Usage of any range by hour, day or month of the household's own calendar: pure, on the lambda equation.

Each span's usage is the difference of two registers, so hours sum to days, days to months, and a range split
anywhere to the whole, wherever all is known. Registers are known on the hour of UTC. Where a zone's hours or
days begin off it (Asia/Kolkata, Asia/Kathmandu) no two registers prove a figure, and there is none.
"""

import datetime
import enum
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from infra.contracts.durations import HOUR_MS
from serving.figures.figure import Figure, judged_now
from serving.figures.household import usage_between
from serving.figures.local_days import local_time, midnight
from serving.figures.registers import MeterRegisters
from serving.figures.truth import Revision

DAY = datetime.timedelta(days=1)
NOTES_MAX = 5
RANGE_DAYS_MAX = {"hour": 366, "day": 3_660, "month": 3_660}
DEFAULT_DAYS = {"hour": 7, "day": 31}
DEFAULT_MONTHS = 13
# Calendars beyond are neither published nor asked for in earnest; arithmetic on them overflows.
FIRST_DATE, LAST_DATE = datetime.date(1970, 1, 2), datetime.date(2200, 1, 1)


class By(enum.StrEnum):
    """What a range is divided into."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class RangeRefused(ValueError):  # noqa: N818 - the name says it
    """A range that is empty, too long or outside the calendar: says which, and the limit."""


class DateRange(NamedTuple):
    """Half-open local dates."""

    start: datetime.date
    end: datetime.date


class Span(NamedTuple):
    """Half-open instants, ms since 1970."""

    start: int
    end: int


class SpanUsage(NamedTuple):
    """One span's usage and what it costs: micro-cents of what is priced of it, and whether that is all."""

    span: Span
    figure: Figure
    cost_micro: int | None
    cost_complete: bool
    revision: Revision | None


def asked_range(
    by: By, start: datetime.date | None, end: datetime.date | None, today: datetime.date
) -> DateRange:
    """Return the range that is asked for; where it has no end it ends with today.

    :raises RangeRefused: if it is empty, longer than RANGE_DAYS_MAX or outside the calendar.
    """
    start, end = resolved_range(by, start, end, today)
    days = (end - start).days
    if days <= 0:
        raise RangeRefused(f"from {start} to {end} is empty: `to` is the day after the last")
    if days > RANGE_DAYS_MAX[by]:
        raise RangeRefused(
            f"from {start} to {end} is {days} days; by {by} at most {RANGE_DAYS_MAX[by]}, ask in parts"
        )
    return DateRange(start, end)


def resolved_range(
    by: By, start: datetime.date | None, end: datetime.date | None, today: datetime.date
) -> DateRange:
    """Return the range that is asked for as `asked_range` does, however long it is.

    :raises RangeRefused: if it is outside the calendar.
    """
    for date in (start, end):
        if date and not FIRST_DATE <= date <= LAST_DATE:
            raise RangeRefused(f"{date} is not in {FIRST_DATE}..{LAST_DATE}")
    end = end or (today + DAY if start is None else max(today, start) + DAY)
    return DateRange(start or max(FIRST_DATE, _default_start(by, end)), end)


def spans(by: By, dates: DateRange, zone: str) -> Iterator[Span]:
    """Yield the spans of a range in their order, the first and last month cut to it.

    A date that a zone skipped (Pacific/Apia, 30 December 2011) has none.
    """
    if by is By.MONTH:
        bounds = tuple(midnight(date, zone) for date in (*_month_cuts(dates), dates.end))
        yield from (Span(start, end) for start, end in itertools.pairwise(bounds))
        return
    date = dates.start
    while date < dates.end:
        # Years of `local_day` would make the labels of each hour, and push households' days out of the cache.
        begin, after = midnight(date, zone), midnight(date + DAY, zone)
        bounds = (*range(begin, after, HOUR_MS), after) if by is By.HOUR else (begin, after)
        yield from (Span(start, end) for start, end in itertools.pairwise(bounds) if start < end)
        date += DAY


def next_month(date: datetime.date) -> datetime.date:
    """Return the first of the month after a date's."""
    return (date.replace(day=1) + 31 * DAY).replace(day=1)


def usages(
    registers: MeterRegisters, of_spans: Sequence[Span], zone: str, now_ms: int
) -> Iterator[SpanUsage]:
    """Yield the usage of each span; one that still runs is judged by the time it has run."""
    for span in of_spans:
        figure = usage_between(registers, span.start, span.end, zone)
        if span.end > now_ms:
            figure = judged_now(figure, span.start, now_ms)
        revision = max(registers.revisions(*span), key=lambda one: one.at, default=None)
        if figure.usage is None:
            yield SpanUsage(span, figure, None, False, revision)
            continue
        cost = registers.cost(figure.counted_from, figure.counted_until)
        yield SpanUsage(span, figure, cost.micro, cost.whole and figure.complete, revision)


def notes(found: Sequence[SpanUsage], zone: str) -> list[str]:
    """Return why spans have no usage or not all of theirs, at most NOTES_MAX reasons."""
    if any(bound % HOUR_MS for one in found for bound in one.span):
        return [
            f"hours or days of {zone} begin off the hour of UTC, on which alone registers are known; "
            "those have no figure"
        ]
    gaps = list(dict.fromkeys(one.figure.gap for one in found if one.figure.gap))
    told = [f"from {_start_of(gap, found, zone)}: {gap}" for gap in gaps[:NOTES_MAX]]
    return told if len(gaps) <= NOTES_MAX else [*told, f"and {len(gaps) - NOTES_MAX} reasons more"]


def _start_of(gap: str, found: Sequence[SpanUsage], zone: str) -> str:
    return next(local_time(one.span.start, zone) for one in found if one.figure.gap == gap)


def _default_start(by: By, end: datetime.date) -> datetime.date:
    if by is not By.MONTH:
        return end - DEFAULT_DAYS[by] * DAY
    months = (end - DAY).year * 12 + (end - DAY).month - DEFAULT_MONTHS
    return datetime.date(months // 12, months % 12 + 1, 1)


def _month_cuts(dates: DateRange) -> Iterator[datetime.date]:
    """Yield the range's start and each first of a month within it."""
    date = dates.start
    while date < dates.end:
        yield date
        date = next_month(date)
