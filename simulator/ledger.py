"""What must have become of every heartbeat, worked out from seed and faults alone: pure.

The arithmetic is the ledger's own: it never runs the fleet, it asks which beats a meter had and which
of them arrived.
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from infra.contracts.heartbeat import INTERVAL_MS, USER_ID_MIN
from infra.contracts.utility import UTILITIES, Utility
from simulator.counts import Counts
from simulator.faults import Fate, Faults, delay_ms
from simulator.hashes import Ints
from simulator.registers import read_at
from simulator.users import Meters, meters_of

_CHUNK_SLOTS = 512


class LedgerError(Exception):
    """A question the recorded runs cannot answer, or a run that would make them contradict each other."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One run as recorded. Instants in ms since 1970; `to` is null while an endless run goes on.

    `started_at` is of the wall clock and tells runs of the same period apart.
    """

    seed: int
    users: int
    from_ms: int
    to_ms: int | None
    faults: Faults
    acknowledged_until: int
    finished: bool
    counts: Mapping[str, Counts]
    started_at: int = 0

    @property
    def name(self) -> str:
        """What no other run is recorded under."""
        return f"{self.from_ms}-{self.seed}-{self.started_at}"

    @property
    def until_ms(self) -> int:
        """The instant before which everything that was sent has been acknowledged."""
        return self.acknowledged_until

    def to_json(self) -> dict[str, Any]:
        """Return the form in which runs are recorded."""
        return {
            "seed": self.seed,
            "users": self.users,
            "from": self.from_ms,
            "to": self.to_ms,
            "faults": dataclasses.asdict(self.faults),
            "acknowledged_until": self.acknowledged_until,
            "finished": self.finished,
            "started_at": self.started_at,
            "topics": {topic: counts.to_json() for topic, counts in self.counts.items()},
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Run":
        """Read the form in which runs are recorded."""
        return cls(
            seed=record["seed"],
            users=record["users"],
            from_ms=record["from"],
            to_ms=record["to"],
            faults=Faults(**record["faults"]),
            acknowledged_until=record["acknowledged_until"],
            finished=record["finished"],
            counts={topic: Counts.from_json(counts) for topic, counts in record["topics"].items()},
            started_at=record.get("started_at", 0),
        )


@dataclasses.dataclass(frozen=True)
class Reading:
    """A delivered heartbeat as the ledger knows it."""

    sent_at: int
    register: int
    rate: int


def last_delivered(runs: Sequence[Run], user_id: int, utility: Utility, at_ms: int | None) -> Reading | None:
    """Return the user's last delivered heartbeat sent before `at_ms` (None: whenever)."""
    return _newest(runs, user_id, utility, at_ms, oldest=False)


def first_delivered(runs: Sequence[Run], user_id: int, utility: Utility, at_ms: int | None) -> Reading | None:
    """Return the user's first delivered heartbeat sent before `at_ms` (None: whenever)."""
    return _newest(runs, user_id, utility, at_ms, oldest=True)


def counts_of(run: Run) -> dict[str, Counts]:
    """Return what each topic's heartbeats were made of, beat by beat: for small runs."""
    totals = {}
    for utility in UTILITIES:
        total = Counts()
        for user in range(run.users):
            meter = _meter(run.seed, USER_ID_MIN + user, utility)
            slots = _slots(run, meter, None)
            fates = run.faults.fate_of(meter.identity, slots)
            delivered = int(has_arrived(run, meter, slots).sum())
            total += Counts.of_fates(np.bincount(fates, minlength=len(Fate)), delivered)
        totals[str(utility)] = total
    return totals


def check_one_fleet(runs: Sequence[Run]) -> None:
    """Refuse runs that cannot be of the same meters.

    :raises LedgerError: naming the seeds, or that there is no run at all.
    """
    seeds = sorted({run.seed for run in runs})
    if not seeds:
        raise LedgerError("no run is recorded. Send heartbeats with `meterbeat simulate` first")
    if len(seeds) > 1:
        raise LedgerError(f"runs of seeds {seeds} are recorded together. Keep one fleet a platform")


