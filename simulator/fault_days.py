"""Which meter has which fault on which UTC day, from when to when, and how strongly. Pure.

A meter's day has at most one fault. Every span is whole slots (5 s) of one day, except that one gap in
four begins in the evening and ends the next morning: that next day has no fault of its own. Neither has the
day of a reset, an exchange or a leak, nor the day before or after it.
"""

import dataclasses

import numpy as np

from simulator.dials import DAY_SLOTS, near_event, role_of
from simulator.fault_spans import Flags, amount_of, crosses_midnight, span_of
from simulator.faults import PARTS
from simulator.hashes import Draw, Ints, below, hash_of
from simulator.meter_faults import BY_DAY, MeterFaults
from simulator.users import Meters

NO_FAULT = len(BY_DAY)
GAP, SPIKE, NEGATIVE, STUCK, ZERO, RATE, CLOCK, READ = range(NO_FAULT)


@dataclasses.dataclass(frozen=True)
class DayFaults:
    """The faults of some meters' days, a column each, by row."""

    row: Ints
    """Index of the meter."""
    rule: Ints
    """Index into BY_DAY."""
    first_slot: Ints
    end_slot: Ints
    amount: Ints
    """As `amount_of` gives it."""

    def take(self, chosen: Ints | Flags | slice) -> "DayFaults":
        """Return these faults, in this order."""
        return DayFaults(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))


def faults_on(meters: Meters, faults: MeterFaults, day: Ints | int) -> DayFaults:
    """Return the faults of meters on a UTC day (since 1970), one for all or one each.

    A gap across midnight is returned whole, on both its days.
    """
    days = np.broadcast_to(np.asarray(day, np.int64), meters.user_id.shape)
    drawn = _drawn(meters, faults, days)
    after_gap = _crosses(meters, faults, days - 1)
    own = np.flatnonzero((drawn != NO_FAULT) & ~after_gap)
    own = own[~_beside_event(meters.take(own), faults, days[own])]
    spilled = np.flatnonzero(after_gap & ~_crosses(meters, faults, days - 2))
    spilled = spilled[~_beside_event(meters.take(spilled), faults, days[spilled] - 1)]
    parts = [_faults(GAP, spilled, meters, faults, days - 1)]
    for rule in np.unique(drawn[own]).tolist():
        parts.append(_faults(rule, own[drawn[own] == rule], meters, faults, days))
    columns = (
        np.concatenate([getattr(part, field.name) for part in parts])
        for field in dataclasses.fields(DayFaults)
    )
    found = DayFaults(*columns)
    return found.take(np.argsort(found.row, kind="stable"))


def shown(rule: Ints, amount: Ints, register: Ints, rate: Ints) -> tuple[Ints, Ints]:
    """Return (register, rate) as meters with a fault show them at that moment, broadcast together."""
    amounts = np.broadcast_to(amount, register.shape)
    wrong = np.select(
        [rule == SPIKE, rule == NEGATIVE, (rule == STUCK) | (rule == ZERO), rule == READ],
        [register + amounts, register - amounts, amounts, amounts + (register - amounts) // 2],
        register,
    )
    return wrong, np.select([rule == ZERO, rule == RATE], [np.zeros_like(amounts), amounts], rate)


def _drawn(meters: Meters, faults: MeterFaults, day: Ints) -> Ints:
    """Return the fault that each meter's day would have if nothing spoke against it."""
    ends = np.cumsum(list(faults.by_day.values()))
    drawn = below(hash_of(meters.identity, Draw.METER_FAULT, day), PARTS)
    return np.searchsorted(ends, drawn, side="right").astype(np.int64)


def _crosses(meters: Meters, faults: MeterFaults, day: Ints) -> Flags:
    """Return whether a gap across midnight is drawn for each meter's day."""
    gap = np.asarray(_drawn(meters, faults, day) == GAP)
    rows = np.flatnonzero(gap)
    gap[rows] = crosses_midnight(meters.take(rows), day[rows])
    return gap


def _beside_event(meters: Meters, faults: MeterFaults, day: Ints) -> Flags:
    return near_event(meters, role_of(meters, faults), day)


def _faults(rule: int, rows: Ints, meters: Meters, faults: MeterFaults, days: Ints) -> DayFaults:
    """Return one rule's faults of these rows, without those that cannot be."""
    chosen, day = meters.take(rows), days[rows]
    start, end = span_of(BY_DAY[rule], chosen, day)
    first, end = day * DAY_SLOTS + start, day * DAY_SLOTS + end
    amount, possible = amount_of(BY_DAY[rule], chosen, faults, first, end)
    return DayFaults(rows, np.full(len(rows), rule), first, end, amount).take(possible)
