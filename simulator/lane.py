"""All meters of one topic partition and what they send in a span: the fast path of the fleet.

A lane holds nothing but caches and the late heartbeats that have not left yet.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from infra.contracts.heartbeat import DTYPE, INTERVAL_MS, VERSION
from infra.contracts.utility import Utility
from simulator import shapes
from simulator.counts import Counts
from simulator.faults import Fate, Faults, delay_ms, garble
from simulator.hashes import Draw, Hashes, Ints, hash_of
from simulator.late import LateHeartbeats
from simulator.meter_days import MeterDays
from simulator.meter_faults import NONE, MeterFaults
from simulator.partitioner import keys_of, partition_of
from simulator.record_batch import PLAIN, Records
from simulator.regions import REGIONS
from simulator.registers import HourUse, hour_use, read_beats
from simulator.schedule import Span
from simulator.users import Meters, meters_of, user_ids

_COPIES = np.array([{Fate.DOUBLED: 2, Fate.ON_TIME: 1, Fate.MALFORMED: 1}.get(fate, 0) for fate in Fate])


def lanes_of(
    seed: int, users: int, partitions: dict[Utility, int], faults: Faults, meter_faults: MeterFaults = NONE
) -> list["Lane"]:
    """Return the lanes of a fleet, one for each utility and partition that has users."""
    user_id = user_ids(users)
    keys = keys_of(user_id)
    lanes = []
    for utility, count in partitions.items():
        chosen = partition_of(keys, count)
        for partition in range(count):
            members = user_id[chosen == partition]
            if len(members):
                lanes.append(Lane(partition, meters_of(seed, utility, members), faults, meter_faults))
    return lanes


class Lane:
    """One partition's meters, in the order in which they beat. Spans must be asked for in order."""

    def __init__(
        self, partition: int, meters: Meters, faults: Faults, meter_faults: MeterFaults = NONE
    ) -> None:
        self.partition = partition
        self.meters = meters.take(np.argsort(meters.phase_ms, kind="stable"))
        self._faults = faults
        self._meter_days = MeterDays(self.meters, meter_faults) if meter_faults else None
        self._late = LateHeartbeats()
        self._keys = keys_of(self.meters.user_id)
        self._template = _template(self.meters)
        self._hour = -1
        self._use: HourUse

    @property
    def utility(self) -> Utility:
        """The utility, whose value is the topic."""
        return self.meters.utility

    def beats(self, span: Span) -> tuple[Records, Counts]:
        """Return what the lane puts on its topic in a span, and what that was made of."""
        start, stop = np.searchsorted(self.meters.phase_ms, (span.phase_from_ms, span.phase_to_ms)).tolist()
        chosen = slice(start, stop)
        slots = np.arange(span.first_slot, span.first_slot + span.slots)[:, None]
        use = self._use_in(span.first_slot // shapes.BEATS)
        use = HourUse(use.start[chosen], use.usage[chosen], use.shape[chosen])
        values = np.empty((span.slots, stop - start), DTYPE)
        values.view(PLAIN)[:] = self._template.view(PLAIN)[chosen]
        values["sent_at"] = slots * INTERVAL_MS + self.meters.phase_ms[chosen]
        values["register"], values["rate"] = read_beats(
            self.meters, use, span.first_slot % shapes.BEATS, span.slots
        )
        if self._meter_days is not None:
            return self._beats_of_faulty(span, chosen, slots, values)
        keys = np.broadcast_to(self._keys[chosen], values.shape).reshape(-1)
        if not self._faults:
            return Records(keys, values.reshape(-1)), Counts(sent=values.size, delivered=values.size)
        return self._disturb(span, self._beats(chosen, slots), keys, values.reshape(-1))

    def rest(self) -> tuple[Records, Counts]:
        """Return the late heartbeats that have not left yet, at the end of a run."""
        late = self._late.release(None)
        return Records(late["key"], late["value"]), Counts(delivered=len(late))

    def _use_in(self, hour: int) -> HourUse:
        if hour != self._hour:
            self._hour, self._use = hour, hour_use(self.meters, hour)
        return self._use

    def _beats_of_faulty(
        self, span: Span, chosen: slice, slots: Ints, values: npt.NDArray[Any]
    ) -> tuple[Records, Counts]:
        """Let meter faults change and silence heartbeats [slot, meter], then send what is left."""
        assert self._meter_days is not None
        sent, shift_ms = self._meter_days.disturb(slots, chosen, values)
        beats = self._beats(chosen, slots)
        keys = np.broadcast_to(self._keys[chosen], values.shape).reshape(-1)
        if shift_ms is not None:
            values["sent_at"] += shift_ms
        values = values.reshape(-1)
        if sent is not None:
            kept = np.flatnonzero(sent)
            keys, values, beats = keys[kept], values.view(PLAIN)[kept].view(DTYPE), beats.take(kept)
        if not self._faults:
            return Records(keys, values), Counts(sent=len(values), delivered=len(values))
        return self._disturb(span, beats, keys, values)

    def _beats(self, chosen: slice, slots: Ints) -> "_Beats":
        """Return which beats a block [slot, meter] has, row by row."""
        shape = len(slots), chosen.stop - chosen.start
        identity = np.broadcast_to(self.meters.identity[chosen], shape).reshape(-1)
        at_ms = (slots * INTERVAL_MS + self.meters.phase_ms[chosen]).reshape(-1)
        return _Beats(identity, np.broadcast_to(slots, shape).reshape(-1), at_ms)

    def _disturb(
        self, span: Span, beats: "_Beats", keys: npt.NDArray[Any], values: npt.NDArray[Any]
    ) -> tuple[Records, Counts]:
        """Let each heartbeat meet its fate, and late ones that are due join those on time."""
        identity, slot = beats.identity, beats.slot
        fate = self._faults.fate_of(identity, slot)
        late = np.flatnonzero(fate == Fate.LATE)
        self._late.hold(beats.at_ms[late] + delay_ms(identity[late], slot[late]), keys[late], values[late])
        garbled = np.flatnonzero(fate == Fate.MALFORMED)
        draws = hash_of(identity[garbled], Draw.GARBLE, slot[garbled])

        copies = _COPIES[fate]
        released = self._late.release(span.until_ms)
        keys, values = np.repeat(keys, copies), np.repeat(values, copies)
        draw_at = np.zeros(len(values), np.uint64)
        # The hash's lowest bit is given away to tell garbled rows from all others.
        draw_at[np.cumsum(copies)[garbled] - 1] = draws | np.uint64(1)
        places = np.searchsorted(np.repeat(beats.at_ms, copies), released["due_ms"])
        keys, values = np.insert(keys, places, released["key"]), np.insert(values, places, released["value"])
        draw_at = np.insert(draw_at, places, 0)
        odd = {
            position: garble(keys[position], values[position].tobytes(), int(draw_at[position]) >> 1)
            for position in np.flatnonzero(draw_at).tolist()
        }
        counts = np.bincount(fate, minlength=len(Fate))
        delivered = counts[Fate.ON_TIME] + counts[Fate.DOUBLED] + len(released)
        return Records(keys, values, odd), Counts.of_fates(counts, int(delivered))


@dataclasses.dataclass(frozen=True)
class _Beats:
    """The meter, slot and true instant of each heartbeat, in the order in which they beat."""

    identity: Hashes
    slot: Ints
    at_ms: Ints

    def take(self, chosen: Ints) -> "_Beats":
        return _Beats(self.identity[chosen], self.slot[chosen], self.at_ms[chosen])


def _template(meters: Meters) -> npt.NDArray[Any]:
    """Return each meter's heartbeat with all that never changes."""
    rows = np.zeros(len(meters.user_id), DTYPE)
    rows["version"] = VERSION
    rows["utility"] = meters.utility.code
    rows["region"] = np.array([region.code.encode() for region in REGIONS], DTYPE["region"])[meters.region]
    rows["user_id"] = meters.user_id
    return rows
