"""A meter of which whole measured hours tell all, as of nearly every one: its hours in one list.

Days are then pieces of the list. It comes to what two registers an hour do, for a small part of the work, and
leaves to them whatever is not plain.
"""

import operator
from collections.abc import Mapping
from typing import NamedTuple

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import LiveMeter
from infra.contracts.utility import Utility
from serving.figures.truth import ALL_MEASURED, Layer, Truth, UsageDay


class PlainDay(NamedTuple):
    """A day's hours from its start on, whole ones, and the one that runs, None once the day has ended.

    Registers up to `truth_until` are the truth's, those after it live state's, the last as of `newest_at`.
    """

    hours: tuple[int, ...]
    running: int | None
    truth_until: int
    newest_at: int

    def layers(self, start: int, until: int) -> tuple[Layer, ...]:
        """Return which layers tell the usage between two instants."""
        if until <= self.truth_until:
            return (Layer.TRUTH,)
        return (Layer.LIVE,) if start > self.truth_until else (Layer.TRUTH, Layer.LIVE)


class PlainMeter(NamedTuple):
    """The usage of each whole hour since an instant (ms), and of the hour that runs up to `newest_at`."""

    since: int
    hours: list[int]
    running: int
    truth_until: int
    newest_at: int
    month_cost: int | None

    def day(self, start: int, end: int) -> PlainDay | None:
        """Return the local day [start, end), None where the hours do not tell it."""
        first, whole = (start - self.since) // HOUR_MS, len(self.hours)
        # A day that begins with the first hour may be one of a meter that was born in it.
        if not 0 < first <= whole or start % HOUR_MS or end % HOUR_MS:
            return None
        last = (end - self.since) // HOUR_MS
        running = self.running if whole < last else None
        return PlainDay(tuple(self.hours[first:last]), running, self.truth_until, self.newest_at)


def plain_meter(truth: Truth, utility: Utility, live: LiveMeter | None) -> PlainMeter | None:
    """Return a meter as whole hours up to its newest heartbeat, None where more is to be said of it."""
    rows, until = truth.by_utility.get(utility), truth.truth_until
    if not rows or until is None or live is None or live.sent_at < until:
        return None
    newest_at = live.sent_at + 1
    hours = _published(rows, until)
    if hours is None or newest_at % HOUR_MS == 0:
        return None
    newest_row = rows[until - DAY_MS]
    since_published = _live(newest_row, until, live, newest_at)
    if since_published is None:
        return None
    *whole, running = since_published
    hours += whole
    since = until - len(rows) * DAY_MS
    return PlainMeter(since, hours, running, until, newest_at, newest_row.month_cost)


def _published(rows: Mapping[int, UsageDay], until: int) -> list[int] | None:
    """Return the hours of rows that end with `until`, each measured and going on from the one before."""
    hours: list[int] = []
    night = until - len(rows) * DAY_MS
    register = None
    for row in rows.values():
        odd = row.quality != ALL_MEASURED or row.register_offset or row.revision
        follows = row.night_ms == night and (register is None or register == row.register_start)
        if odd or not follows or row.first_sent_at is not None:
            return None
        hours += row.hours
        night += DAY_MS
        register = row.register_start + sum(row.hours)
    return hours if min(hours) >= 0 else None


def _live(newest_row: UsageDay, until: int, live: LiveMeter, newest_at: int) -> list[int] | None:
    """Return the hours since `until` by a dial that only rose, the one that runs as the last."""
    first, running = until // HOUR_MS, newest_at // HOUR_MS
    # The first mark may be a meter's beginning, which is not the end of an hour.
    if not live.marks or live.first_hour >= first:
        return None
    marks = live.marks[first - live.first_hour : running - live.first_hour]
    registers = [newest_row.register_start + sum(newest_row.hours), *marks, live.register]
    if len(marks) < running - first or registers != sorted(registers):
        return None
    return list(map(operator.sub, registers[1:], registers))
