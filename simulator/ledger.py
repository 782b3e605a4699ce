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
from simulator.meter_days import askew_at, read_shown, silent_at
from simulator.meter_faults import BY_METER, NONE, MeterFaults
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
    meter_faults: MeterFaults = NONE

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
            "meter_faults": dataclasses.asdict(self.meter_faults),
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
            meter_faults=MeterFaults(**record.get("meter_faults", {})),
        )


@dataclasses.dataclass(frozen=True)
class Reading:
    """A delivered heartbeat as the ledger knows it: as transmitted, and `counted`, its true register."""

    sent_at: int
    register: int
    rate: int
    counted: int


def last_delivered(runs: Sequence[Run], user_id: int, utility: Utility, at_ms: int | None) -> Reading | None:
    """Return the user's last delivered heartbeat sent before `at_ms` (None: whenever).

    Those by a wrong clock are passed over, here and in `first_delivered`: nobody knows when they were sent.
    """
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
            slots = slots[~silent_at(_each(meter, slots), run.meter_faults, slots)]
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


def check_fates(
    runs: Sequence[Run],
    faults: Faults,
    from_ms: int,
    to_ms: int | None,
    meter_faults: MeterFaults = NONE,
) -> None:
    """Refuse a period in which a heartbeat would meet another fate than a recorded run gave it.

    A run that is not finished counts to its planned end, as nobody knows how far it will come. What dials
    do by themselves depends on all that went before, so that it must be the same in every run.

    :raises LedgerError: naming the faults and the run that had others.
    """
    for run in runs:
        ends = [end for end in (to_ms, run.to_ms) if end is not None]
        overlaps = not ends or max(from_ms, run.from_ms) < min(ends)
        if overlaps and run.faults != faults:
            raise _contradiction("faults", faults, run, run.faults)
        if run.meter_faults == meter_faults:
            continue
        if overlaps:
            raise _contradiction("meter-faults", meter_faults, run, run.meter_faults)
        if run.meter_faults.by_meter != meter_faults.by_meter:
            words = ", ".join(BY_METER)
            raise _contradiction("meter-faults", meter_faults, run, run.meter_faults, f" in {words}")


def _contradiction(option: str, asked: object, run: Run, recorded: object, part: str = "") -> LedgerError:
    return LedgerError(
        f"--{option} is {asked}, but the run from {_instant(run.from_ms)} to {_instant(run.to_ms)} "
        f"had {recorded}. Use the same --{option}{part}, or begin anew with `make clean`"
    )


def _instant(at_ms: int | None) -> str:
    if at_ms is None:
        return "no end"
    return datetime.datetime.fromtimestamp(at_ms / 1_000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _newest(
    runs: Sequence[Run], user_id: int, utility: Utility, at_ms: int | None, *, oldest: bool
) -> Reading | None:
    known = [run for run in runs if USER_ID_MIN <= user_id < USER_ID_MIN + run.users]
    if not known:
        return None
    meter = _meter(known[0].seed, user_id, utility)
    spans = [(run, slots) for run in known if len(slots := _slots(run, meter, at_ms))]
    spans.sort(key=lambda span: int(span[1][0] if oldest else -span[1][-1]))
    found: tuple[int, Run] | None = None
    for run, slots in spans:
        # Of another run only what lies beyond the beat that was found is looked through.
        beyond = slice(None) if found is None else slots < found[0] if oldest else slots > found[0]
        slot = _search(run, meter, slots[beyond], oldest=oldest)
        if slot is not None:
            found = slot, run
    if found is None:
        return None
    slot, run = found
    shown = read_shown(meter, run.meter_faults, np.array([slot]))
    figures = (int(column[0]) for column in (shown.register, shown.rate, shown.counted))
    return Reading(slot * INTERVAL_MS + int(meter.phase_ms[0]), *figures)


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
        trusted = has_arrived(run, meter, chunk)
        trusted &= ~askew_at(_each(meter, chunk), run.meter_faults, chunk)
        arrived = chunk[trusted]
        if len(arrived):
            return int(arrived[0] if oldest else arrived[-1])
        slots = slots[len(chunk) :] if oldest else slots[: -len(chunk)]
    return None


def has_arrived(run: Run, meters: Meters, slots: Ints) -> np.typing.NDArray[np.bool_]:
    """Return whether each beat was delivered: one meter's in many slots, or each meter's in its own."""
    fates = run.faults.fate_of(meters.identity, slots)
    due = slots * INTERVAL_MS + meters.phase_ms + delay_ms(meters.identity, slots)
    late_arrived = (fates == Fate.LATE) & (run.finished | (due < run.acknowledged_until))
    arrived = np.asarray((fates == Fate.ON_TIME) | (fates == Fate.DOUBLED) | late_arrived)
    return arrived & ~silent_at(_each(meters, slots), run.meter_faults, slots)


def _each(meters: Meters, slots: Ints) -> Meters:
    """Return a meter for each slot: one meter's again and again, or as they are."""
    return meters if len(meters.user_id) == len(slots) else meters.take(np.zeros(len(slots), np.int64))
