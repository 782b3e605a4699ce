"""What a meter's dial does by itself: rolls over, begins anew, is replaced, or counts a leak as well. Pure.

`raw` is the register of simulator/registers.py. `counted` is what an endless dial would show: raw and every
leak so far. The dial shows counted, moved by the last reset or exchange, and few dials are small.

A meter has at most one such role. Its event comes on one UTC day in PERIOD_DAYS, from the day after the
curves' origin on, so that everything before an instant is known by a formula.
"""

import dataclasses
import functools

import numpy as np
import numpy.typing as npt

from infra.contracts.utility import Utility
from simulator.faults import PARTS
from simulator.hashes import Draw, Ints, below, hash_of
from simulator.load_curves import ORIGIN_HOUR, use_until
from simulator.meter_faults import BY_METER, PERIOD_DAYS, MeterFaults
from simulator.registers import read_at
from simulator.shapes import BEATS
from simulator.users import SCALE_ONE, Meters

DAY_SLOTS = 24 * BEATS
ENDLESS = 100_000_000_000  # figures of a dial that nobody sees roll over
ROLLOVER, RESET, EXCHANGE, LEAK = range(len(BY_METER))
NO_ROLE = len(BY_METER)
NEVER = 2**62
_EVENT_FROM, _EVENT_TO = 2 * BEATS, 20 * BEATS  # slots of the event's day
_INITIAL_MAX = 50
_FLOW_MIN, _FLOW_MAX = 40, 200
_ORIGIN_DAY = ORIGIN_HOUR // 24


