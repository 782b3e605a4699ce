"""A meter's month so far with its forecast, and the same day of last week: pure, on the lambda equation."""

import datetime
import itertools
from typing import NamedTuple

from infra.contracts.durations import DAY_MS, HOUR_MS
from serving.figures.figure import Figure, judged_now
from serving.figures.household import usage_between
from serving.figures.local_days import LocalDay, local_date, local_day, midnight
from serving.figures.registers import MeterRegisters
from serving.figures.usage_range import DAY, DateRange

# A month, or the days of the mean, whichever reach further back; and a night before them.
LOOK_BACK_DAYS = 33
MEAN_DAYS_MAX, MEAN_DAYS_MIN = 28, 3
WEEK = 7 * DAY
CLOCK = slice(11, 16)  # of a local time


class Month(NamedTuple):
    """The local month so far: usage up to now, energy cost up to T in micro-cents, and what it will come to.

    `days_counted` are the complete days before T that the forecast's mean is of.
    """

    dates: DateRange
    usage: Figure
    cost_micro: int | None
    forecast_micro: int | None
    days_counted: int


class Summary(NamedTuple):
    """What is told of a meter beside today and yesterday."""

    week_ago: datetime.date
    week_ago_usage: int | None
    week_ago_until_same_hour: int | None
    month: Month


def summarised(registers: MeterRegisters, truth_until: int, zone: str, now_ms: int) -> Summary:
    """Return a meter's summary at an instant; `truth_until` is T, 0 where no night is known."""
    today = local_date(now_ms, zone)
    before = local_day(today - WEEK, zone)
    day = local_day(today, zone)
    passed = (now_ms - day.start) // HOUR_MS
    same_hour = _same_hour(before, day.labels[passed], before.start + passed * HOUR_MS)
    return Summary(
        today - WEEK,
        _whole(usage_between(registers, before.start, before.end, zone)),
        _whole(usage_between(registers, before.start, same_hour, zone)) if passed else 0,
        _month(registers, truth_until, today, zone, now_ms),
    )


def _same_hour(day: LocalDay, label: str, otherwise: int) -> int:
    """Return when the clock of another day shows the hour of a label; it may skip that one."""
    clock = label[CLOCK]
    shown = (at for at, one in zip(day.hours, day.labels, strict=True) if one[CLOCK] == clock)
    return next(shown, min(otherwise, day.end))


def _month(
    registers: MeterRegisters, truth_until: int, today: datetime.date, zone: str, now_ms: int
) -> Month:
    first = today.replace(day=1)
    dates = DateRange(first, (first + 31 * DAY).replace(day=1))
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
    if truth_until <= start:
        return 0 if registers.known else None
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
