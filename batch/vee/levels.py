"""Follows each dial through its day: counts on when it begins anew, sets aside what cannot be.

Every hour offers two points, its first and its last heartbeat. A point is trusted if the register can have
come there from the last trusted one; what others would have said is left to later points.
"""

import dataclasses

import numpy as np

from batch.vee.astray import Astray, Before
from batch.vee.meter_days import HOURS, NEVER, Flags, Ints, MeterDays
from infra.contracts.durations import DAY_MS, HOUR_MS

POINTS = 1 + 2 * HOURS
SLACK_MS = 10_000
SLACK_UNITS = 20
FLOW_FACTOR = 2
"""How far a register may outrun the rates that were reported meanwhile."""
RETURN_PARTS = 20
"""A register that went astray is back once it has moved as the rates say, but for one part of so many."""
PARTS = 4
"""A register is off its rates if it outran them, or lags behind them, by one part of so many."""
LASTED_MS_MAX = 10 * 365 * DAY_MS
ASTRAY_HOURS_MIN = 3
"""A register that stays away for so long is where it is: counting goes on from there."""


@dataclasses.dataclass(frozen=True)
class Levels:
    """The trusted points of each meter's day, and what was found on the way.

    Points are [meter, 1 + 2 * hours]: where the night before left off, then two an hour; `level` is the
    continued register. The others are a figure a meter, or a flag a meter and hour.
    """

    trusted: Flags
    at: Ints
    level: Ints
    raw_start: Ints
    raw_end: Ints
    offset: Ints
    turned: Ints
    """Added for rollovers."""
    reset: Ints
    """Added for dials that began again at 0."""
    exchanged: Ints
    """Added for replaced meters: what the old one showed at last less what the new one showed at first."""
    quarantined: Ints
    """Left out for good: jumps that no later register took back. Negative for falls."""
    spike: Flags
    negative: Flags
    impossible: Flags
    rolled: Flags
    reset_at: Flags
    exchanged_at: Flags


def follow(days: MeterDays, distrusted_first: Flags, distrusted_last: Flags) -> Levels:
    """Return the levels of meters' days; points that are distrusted beforehand are not asked."""
    walk = _Walk(days)
    for hour in range(HOURS):
        walk.through(hour, distrusted_first[:, hour], distrusted_last[:, hour])
    walk.settle()
    return walk.levels()