@dataclasses.dataclass(frozen=True)
class Dials:
    """What to do to meters' raw registers in one UTC day each, a column each."""

    role: Ints
    day_slot: Ints
    """The day's first slot."""
    before: Ints
    """Added to raw before `event_slot`."""
    event_slot: Ints
    """When the dial begins anew; NEVER if not on this day."""
    after: Ints
    """Added to raw from `event_slot` on."""
    flow: Ints
    """The leak of this day in L/h."""
    figures: Ints
    """How many figures the dial has before it begins again at 0."""

    def take(self, chosen: Ints | slice) -> "Dials":
        """Return the dials at these indices, in this order."""
        columns = (getattr(self, field.name)[chosen] for field in dataclasses.fields(self))
        return Dials(*columns)

    def unrolled(self, raw: Ints, slot: Ints) -> Ints:
        """Return what the dials would show if they were endless, broadcast with slots of their day."""
        moved = np.where(slot < self.event_slot, self.before, self.after)
        return np.asarray(raw + moved + self._leaked_today(slot))

    def counted(self, raw: Ints, slot: Ints) -> Ints:
        """Return the true registers, broadcast with slots of their day."""
        return np.asarray(raw + np.where(self.role == LEAK, self.before, 0) + self._leaked_today(slot))

    def _leaked_today(self, slot: Ints) -> Ints:
        return np.asarray(self.flow * (slot - self.day_slot) // BEATS)


def role_of(meters: Meters, faults: MeterFaults) -> Ints:
    """Return each meter's role as an index into BY_METER, NO_ROLE for most."""
    drawn = below(hash_of(meters.identity, Draw.ROLE), PARTS)
    role = np.searchsorted(np.cumsum(list(faults.by_meter.values())), drawn, side="right")
    may_leak = (meters.kind == 0) & (meters.utility is Utility.WATER)
    return np.where((role == LEAK) & ~may_leak, NO_ROLE, role).astype(np.int64)


def near_event(meters: Meters, role: Ints, day: Ints) -> npt.NDArray[np.bool_]:
    """Return whether a meter's reset, exchange or leak is on its day, the day before or the day after."""
    phase = (day + 1 - _first_day(meters)) % PERIOD_DAYS
    return np.asarray(_has_events(role) & (phase < 3))


def event_on(meters: Meters, role: Ints, day: Ints | int) -> npt.NDArray[np.bool_]:
    """Return whether a meter's reset, exchange or leak comes on its day."""
    first = _first_day(meters)
    return np.asarray(_has_events(role) & (day >= first) & ((day - first) % PERIOD_DAYS == 0))


def last_event_day(meters: Meters, day: Ints | int) -> tuple[Ints, Ints]:
    """Return the newest day of an event up to `day`, and how many came before that (-1: none yet)."""
    first = _first_day(meters)
    number = (day - first) // PERIOD_DAYS
    return first + number * PERIOD_DAYS, np.maximum(number, -1)


def event_day(meters: Meters, number: Ints) -> Ints:
    """Return the day of each meter's event of a number, from 0."""
    return _first_day(meters) + number * PERIOD_DAYS


def event_slot(meters: Meters, on_day: Ints | int) -> Ints:
    """Return the slot from which on the new dial counts, on a day of an event."""
    drawn = below(hash_of(meters.identity, Draw.EVENT, 0, on_day), _EVENT_TO - _EVENT_FROM + 1)
    return np.asarray(on_day * DAY_SLOTS + _EVENT_FROM + drawn)


def initial_of(meters: Meters, role: Ints, on_day: Ints | int) -> Ints:
    """Return what the new dial shows at its event."""
    drawn = below(hash_of(meters.identity, Draw.EVENT, 1, on_day), _INITIAL_MAX + 1)
    return np.where(role == EXCHANGE, drawn, 0)


def dials_of(meters: Meters, faults: MeterFaults, day: Ints | int) -> Dials:
    """Return the meters' dials on a UTC day (since 1970), one for all or one each."""
    role = role_of(meters, faults)
    days = np.broadcast_to(np.asarray(day, np.int64), role.shape)
    before, after, flow = (np.zeros(len(role), np.int64) for _ in range(3))
    slot, figures = np.full(len(role), NEVER), np.full(len(role), ENDLESS)

    rows = np.flatnonzero(role == ROLLOVER)
    figures[rows] = _few_figures(meters.take(rows))

    rows = np.flatnonzero(role == LEAK)
    leaking = meters.take(rows)
    flow_of_meter = _FLOW_MIN + below(hash_of(leaking.identity, Draw.EVENT, 2), _FLOW_MAX - _FLOW_MIN + 1)
    _, earlier = last_event_day(leaking, days[rows] - 1)
    before[rows] = after[rows] = flow_of_meter * 24 * (earlier + 1)
    flow[rows] = np.where(event_on(leaking, role[rows], days[rows]), flow_of_meter, 0)

    rows = np.flatnonzero((role == RESET) | (role == EXCHANGE))
    moved = meters.take(rows)
    today = event_on(moved, role[rows], days[rows])
    before[rows] = _moved_by(moved, role[rows], days[rows] - 1)
    after[rows] = np.where(today, 0, before[rows])
    rows, moved = rows[today], moved.take(np.flatnonzero(today))
    after[rows] = _moved_by(moved, role[rows], days[rows])
    slot[rows] = event_slot(moved, days[rows])
    return Dials(role, days * DAY_SLOTS, before, slot, after, flow, figures)


def counted_at(meters: Meters, faults: MeterFaults, slot: Ints) -> Ints:
    """Return each meter's true register in its own slot."""
    return dials_of(meters, faults, slot // DAY_SLOTS).counted(read_at(meters, slot)[0], slot)


def unrolled_at(meters: Meters, faults: MeterFaults, slot: Ints) -> Ints:
    """Return what each meter's dial would show in its own slot if it were endless."""
    return dials_of(meters, faults, slot // DAY_SLOTS).unrolled(read_at(meters, slot)[0], slot)


def shown_at(meters: Meters, faults: MeterFaults, slot: Ints) -> Ints:
    """Return what each meter's dial shows in its own slot."""
    dials = dials_of(meters, faults, slot // DAY_SLOTS)
    return np.asarray(dials.unrolled(read_at(meters, slot)[0], slot) % dials.figures)


def figures_of(meters: Meters, faults: MeterFaults) -> Ints:
    """Return how many figures each dial has before it begins again at 0."""
    return np.where(role_of(meters, faults) == ROLLOVER, _few_figures(meters), ENDLESS)


def _has_events(role: Ints) -> npt.NDArray[np.bool_]:
    return np.asarray((role == RESET) | (role == EXCHANGE) | (role == LEAK))


def _first_day(meters: Meters) -> Ints:
    """Return the UTC day of each meter's first event."""
    return _ORIGIN_DAY + 1 + below(hash_of(meters.identity, Draw.ROLE, 1), PERIOD_DAYS)


def _moved_by(meters: Meters, role: Ints, day: Ints) -> Ints:
    """Return what the newest event up to each meter's day has added to its raw register, below 0."""
    newest, earlier = last_event_day(meters, day)
    moved = np.zeros(len(role), np.int64)
    rows = np.flatnonzero(earlier >= 0)
    known, days = meters.take(rows), newest[rows]
    raw, _ = read_at(known, event_slot(known, days))
    moved[rows] = initial_of(known, role[rows], days) - raw
    return moved


def _few_figures(meters: Meters) -> Ints:
    """Return the least power of ten that holds a meter's greatest day, and four times its greatest hour.

    Silences and dials that stand still end within a day: a dial never rolls over twice unseen.
    """
    greatest_day, greatest_hour = _greatest_use(meters.utility)
    # Noise may move as much as an hour's use into an hour.
    day = greatest_day[meters.curve] + greatest_hour[meters.curve]
    hours = 4 * 2 * greatest_hour[meters.curve]
    least = meters.scale * np.maximum(day, hours) // (SCALE_ONE * 1_000) + 1
    powers: Ints = 10 ** np.arange(12, dtype=np.int64)
    return np.asarray(powers[np.searchsorted(powers, least)])


@functools.cache
def _greatest_use(utility: Utility) -> tuple[Ints, Ints]:
    """Return [curve]: the milli-units that a scale of one uses at most in 24 hours, and in one."""
    totals = use_until(utility)
    return (totals[:, 24:] - totals[:, :-24]).max(axis=1), (totals[:, 1:] - totals[:, :-1]).max(axis=1)
