"""Where in its UTC day each fault of a meter lies, and how strong it is. Pure.

Spans are (first slot, slot after the last), counted from the day's start. Every number is drawn from meter
and day by its part, so that no two of them depend on each other.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.quality import Rule
from simulator.agreements import moved_in_on
from simulator.dials import DAY_SLOTS, ROLLOVER, role_of, unrolled_at
from simulator.hashes import Draw, Ints, below, hash_of
from simulator.meter_faults import MeterFaults
from simulator.registers import hour_use
from simulator.shapes import BEATS
from simulator.users import Meters

STUCK_USE_MIN = 30
_MINUTE = BEATS // 60
_HOUR = BEATS
# Long enough past an hour's bound that heartbeats lost or late do not hide that it was crossed.
_PAST_BOUND = 5 * _MINUTE
Flags = npt.NDArray[np.bool_]
Span = tuple[Ints, Ints]
Amount = tuple[Ints, Flags]


def span_of(rule: Rule, meters: Meters, day: Ints) -> Span:
    """Return the span of one rule's fault on each meter's day."""
    return _SPANS[rule](meters, day)


def amount_of(rule: Rule, meters: Meters, faults: MeterFaults, first: Ints, end: Ints) -> Amount:
    """Return how strong faults of these slots (since 1970) are, and which of them can be at all.

    Spike, negative: by how much the register is moved. Stuck, zero, read: the register as it began. Rate: the
    rate shown. Clock: by how many ms it is wrong. Gap: 0.
    """
    return _AMOUNTS[rule](meters, faults, first, end)


def crosses_midnight(meters: Meters, day: Ints) -> Flags:
    """Return whether a gap that begins on each meter's day would end on the next."""
    return np.asarray(_number(meters, day, 0, 4) == 0)


def _within(meters: Meters, day: Ints, low: int, high: int, shortest: int, longest: int) -> Span:
    """Return spans of shortest..longest slots that lie anywhere in [low, high)."""
    length = shortest + _number(meters, day, 1, longest - shortest + 1)
    start = low + _number(meters, day, 2, high - low - length + 1)
    return start, start + length


def _from(meters: Meters, day: Ints, low: int, high: int, shortest: int, longest: int) -> Span:
    """Return spans of shortest..longest slots that begin in low..high."""
    start = low + _number(meters, day, 2, high - low + 1)
    return start, start + shortest + _number(meters, day, 1, longest - shortest + 1)