class _Walk:
    """The state of all dials at one moment of the day."""

    def __init__(self, days: MeterDays) -> None:
        count = len(days)
        carried = days.carried
        self._days = days
        self._known = carried.known.copy()
        self._at = np.where(carried.known, carried.at, NEVER)
        self._raw = np.where(carried.known, carried.raw, 0)
        self._offset = np.where(carried.known, carried.offset, 0)
        self._raw_start = self._raw.copy()
        # What the rates came to since the last trusted point, and for how long they were heard.
        self._flow = np.where(carried.known, carried.open, 0)
        self._heard_ms = np.zeros(count, np.int64)
        # What flowed while the dial lagged behind, and it may show all at once.
        self._owed = np.zeros(count, np.int64)
        self._before = Before(np.full(count, -1), *np.zeros((4, count), np.int64))
        self._exchange_due = days.master.exchange_at != NEVER
        self._trusted = np.zeros((count, POINTS), np.bool_)
        self._point_at = np.zeros((count, POINTS), np.int64)
        self._level = np.zeros((count, POINTS), np.int64)
        self._trusted[:, 0] = carried.known
        self._point_at[:, 0] = self._at
        self._level[:, 0] = self._raw + self._offset
        self._sums = {name: np.zeros(count, np.int64) for name in ("turned", "reset", "exchanged", "jumped")}
        names = ("spike", "negative", "impossible", "rolled", "reset", "exchanged")
        self._flags = {name: np.zeros((count, HOURS), np.bool_) for name in names}
        self._astray = Astray.none(count)

    def through(self, hour: int, distrusted_first: Flags, distrusted_last: Flags) -> None:
        """Go through one hour: its first heartbeat, then its last."""
        heard = self._days.heard
        here = heard.any[:, hour]
        begins = here & ~self._known
        begins_high = self._begin(begins, hour)
        first, least, greatest = heard.first[:, hour], heard.least[:, hour], heard.greatest[:, hour]
        at, last = heard.first_at[:, hour], heard.last[:, hour]
        asked = here & (~distrusted_first | begins)
        limit = self._limit(at)
        taken = self._ask(asked, 1 + 2 * hour, at, np.where(begins, self._raw, first), limit, self._raw)
        # A spike on the very first heartbeat leaves the least register of the hour to go by.
        spiked = asked & ~taken & (first > least) & (first - self._raw > limit)
        rescued = spiked & self._ask(spiked, 1 + 2 * hour, at, least, limit, self._raw)
        self._flags["spike"][:, hour] |= rescued
        first_refused = asked & ~taken & ~rescued
        self._astray.end(taken | rescued)
        self._astray.away |= first_refused
        self._astray.low |= first_refused & (first < self._raw)

        at = heard.last_at[:, hour]
        asked = here & ~distrusted_last
        self._count_flow(hour, here & ~distrusted_first & ~distrusted_last)
        within = self._limit(at)
        before = np.where(greatest - self._raw <= within, np.maximum(greatest, self._raw), self._raw)
        base = self._raw.copy()
        taken = self._ask(asked, 2 + 2 * hour, at, last, within, before)
        refused = asked & ~taken
        only_first = first_refused & taken
        # One that fell is still low where it has passed the point that it fell from, but not its course.
        fell = (last < base) | (self._astray.low & (last - base <= within))
        low = (refused & fell) | (only_first & (first - base <= limit))
        high = (refused | only_first) & ~low
        self._flags["spike"][:, hour] |= high
        self._flags["negative"][:, hour] |= low
        sound = here & ~refused & ~first_refused & ~rescued & ~begins_high
        self._note_excursions(hour, sound, within)
        self._astray.note(refused, taken, low, last, at, self._flow, hour)

    def settle(self) -> None:
        """Count on from where a register is that stayed astray to the day's end; take meters out unheard."""
        astray = self._astray
        moved = np.maximum(astray.raw - astray.raw_first, 0) + astray.flow_first
        stays = (astray.hours >= ASTRAY_HOURS_MIN) & (moved <= self._limit(astray.at))
        rows = np.flatnonzero(stays)
        offset = self._raw[rows] + self._offset[rows] + moved[rows] - astray.raw[rows]
        jumped = self._offset[rows] - offset
        self._sums["jumped"][rows] += jumped
        since = np.arange(HOURS) >= astray.since[rows, None]
        high = since & (jumped > 0)[:, None]
        self._flags["impossible"][rows] |= high
        self._flags["spike"][rows] &= ~high
        self._raw[rows], self._offset[rows], self._at[rows] = astray.raw[rows], offset, astray.at[rows]
        self._trust(rows, astray.point[rows])
        self._before.point[rows] = -1
        self._doubt_last()
        self._exchange_unheard()

    def levels(self) -> Levels:
        """Return what the walk came to."""
        sums, flags = self._sums, self._flags
        return Levels(
            trusted=self._trusted,
            at=self._point_at,
            level=self._level,
            raw_start=self._raw_start,
            raw_end=self._raw,
            offset=self._offset,
            turned=sums["turned"],
            reset=sums["reset"],
            exchanged=sums["exchanged"],
            quarantined=sums["jumped"],
            spike=flags["spike"],
            negative=flags["negative"],
            impossible=flags["impossible"],
            rolled=flags["rolled"],
            reset_at=flags["reset"],
            exchanged_at=flags["exchanged"],
        )

    def _trust(self, rows: Ints, point: Ints) -> None:
        """Trust a point each of some meters, where they are now."""
        self._trusted[rows, point] = True
        self._point_at[rows, point] = self._at[rows]
        self._level[rows, point] = self._raw[rows] + self._offset[rows]

    def _begin(self, new: Flags, hour: int) -> Flags:
        """Let meters begin that were never heard before; return which of them with a spike."""
        heard = self._days.heard
        first, least, last = heard.first[:, hour], heard.least[:, hour], heard.last[:, hour]
        lasted = heard.last_at[:, hour] - heard.first_at[:, hour]
        # Nothing is known of a meter whose first heartbeat is a spike but that all others are lower.
        lower = new & (first == heard.greatest[:, hour]) & (first > last) & ~self._exchange_due
        began_anew = np.minimum(last, last + self._days.master.dial - first) <= self._carried(lasted)
        spiked: Flags = lower & ~began_anew
        self._flags["spike"][:, hour] |= spiked
        begun = np.where(spiked, least, first)
        for column, value in (
            (self._raw, begun),
            (self._raw_start, begun),
            (self._at, heard.first_at[:, hour]),
        ):
            column[new] = value[new]
        self._known |= new
        # An exchange before the first heartbeat is none for who has no past.
        self._exchange_due &= ~(new & (self._days.master.exchange_at <= self._at))
        return spiked

    def _doubt_last(self) -> None:
        """Leave the day's last point to the next night if it outran the rates: it may be a spike."""
        before = self._before
        ends = before.point == POINTS - 1
        silent = self._carried(self._at - before.at - before.heard_ms)
        outran = self._raw - before.raw - before.flow > before.flow // PARTS + silent
        self._undo(np.flatnonzero(ends & outran))

    def _exchange_unheard(self) -> None:
        """Exchange meters that were not heard from their exchange to the day's end, by the fitter's reads."""
        master = self._days.master
        last_at = np.where(self._days.heard.any, self._days.heard.last_at, NEVER).max(axis=1)
        at = master.exchange_at
        rows = np.flatnonzero(self._exchange_due & self._known & (np.maximum(last_at, self._at) < at))
        gained = (master.exchange_final - self._raw)[rows]
        sound = (gained >= 0) & (gained <= self._limit(at)[rows])
        step = self._raw[rows] + np.where(sound, gained, 0) - master.exchange_initial[rows]
        self._sums["exchanged"][rows] += step
        self._raw[rows] = master.exchange_initial[rows]
        self._offset[rows] += step
        hour = at[rows] // HOUR_MS
        self._flags["exchanged"][rows, hour] = True
        known, hour = rows[sound], hour[sound]
        self._at[known] = at[known]
        # What was heard before in that hour tells of none of its bounds any more.
        self._trust(known, 2 + 2 * hour)

    def _count_flow(self, hour: int, believed: Flags) -> None:
        """Add what the rates of an hour come to; a register that stood tells nothing of what flowed."""
        heard = self._days.heard
        covered = heard.covered_ms[:, hour]
        flow = np.where(believed, np.minimum(heard.flow[:, hour], self._carried(covered)), 0)
        self._flow += flow
        self._heard_ms += np.where(believed, covered, 0)

    def _carried(self, lasted_ms: Ints) -> Ints:
        """Return what the connection can carry in a time."""
        lasted_s = np.clip(lasted_ms + SLACK_MS, 0, LASTED_MS_MAX) // 1_000
        limit: Ints = self._days.master.rate_max * lasted_s // (HOUR_MS // 1_000) + SLACK_UNITS
        return limit

    def _limit(self, at: Ints) -> Ints:
        """Return how far a register can have come since its last trusted point.

        That is what the rates say of the time they were heard, and what the connection can carry in the rest.
        """
        return self._limit_since(at - self._at, self._flow, self._heard_ms)

    def _limit_since(self, lasted: Ints, flow: Ints, heard_ms: Ints) -> Ints:
        by_rates = FLOW_FACTOR * flow + self._carried(lasted - heard_ms)
        return np.minimum(self._carried(lasted), by_rates) + self._owed + self._owed // PARTS

    def _ask(self, asked: Flags, point: int, at: Ints, value: Ints, limit: Ints, before: Ints) -> Flags:
        """Trust a point if the register can have come there; `before` is the most it showed on the way."""
        master = self._days.master
        replaced = asked & self._exchange_due & (master.exchange_at <= at)
        limit = np.where(self._take_back(asked & ~replaced, at, value, limit), self._limit(at), limit)
        raw = self._raw
        step = np.where(replaced, master.exchange_final - master.exchange_initial, 0)
        moved = value - raw + step
        # One that went astray and meets where it was by and by is not back on its course.
        low, high = self._astray.low, self._astray.away & ~self._astray.low
        off = self._flow // RETURN_PARTS + SLACK_UNITS
        most = self._flow + off + self._carried(at - self._at - self._heard_ms) + self._owed
        back = (~low | (moved >= self._flow - off)) & (~high | (moved <= most))
        plain = asked & (moved >= 0) & (moved <= limit) & back
        falls = asked & ~plain & ~replaced & (value < raw)
        # A dial that showed more than it is said to show at most does not turn there.
        turned = falls & (raw < master.dial) & (value + master.dial - raw <= limit)
        # A dial that began again at 0 has counted since then what it shows.
        reset = falls & ~turned & (value + before - raw <= limit)
        taken: Flags = plain | turned | reset
        exchanged = plain & replaced
        self._remember(taken, plain & ~replaced, point)
        added = np.select([exchanged, turned, reset], [step, master.dial, before], 0)
        hour = (point - 1) // 2
        for name, found in (("exchanged", exchanged), ("turned", turned), ("reset", reset)):
            self._sums[name] += np.where(found, added, 0)
            self._flags["rolled" if name == "turned" else name][:, hour] |= found
        self._exchange_due &= ~exchanged
        self._offset = np.where(taken, self._offset + added, self._offset)
        self._note_lag(taken, moved + np.where(exchanged, 0, added))
        self._raw = np.where(taken, value, raw)
        self._at = np.where(taken, at, self._at)
        self._flow[taken] = 0
        self._heard_ms[taken] = 0
        self._trusted[:, point] |= taken
        self._point_at[:, point] = np.where(taken, at, self._point_at[:, point])
        self._level[:, point] = np.where(taken, self._raw + self._offset, self._level[:, point])
        return taken

    def _note_lag(self, taken: Flags, gained: Ints) -> None:
        """Keep what the rates say that a dial has not shown yet, until it keeps up with them for an hour."""
        behind = self._flow - gained
        lags = behind > self._flow // PARTS + SLACK_UNITS
        owed = np.where(lags | (self._flow == 0), np.maximum(self._owed + behind, 0), 0)
        self._owed = np.where(taken, owed, self._owed)

    def _remember(self, taken: Flags, plain: Flags, point: int) -> None:
        """Keep the state before points about to be trusted; one at which a dial began anew stands."""
        before = self._before
        before.point = np.where(taken, np.where(plain, point, -1), before.point)
        for name, value in (
            ("raw", self._raw),
            ("at", self._at),
            ("flow", self._flow),
            ("heard_ms", self._heard_ms),
        ):
            setattr(before, name, np.where(taken, value, getattr(before, name)))

    def _take_back(self, asked: Flags, at: Ints, value: Ints, limit: Ints) -> Flags:
        """Distrust the newest point where this value fits what came before it, and the rates, better."""
        before, dial = self._before, self._days.master.dial
        flow, heard_ms = before.flow + self._flow, before.heard_ms + self._heard_ms
        moved = value - before.raw
        falls = asked & (before.point >= 0) & (value < self._raw) & ~self._astray.low
        begins_anew = (np.abs(value + dial - self._raw) <= limit) | (value <= limit)
        fits = (moved >= 0) & (moved <= self._limit_since(at - before.at, flow, heard_ms))
        better = np.abs(moved - flow) < np.abs(self._raw - before.raw - before.flow)
        taken_back: Flags = falls & ~begins_anew & fits & better
        self._undo(np.flatnonzero(taken_back))
        return taken_back

    def _undo(self, rows: Ints) -> None:
        """Take the newest point of some meters for a spike."""
        before = self._before
        self._trusted[rows, before.point[rows]] = False
        self._flags["spike"][rows, (before.point[rows] - 1) // 2] = True
        self._raw[rows], self._at[rows] = before.raw[rows], before.at[rows]
        self._flow[rows] += before.flow[rows]
        self._heard_ms[rows] += before.heard_ms[rows]
        before.point[rows] = -1

    def _note_excursions(self, hour: int, sound: Flags, limit: Ints) -> None:
        """Note registers that left their course within an hour whose ends are trusted."""
        heard = self._days.heard
        explained = self._flags["rolled"][:, hour] | self._flags["reset"][:, hour]
        explained |= self._flags["exchanged"][:, hour]
        ends_high = np.maximum(heard.first[:, hour], heard.last[:, hour])
        ends_low = np.minimum(heard.first[:, hour], heard.last[:, hour])
        above = heard.greatest[:, hour] - ends_high
        below = ends_low - heard.least[:, hour]
        self._flags["spike"][:, hour] |= sound & ((above > limit) | ((above > 0) & ~explained))
        self._flags["negative"][:, hour] |= sound & ~explained & (below > 0)
