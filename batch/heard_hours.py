"""A meter's hours as Spark folded them, taken apart into what validation hears by the meter's clock."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from batch.usage import HOUR_FIELDS, REGISTER_BITS
from batch.vee.meter_days import HOURS, NEVER, Heard, Ints
from infra.contracts.durations import HOUR_MS
from infra.contracts.heartbeat import INTERVAL_MS


@dataclasses.dataclass(frozen=True)
class FlatHours:
    """The list column `hours` of a batch, flat: `row` says whose each is."""

    row: Ints
    fields: dict[str, Ints]

    @classmethod
    def of(cls, lists: Any) -> "FlatHours":
        """Return the flat hours of an Arrow list column; a null is a list of none."""
        row = np.repeat(np.arange(len(lists)), pc.list_value_length(lists).fill_null(0).to_numpy())
        flat = lists.flatten()
        # Heartbeats that were unsound have no hour: they are counted, and nothing else.
        fields = {
            name: flat.field(name).cast("int64").fill_null(-1).to_numpy(zero_copy_only=False)
            for name in HOUR_FIELDS
        }
        return cls(row, fields)

    def summed(self, name: str, count: int) -> Ints:
        """Return a field's sum for each of `count` meters."""
        sums = np.zeros(count, np.int64)
        np.add.at(sums, self.row, self.fields[name])
        return sums


def heard_of(flat: FlatHours, count: int, exchanged: npt.NDArray[np.bool_]) -> Heard:
    """Return the hours by each meter's usual clock: the phase that most of its heartbeats came by.

    On the day of an exchange there are two meters, and the clock of neither is wrong.
    """
    row, fields = flat.row, flat.fields
    usual = _usual_phase(row, fields["phase"], fields["heartbeats"], count)
    sound = fields["hour"] >= 0
    kept = np.flatnonzero(sound & ((fields["phase"] == usual[row]) | exchanged[row]))
    stray = np.zeros((count, HOURS), np.int64)
    odd = np.flatnonzero(sound & (fields["phase"] != usual[row]) & ~exchanged[row])
    np.add.at(stray, (row[odd], fields["hour"][odd]), fields["heartbeats"][odd])
    at = (row[kept], fields["hour"][kept])
    heard = np.zeros((count, HOURS), np.bool_)
    heard[at] = True
    phase, hour = fields["phase"][kept], fields["hour"][kept]
    mask = (1 << REGISTER_BITS) - 1
    ends = {}
    for name, pick, start in (("first", np.minimum, -NEVER), ("last", np.maximum, NEVER)):
        packed = fields[name][kept]
        sent = hour * HOUR_MS + (packed >> REGISTER_BITS) * INTERVAL_MS + phase
        when = np.full((count, HOURS), start, np.int64)
        pick.at(when, at, sent)
        register = np.zeros((count, HOURS), np.int64)
        chosen = np.flatnonzero(sent == when[at])
        register[row[kept][chosen], hour[chosen]] = packed[chosen] & mask
        ends[name] = (np.where(heard, when, 0), register)
    folded = {}
    for name, pick, start in (
        ("least", np.minimum, -NEVER),
        ("greatest", np.maximum, NEVER),
        ("rate_min", np.minimum, -NEVER),
        ("rate_max", np.maximum, NEVER),
    ):
        values = np.full((count, HOURS), start, np.int64)
        pick.at(values, at, fields[name][kept])
        folded[name] = np.where(heard, values, 0)
    rate_sum, number, distinct = (np.zeros((count, HOURS), np.int64) for _ in range(3))
    np.add.at(rate_sum, at, fields["rate_sum"][kept])
    np.add.at(number, at, fields["heartbeats_read"][kept])
    np.add.at(distinct, at, fields["heartbeats"][kept])
    lasted = ends["last"][0] - ends["first"][0]
    return Heard(
        any=heard,
        first_at=ends["first"][0],
        last_at=ends["last"][0],
        first=ends["first"][1],
        last=ends["last"][1],
        flow=rate_sum // np.maximum(number, 1) * lasted // HOUR_MS,
        covered_ms=distinct * INTERVAL_MS,
        stray=stray,
        **folded,
    )


def _usual_phase(row: Ints, phase: Ints, heartbeats: Ints, count: int) -> Ints:
    """Return the phase that most of each meter's heartbeats have, the least of several; -1 if it has none."""
    if not len(row):
        return np.full(count, -1, np.int64)
    order = np.lexsort((phase, row))
    row, phase, heartbeats = row[order], phase[order], heartbeats[order]
    begins = np.flatnonzero(np.r_[True, (np.diff(row) != 0) | (np.diff(phase) != 0)])
    sums = np.add.reduceat(heartbeats, begins)
    row, phase = row[begins], phase[begins]
    best = np.lexsort((-phase, sums, row))
    usual = np.full(count, -1, np.int64)
    # The last of each meter's phases in this order is the one assigned in the end.
    usual[row[best]] = phase[best]
    return usual