def _gap(meters: Meters, day: Ints) -> Span:
    start, end = _from(meters, day, _HOUR, 16 * _HOUR, 40 * _MINUTE, 6 * _HOUR)
    end = np.maximum(end, (start // _HOUR + 1) * _HOUR + _PAST_BOUND)
    late_start = 18 * _HOUR + _number(meters, day, 2, 5 * _HOUR + 1)
    late_end = DAY_SLOTS + _HOUR + _number(meters, day, 1, 5 * _HOUR + 1)
    late = crosses_midnight(meters, day)
    return np.where(late, late_start, start), np.where(late, late_end, end)


def _spike(meters: Meters, day: Ints) -> Span:
    """Return spans of 1..3 beats: a sixth ends an hour, a sixth begins one, the rest is anywhere."""
    beats = 1 + _number(meters, day, 1, 3)
    hour = _number(meters, day, 2, 24) * _HOUR
    place = _number(meters, day, 3, 6)
    anywhere = _number(meters, day, 4, DAY_SLOTS - beats + 1)
    start = np.select([place == 0, place == 1], [hour + _HOUR - beats, hour], anywhere)
    return start, start + beats


def _clock(meters: Meters, day: Ints) -> Span:
    """Return spans that lie within their day by either clock."""
    length = 30 * _MINUTE + _number(meters, day, 1, (4 * 60 - 30) * _MINUTE + 1)
    shift = _shift_ms(meters, day)
    low = -np.minimum(shift // INTERVAL_MS, 0)
    high = DAY_SLOTS - np.maximum(shift // INTERVAL_MS + 1, 0) - length
    start = low + _number(meters, day, 2, high - low + 1)
    return start, start + length


def _shift_ms(meters: Meters, day: Ints) -> Ints:
    """Return by how much a clock is wrong: 10 min to 6 h behind, or 10 s to 110 s ahead.

    Never by whole intervals, so that no other beat of the meter has the same time.
    """
    odd = 1 + _strength(meters, day, INTERVAL_MS - 1)
    behind = 600_000 + _number(meters, day, 3, 4_199) * INTERVAL_MS + odd
    ahead = 10_000 + _number(meters, day, 3, 20) * INTERVAL_MS + odd
    return np.where(_number(meters, day, 4, 2) == 0, -behind, ahead)


_SPANS: dict[Rule, Callable[[Meters, Ints], Span]] = {
    Rule.GAP: _gap,
    Rule.SPIKE: _spike,
    Rule.NEGATIVE: lambda meters, day: _within(meters, day, _HOUR, 22 * _HOUR, _HOUR, 6 * _HOUR),
    Rule.STUCK: lambda meters, day: _within(meters, day, _HOUR, 22 * _HOUR, 3 * _HOUR, 9 * _HOUR),
    Rule.ZERO: lambda meters, day: _from(meters, day, _HOUR, 5 * _HOUR, 13 * _HOUR, 17 * _HOUR),
    Rule.RATE: lambda meters, day: _within(meters, day, 0, DAY_SLOTS, 5 * _MINUTE, 60 * _MINUTE),
    Rule.CLOCK: _clock,
    Rule.READ: lambda meters, day: (
        6 * _HOUR + _number(meters, day, 2, 6 * _HOUR + 1),
        np.full(len(day), DAY_SLOTS),
    ),
}


def _silence(_meters: Meters, _faults: MeterFaults, first: Ints, _end: Ints) -> Amount:
    return np.zeros(len(first), np.int64), _all(first)


def _jump(meters: Meters, faults: MeterFaults, first: Ints, _end: Ints) -> Amount:
    """Return 2 to 50 times what the connection carries in an hour."""
    thousandths = 2_000 + _strength(meters, first // DAY_SLOTS, 48_001)
    return meters.rate_max * thousandths // 1_000, _large_dial(meters, faults)


def _fall(meters: Meters, faults: MeterFaults, first: Ints, _end: Ints) -> Amount:
    """Return more than twice the hour's use, but no more than the register shows."""
    least = 2 * hour_use(meters, first // BEATS).usage + 50
    wanted = least + _strength(meters, first // DAY_SLOTS, 3 * least)
    lower = np.minimum(wanted, unrolled_at(meters, faults, first))
    return lower, _large_dial(meters, faults) & (lower >= least)


def _standstill(meters: Meters, faults: MeterFaults, first: Ints, end: Ints) -> Amount:
    register = unrolled_at(meters, faults, first)
    return register, unrolled_at(meters, faults, end - 1) - register >= STUCK_USE_MIN


def _nobody_there(meters: Meters, faults: MeterFaults, first: Ints, _end: Ints) -> Amount:
    """Return the register of homes where, by any zone's calendar, somebody has moved in before the day."""
    lived_in = moved_in_on(meters.seed, meters.user_id) < first // DAY_SLOTS
    return unrolled_at(meters, faults, first), (meters.kind == 0) & lived_in


def _false_rate(meters: Meters, _faults: MeterFaults, first: Ints, _end: Ints) -> Amount:
    thousandths = 2_000 + _strength(meters, first // DAY_SLOTS, 3_001)
    return meters.rate_max * thousandths // 1_000, _all(first)


def _wrong_clock(meters: Meters, _faults: MeterFaults, first: Ints, _end: Ints) -> Amount:
    return _shift_ms(meters, first // DAY_SLOTS), _all(first)


def _half_counted(meters: Meters, faults: MeterFaults, first: Ints, _end: Ints) -> Amount:
    return unrolled_at(meters, faults, first), _all(first)


_AMOUNTS: dict[Rule, Callable[[Meters, MeterFaults, Ints, Ints], Amount]] = {
    Rule.GAP: _silence,
    Rule.SPIKE: _jump,
    Rule.NEGATIVE: _fall,
    Rule.STUCK: _standstill,
    Rule.ZERO: _nobody_there,
    Rule.RATE: _false_rate,
    Rule.CLOCK: _wrong_clock,
    Rule.READ: _half_counted,
}


def _all(rows: Ints) -> Flags:
    return np.ones(len(rows), np.bool_)


def _large_dial(meters: Meters, faults: MeterFaults) -> Flags:
    """Return whose dial is large: on a small one a register out of course may as well have rolled over."""
    return np.asarray(role_of(meters, faults) != ROLLOVER)


def _number(meters: Meters, day: Ints, part: int, limit: Ints | int) -> Ints:
    """Return a number in 0..limit-1 that says where a fault lies in its day."""
    return below(hash_of(meters.identity, Draw.FAULT_SPAN, day, part), limit)


def _strength(meters: Meters, day: Ints, limit: Ints | int) -> Ints:
    return below(hash_of(meters.identity, Draw.FAULT_AMOUNT, day), limit)
