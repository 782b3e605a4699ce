"""A meter's day so far beside other days, and its month with a forecast: pure, on the lambda equation."""

import datetime
import itertools
from typing import NamedTuple

from infra.contracts.durations import DAY_MS, HOUR_MS
from serving.figures.figure import Figure, judged_now
from serving.figures.household import usage_between
from serving.figures.local_days import at_clock, local_clock, local_date, local_day, midnight
from serving.figures.registers import MeterRegisters
from serving.figures.usage_range import DAY, DateRange, next_month

# A month, or the days of the mean, whichever reach further back; and a night before them.
LOOK_BACK_DAYS = 33
MEAN_DAYS_MAX, MEAN_DAYS_MIN = 28, 3
WEEK = 7 * DAY


class Month(NamedTuple):
    """The local month so far: usage up to now, energy cost up to T in micro-cents, and what it will come to.

    `days_counted` are the complete days before T that the forecast's mean is of.
    """

    dates: DateRange
    usage: Figure
    cost_micro: int | None
    forecast_micro: int | None
    days_counted: int


class SoFar(NamedTuple):
    """Usage of today and of other days from midnight until their clocks show what it was at `until`.

    `until` is the end of the last full hour of today that is known, today's midnight where none is.
    """

    until: int
    today: int | None
    yesterday: int | None
    week_ago: int | None


class Summary(NamedTuple):
    """What is told of a meter beside today and yesterday."""

    so_far: SoFar
    week_ago: datetime.date
    week_ago_usage: int | None
    month: Month


def summarised(registers: MeterRegisters, truth_until: int, zone: str, now_ms: int) -> Summary:
    """Return a meter's summary at an instant; `truth_until` is T, 0 where no night is known."""
    today = local_date(now_ms, zone)
    before = local_day(today - WEEK, zone)
    return Summary(
        _so_far(registers, today, zone, now_ms),
        today - WEEK,
        _whole(usage_between(registers, before.start, before.end, zone)),
        _month(registers, truth_until, today, zone, now_ms),
    )


def _so_far(registers: MeterRegisters, today: datetime.date, zone: str, now_ms: int) -> SoFar:
    start = midnight(today, zone)
    known_until = min(now_ms, registers.newest[0]) if registers.newest else start
    until = start + max(0, known_until - start) // HOUR_MS * HOUR_MS
    if until == start:
        return SoFar(start, None, None, None)
    clock = local_clock(until, zone)

    def usage(date: datetime.date, end: int) -> int | None:
        return _whole(usage_between(registers, midnight(date, zone), end, zone))

    yesterday, week_ago = today - DAY, today - WEEK
    return SoFar(
        until,
        usage(today, until),
        usage(yesterday, at_clock(yesterday, clock, zone)),
        usage(week_ago, at_clock(week_ago, clock, zone)),
    )


def _month(
    registers: MeterRegisters, truth_until: int, today: datetime.date, zone: str, now_ms: int
) -> Month:
    first = today.replace(day=1)
    dates = DateRange(first, next_month(first))
    start, end = (midnight(date, zone) for date in dates)
    usage = judged_now(usage_between(registers, start, end, zone), start, now_ms)
    cost = _cost_so_far(registers, start, truth_until, zone)
    days = _complete_days(registers, today, truth_until, zone)
    forecast = None
    if cost is not None and len(days) >= MEAN_DAYS_MIN:
        forecast = cost + sum(days) * (end - max(start, truth_until)) // (len(days) * DAY_MS)
    return Month(dates, usage, cost, forecast, len(days))


def _cost_so_far(registers: MeterRegisters, start: int, truth_until: int, zone: str) -> int | None:
    """Return what the month's energy up to T cost, None where a price or a register is not known."""
    if not truth_until:
        return None
    # Of who moved in within the month batch tells what it cost since; the days before have no price.
    told = registers.month_cost_since(start)
    if told is not None or truth_until <= start:
        return told
    figure = usage_between(registers, start, truth_until, zone)
    if figure.usage is None:
        return None
    cost = registers.cost(figure.counted_from, figure.counted_until)
    return cost.micro if cost.whole else None


def _complete_days(registers: MeterRegisters, today: datetime.date, truth_until: int, zone: str) -> list[int]:
    """Return what each of the newest days cost that are published whole, MEAN_DAYS_MAX at most."""
    costs = []
    bounds = [midnight(today - days * DAY, zone) for days in range(MEAN_DAYS_MAX + 2)]
    for end, start in itertools.pairwise(bounds):
        if end <= truth_until and usage_between(registers, start, end, zone).complete:
            cost = registers.cost(start, end)
            if cost.whole and cost.micro is not None:
                costs.append(cost.micro)
    return costs[:MEAN_DAYS_MAX]


def _whole(figure: Figure) -> int | None:
    return figure.usage if figure.complete else None
