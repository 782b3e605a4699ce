"""The continued register at each hour's bound: measured where a heartbeat is near, filled in where none is.

A silence between two trusted points has a known usage; it is spread over its hours and never dumped into one.
Where no later point is known it is projected, and `open` says how much of it nothing bounds.
"""

import dataclasses

import numpy as np

from batch.vee.levels import POINTS
from batch.vee.meter_days import HOURS, NEVER, Carried, Flags, Ints
from batch.vee.shares import share
from infra.contracts.durations import DAY_MS, HOUR_MS

BOUNDS = HOURS + 1
NEAR_MS_MAX = 60_000
"""A bound is measured if a heartbeat was heard so shortly before it."""
SHORT_MS_MAX = 2 * HOUR_MS
"""A silence up to here is spread evenly over its time, a longer one by the household's own past."""
DAY_PARTS = 1_000_000
"""What a day's expected usage is scaled to, so that a part of an hour loses little to rounding."""


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The continued register as of each bound, [meter, 25], and how each hour between them is known."""

    level: Ints
    interpolated: Flags
    estimated: Flags
    projected: Flags
    open: Ints
    """What of the level at the day's end is projected."""
    anchor_at: Ints
    """When the newest trusted heartbeat was sent."""


def bounds(trusted: Flags, at: Ints, level: Ints, carried: Carried, weights: Ints, rated: Flags) -> Bounds:
    """Return the bounds; `weights` are an hour's usage [meter, 24] as it may be expected, in units.

    Where they are what the meter's own rates say, `rated`, they hold for the shortest silence too.
    """
    count = len(trusted)
    rows = np.arange(count)
    expected = _Expected.of(weights, carried.open)
    parts = expected.in_parts()
    rated_before = np.zeros((count, BOUNDS), np.int64)
    rated_before[:, 1:] = np.cumsum(rated, axis=1)
    known = np.zeros((count, BOUNDS), np.int64)
    near, short, has_next = (np.zeros((count, BOUNDS), np.bool_) for _ in range(3))
    before, after = _latest(trusted), _next(trusted)
    first = level[rows, np.argmax(trusted, axis=1)]
    for bound in range(BOUNDS):
        now = np.full(count, bound * HOUR_MS)
        point, following = before[:, bound], after[:, bound]
        some, more = point >= 0, following >= 0
        from_at, from_level = at[rows, point], level[rows, point]
        to_at, gained = at[rows, following], level[rows, following] - from_level
        near[:, bound] = ~some | (now - from_at <= NEAR_MS_MAX)
        short[:, bound] = more & (to_at - from_at <= SHORT_MS_MAX)
        has_next[:, bound] = more
        # One silence is spread one way: two ways that meet in it could fall from one bound to the next.
        since, until = _hour_of(from_at), _hour_of(to_at) + 1
        by_rates = (from_at >= 0) & (rated_before[rows, until] - rated_before[rows, since] == until - since)
        part, whole = parts.between(from_at, now), parts.between(from_at, to_at)
        evenly = share(gained, (now - from_at) // 1_000, (to_at - from_at) // 1_000)
        even = (short[:, bound] & ~by_rates) | (whole <= 0)
        filled = from_level + np.where(even, evenly, share(gained, part, whole))
        projected = from_level + expected.projected(from_at, now)
        known[:, bound] = np.where(
            ~some, first, np.where(near[:, bound], from_level, np.where(more, filled, projected))
        )
    newest = before[:, -1]
    anchor = np.where(newest >= 0, level[rows, newest], 0)
    anchor_at = np.where(newest >= 0, at[rows, newest], NEVER)
    return Bounds(
        level=known,
        interpolated=_hours(~near & short),
        estimated=_hours(~near & ~short & has_next),
        projected=_hours(~near & ~has_next),
        open=known[:, -1] - anchor,
        anchor_at=anchor_at,
    )


def _hour_of(instant: Ints) -> Ints:
    """Return the hour of the day of an instant, the first or the last for one outside."""
    hour: Ints = np.clip(instant, 0, DAY_MS - 1) // HOUR_MS
    return hour


def _hours(filled: Flags) -> Flags:
    """Return the hours that one of these bounds begins or ends."""
    return filled[:, 1:] | filled[:, :-1]


def _latest(trusted: Flags) -> Ints:
    """Return for each bound the index of the newest trusted point before it, -1 if there is none."""
    found = np.where(trusted, np.arange(POINTS), -1)
    latest: Ints = np.maximum.accumulate(found, axis=1)[:, ::2]
    return latest


def _next(trusted: Flags) -> Ints:
    """Return for each bound the index of the first trusted point from it on, -1 if there is none."""
    found = np.where(trusted, np.arange(POINTS), POINTS)
    following = np.full((len(trusted), BOUNDS), -1, np.int64)
    following[:, :-1] = np.minimum.accumulate(found[:, ::-1], axis=1)[:, ::-1][:, 1::2]
    return np.where(following == POINTS, -1, following)


@dataclasses.dataclass(frozen=True)
class _Expected:
    """What usage to expect: [meter, 25] sums up to each bound, and what was projected before the day."""

    sums: Ints
    before: Ints

    @classmethod
    def of(cls, weights: Ints, before: Ints) -> "_Expected":
        sums = np.zeros((len(weights), BOUNDS), np.int64)
        sums[:, 1:] = np.cumsum(np.maximum(weights, 0), axis=1)
        return cls(sums, np.maximum(before, 0))

    def in_parts(self) -> "_Expected":
        """Return the same, a day scaled to DAY_PARTS; nothing where nothing is expected of the day."""
        day = self.sums[:, -1]
        whole = np.maximum(day, 1)
        before = np.where(day > 0, self.before * DAY_PARTS // whole, 0)
        return _Expected(self.sums * DAY_PARTS // whole[:, None], before)

    def projected(self, since: Ints, until: Ints) -> Ints:
        """Return what to expect between two instants, the later one within the day, as published so far."""
        today = self._at(until) - self._at(np.maximum(since, 0))
        expected: Ints = today + np.where(since < 0, self.before, 0)
        return expected

    def between(self, since: Ints, until: Ints) -> Ints:
        """Return the same for a silence that has ended: also of the time before the day."""
        # Nothing was projected up to a day that a heartbeat was heard just before.
        lasted = np.where(self.before > 0, 0, np.clip(-since, 0, DAY_MS))
        expected: Ints = self.projected(since, until) + self.sums[:, 1] * lasted // HOUR_MS
        return expected

    def _at(self, instant: Ints) -> Ints:
        """Return the sum up to an instant of the day, parts of an hour by time."""
        inside = np.clip(instant, 0, DAY_MS)
        hour = np.minimum(inside // HOUR_MS, HOURS - 1)
        rows = np.arange(len(self.sums))
        begun = self.sums[rows, hour]
        whole: Ints = begun + (self.sums[rows, hour + 1] - begun) * (inside - hour * HOUR_MS) // HOUR_MS
        return whole