def check_joins(runs: Sequence[Run], seed: int) -> None:
    """Refuse a fleet that is not the recorded one: registers of two seeds contradict each other.

    :raises LedgerError: naming both seeds.
    """
    for run in runs:
        if run.seed != seed:
            raise LedgerError(
                f"--seed is {seed}, but runs of seed {run.seed} are recorded. "
                "Use the same --seed, or begin anew with `make clean`"
            )


def check_fates(runs: Sequence[Run], faults: Faults, from_ms: int, to_ms: int | None) -> None:
    """Refuse a period in which a heartbeat would meet another fate than a recorded run gave it.

    A run that is not finished counts to its planned end, as nobody knows how far it will come.

    :raises LedgerError: naming the faults and the run that had others.
    """
    for run in runs:
        ends = [end for end in (to_ms, run.to_ms) if end is not None]
        overlaps = not ends or max(from_ms, run.from_ms) < min(ends)
        if overlaps and run.faults != faults:
            raise LedgerError(
                f"--faults is {faults}, but the run from {_instant(run.from_ms)} to {_instant(run.to_ms)} "
                f"had {run.faults}. Use the same --faults, or begin anew with `make clean`"
            )


def _instant(at_ms: int | None) -> str:
    if at_ms is None:
        return "no end"
    return datetime.datetime.fromtimestamp(at_ms / 1_000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _newest(
    runs: Sequence[Run], user_id: int, utility: Utility, at_ms: int | None, *, oldest: bool
) -> Reading | None:
    meter = _meter(runs[0].seed, user_id, utility) if runs else None
    found = []
    for run in runs:
        if meter is not None and USER_ID_MIN <= user_id < USER_ID_MIN + run.users:
            slot = _search(run, meter, _slots(run, meter, at_ms), oldest=oldest)
            if slot is not None:
                found.append(slot)
    if meter is None or not found:
        return None
    slot = min(found) if oldest else max(found)
    register, rate = read_at(meter, np.array([slot]))
    return Reading(slot * INTERVAL_MS + int(meter.phase_ms[0]), int(register[0]), int(rate[0]))


def _meter(seed: int, user_id: int, utility: Utility) -> Meters:
    return meters_of(seed, utility, np.array([user_id], np.int64))


def _slots(run: Run, meter: Meters, at_ms: int | None) -> Ints:
    """Return the slots whose beat lies in the run and before `at_ms`, ascending."""
    until = run.until_ms if at_ms is None else min(run.until_ms, at_ms)
    phase = int(meter.phase_ms[0])
    # Rounded up: the first beat at or after an instant.
    first, end = (-((phase - instant) // INTERVAL_MS) for instant in (run.from_ms, until))
    return np.arange(first, max(first, end), dtype=np.int64)


def _search(run: Run, meter: Meters, slots: Ints, *, oldest: bool) -> int | None:
    """Return the oldest or newest delivered slot, looking no further than needed."""
    while len(slots):
        chunk = slots[:_CHUNK_SLOTS] if oldest else slots[-_CHUNK_SLOTS:]
        arrived = chunk[has_arrived(run, meter, chunk)]
        if len(arrived):
            return int(arrived[0] if oldest else arrived[-1])
        slots = slots[len(chunk) :] if oldest else slots[: -len(chunk)]
    return None


def has_arrived(run: Run, meters: Meters, slots: Ints) -> np.typing.NDArray[np.bool_]:
    """Return whether each beat was delivered: one meter's in many slots, or each meter's in its own."""
    fates = run.faults.fate_of(meters.identity, slots)
    due = slots * INTERVAL_MS + meters.phase_ms + delay_ms(meters.identity, slots)
    late_arrived = (fates == Fate.LATE) & (run.finished | (due < run.acknowledged_until))
    return np.asarray((fates == Fate.ON_TIME) | (fates == Fate.DOUBLED) | late_arrived)
