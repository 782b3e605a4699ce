"""What meters show instead of their raw registers when meter faults are on, beat by beat or a lane at once.

Both ways rest on the same formulas (simulator/dials.py, simulator/fault_days.py): one for any meters in any
slots, as the ledger asks, and one that touches only the rows of a lane that something befalls.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.dials import DAY_SLOTS, NO_ROLE, ROLLOVER, Dials, dials_of
from simulator.fault_days import CLOCK, GAP, DayFaults, faults_on, shown
from simulator.hashes import Ints
from simulator.meter_faults import MeterFaults
from simulator.registers import read_at
from simulator.users import Meters

Flags = npt.NDArray[np.bool_]
_DAY_BITS = 20


@dataclasses.dataclass(frozen=True)
class Shown:
    """What meters transmit in their slots, and `counted`, the true register. Silent ones transmit nothing."""

    register: Ints
    rate: Ints
    counted: Ints


def read_shown(meters: Meters, faults: MeterFaults, slot: Ints) -> Shown:
    """Return what each meter shows in its own slot."""
    raw, rate = read_at(meters, slot)
    if not faults:
        return Shown(raw, rate, raw)
    dials = dials_of(meters, faults, slot // DAY_SLOTS)
    register, rate = dials.unrolled(raw, slot), rate + dials.flow
    active = _active(meters, faults, slot)
    at = active.row
    register[at], rate[at] = shown(active.rule, active.amount, register[at], rate[at])
    return Shown(register % dials.figures, rate, dials.counted(raw, slot))


def silent_at(meters: Meters, faults: MeterFaults, slot: Ints) -> Flags:
    """Return whether each meter sends nothing in its own slot, for a gap."""
    return _has(GAP, meters, faults, slot)


def askew_at(meters: Meters, faults: MeterFaults, slot: Ints) -> Flags:
    """Return whether each meter's clock is wrong in its own slot."""
    return _has(CLOCK, meters, faults, slot)


class MeterDays:
    """A lane's meters, a UTC day at a time: which of them show something else, and what."""

    def __init__(self, meters: Meters, faults: MeterFaults) -> None:
        self._meters = meters
        self._faults = faults
        self._day = -1
        self._dial_row: Ints
        self._dials: Dials
        self._day_faults: DayFaults

    def disturb(
        self, slots: Ints, chosen: slice, values: npt.NDArray[Any]
    ) -> tuple[Flags | None, Ints | None]:
        """Change the heartbeats [slot, meter] of the chosen meters to what they show.

        `slots` is a column of slots of one day. Return which are sent, and by how many ms their clocks are
        wrong, each [slot, meter] or None: all, and none.
        """
        self._turn_to(int(slots[0, 0]) // DAY_SLOTS)
        part = slice(*np.searchsorted(self._dial_row, (chosen.start, chosen.stop)).tolist())
        at, dials = self._dial_row[part] - chosen.start, self._dials.take(part)
        register, rate = values["register"], values["rate"]
        register[:, at] = dials.unrolled(register[:, at], slots)
        leaking = np.flatnonzero(dials.flow)
        rate[:, at[leaking]] += dials.flow[leaking].astype(rate.dtype)

        effect = self._befall(slots, chosen, register, rate)

        rolling = np.flatnonzero(dials.role == ROLLOVER)
        register[:, at[rolling]] %= dials.figures[rolling]
        return effect

    def _befall(
        self, slots: Ints, chosen: slice, register: Ints, rate: npt.NDArray[Any]
    ) -> tuple[Flags | None, Ints | None]:
        """Let the faults of the day befall those whose time has come."""
        here = self._day_faults
        here = here.take(slice(*np.searchsorted(here.row, (chosen.start, chosen.stop)).tolist()))
        here = here.take((here.first_slot <= slots[-1, 0]) & (here.end_slot > slots[0, 0]))
        if not len(here.row):
            return None, None
        at = here.row - chosen.start
        active = (slots >= here.first_slot) & (slots < here.end_slot)
        before = register[:, at], rate[:, at].astype(np.int64)
        after = shown(here.rule, here.amount, *before)
        register[:, at] = np.where(active, after[0], before[0])
        rate[:, at] = np.where(active, after[1], before[1])
        sent = shift_ms = None
        if (gap := np.flatnonzero(here.rule == GAP)).size:
            sent = np.ones(register.shape, np.bool_)
            sent[:, at[gap]] = ~active[:, gap]
        if (askew := np.flatnonzero(here.rule == CLOCK)).size:
            shift_ms = np.zeros(register.shape, np.int64)
            shift_ms[:, at[askew]] = active[:, askew] * here.amount[askew]
        return sent, shift_ms

    def _turn_to(self, day: int) -> None:
        if day == self._day:
            return
        dials = dials_of(self._meters, self._faults, day)
        self._dial_row = np.flatnonzero(dials.role != NO_ROLE)
        self._dials = dials.take(self._dial_row)
        self._day_faults = faults_on(self._meters, self._faults, day)
        self._day = day


def _active(meters: Meters, faults: MeterFaults, slot: Ints) -> DayFaults:
    """Return the faults that befall meters in their own slots."""
    day = slot // DAY_SLOTS
    # One meter in many slots has few days, each of which is worked out once.
    _, chosen, which = np.unique(meters.user_id << _DAY_BITS | day, return_index=True, return_inverse=True)
    of_days = faults_on(meters.take(chosen), faults, day[chosen])
    fault = np.full(len(chosen), -1)
    fault[of_days.row] = np.arange(len(of_days.row))
    row = np.flatnonzero(fault[which] >= 0)
    found = dataclasses.replace(of_days.take(fault[which[row]]), row=row)
    return found.take((found.first_slot <= slot[row]) & (slot[row] < found.end_slot))


def _has(rule: int, meters: Meters, faults: MeterFaults, slot: Ints) -> Flags:
    found = np.zeros(len(slot), np.bool_)
    if faults:
        active = _active(meters, faults, slot)
        found[active.row[active.rule == rule]] = True
    return found
