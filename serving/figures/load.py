"""The country's load over a day, and today's forecast: pure.

The forecast of an hour is what the newest published night used in that hour of UTC, scaled by today's pace:
what the finished hours of today came to, against the same hours of that night.
"""

import bisect
import datetime
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import LOAD_SLOT_MS
from infra.contracts.utility import UTILITIES, Utility
from serving.figures.regions import Parts

SLOTS_AN_HOUR = HOUR_MS // LOAD_SLOT_MS
Course = Mapping[Utility, Sequence[tuple[int, int]]]  # (ms since 1970, rate), ascending


class LoadPoint(NamedTuple):
    """The summed rate of 5 minutes that begin at `start`, by utility; None where no region told one."""

    start: int
    rates: Mapping[Utility, int | None]


class Pattern(NamedTuple):
    """What each UTC hour of a published night used, by utility."""

    night: datetime.date
    hours: Mapping[Utility, Sequence[int]]


def country_load(
    courses: Mapping[str, Course], made_of: Mapping[Utility, Parts], now_ms: int
) -> list[LoadPoint]:
    """Return the load of the last day, up to the 5 minutes that run, of the regions that a sum is made of.

    A region that told none of some 5 minutes counts by those just before, no longer. Of those hidden in OTHER
    each counts on by what it told last, and all or none do: its absence would tell it.
    """
    newest = now_ms - now_ms % LOAD_SLOT_MS
    slots = range(newest - DAY_MS + LOAD_SLOT_MS, newest + 1, LOAD_SLOT_MS)
    sums: dict[Utility, dict[int, int]] = {utility: {} for utility in UTILITIES}
    for utility, (single, other) in made_of.items():
        told = [_told(courses.get(code, {}).get(utility, ()), slots, LOAD_SLOT_MS) for code in single]
        hidden = [_told(courses.get(code, {}).get(utility, ()), slots, None) for code in other]
        for at in slots:
            rates = [course[at] for course in told if at in course]
            if hidden and all(at in course for course in hidden):
                rates += [course[at] for course in hidden]
            if rates:
                sums[utility][at] = sum(rates)
    return [LoadPoint(at, {utility: sums[utility].get(at) for utility in UTILITIES}) for at in slots]


def forecast(points: Sequence[LoadPoint], pattern: Pattern, now_ms: int) -> list[LoadPoint]:
    """Return the forecast mean rate of each UTC hour of today, those that are over included."""
    midnight = now_ms - now_ms % DAY_MS
    paces = {
        utility: _pace(points, pattern.hours.get(utility, ()), utility, midnight, now_ms)
        for utility in UTILITIES
    }
    return [
        LoadPoint(
            midnight + hour * HOUR_MS,
            {utility: _scaled(pattern.hours.get(utility, ()), hour, paces[utility]) for utility in UTILITIES},
        )
        for hour in range(DAY_MS // HOUR_MS)
    ]


def _told(course: Sequence[tuple[int, int]], slots: range, age_ms_max: int | None) -> dict[int, int]:
    """Return the rate of each 5 minutes, from the newest before that is no older than `age_ms_max`."""
    starts = [at for at, _ in course]
    found = {}
    for at in slots:
        place = bisect.bisect_right(starts, at) - 1
        # The first window of the 5 minutes that run may not have ended yet.
        if place >= 0 and (age_ms_max is None or at - starts[place] <= age_ms_max):
            found[at] = course[place][1]
    return found


def _pace(
    points: Sequence[LoadPoint], hours: Sequence[int], utility: Utility, midnight: int, now_ms: int
) -> tuple[int, int] | None:
    """Return today's finished hours and the same hours of the pattern; None where neither tells."""
    if not hours:
        return None
    rates = {point.start: rate for point in points if (rate := point.rates[utility]) is not None}
    today = before = 0
    for hour in range((now_ms - midnight) // HOUR_MS):
        begin = midnight + hour * HOUR_MS
        of_hour = [rates[at] for at in range(begin, begin + HOUR_MS, LOAD_SLOT_MS) if at in rates]
        if len(of_hour) == SLOTS_AN_HOUR:
            today += sum(of_hour) // SLOTS_AN_HOUR
            before += hours[hour]
    return (today, before) if today and before else (1, 1)


def _scaled(hours: Sequence[int], hour: int, pace: tuple[int, int] | None) -> int | None:
    """Return an hour's usage as a rate at a pace: Wh in an hour are W."""
    return None if pace is None else hours[hour] * pace[0] // pace[1]
