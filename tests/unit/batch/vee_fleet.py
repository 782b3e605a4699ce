"""Fleets of meters made at random, night by night, with faults laid over each other; folded in numpy."""

import dataclasses
import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from vee_builders import CARRIED, HOURS_TYPE, STAY, TARIFFS

from batch.edited_rows import edit_batch
from batch.local_hours import OPEN_DAY
from batch.night import Night
from batch.usage import HOUR_FIELDS, REGISTER_BITS
from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.heartbeat import INTERVAL_MS

Ints = npt.NDArray[np.int64]
BEATS = HOUR_MS // INTERVAL_MS
SLOTS = 24 * BEATS
PIECES = 36  # an hour's usage changes so often
MASTER = ("exchange_at", "exchange_final", "exchange_initial", "read")
# Faults that leave every register that is sent as it was.
HARMLESS = ("gap", "lossy", "doubled", "rate")
HARMFUL = ("spike", "negative", "stuck", "zero", "clock", "reset", "exchange", "read", "half", "jump", "fall")


@dataclasses.dataclass
class Sent:
    """What a fleet sent on one day, [meter, slot]."""

    real: Ints
    """The register that really was."""
    shown: Ints
    rate: Ints
    sent: npt.NDArray[np.bool_]
    twice: npt.NDArray[np.bool_]
    shift_ms: Ints
    master: dict[str, Ints]
    faults: list[set[str]]


class Fleet:
    """Meters from 2 to some 10,000,000 units an hour; a quarter of them has a small dial."""

    def __init__(self, seed: int, count: int, kinds: tuple[str, ...], faults_max: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.count, self.kinds, self.faults_max = count, kinds, faults_max
        self.night = Night(datetime.date(2026, 3, 27))
        self.scale = np.exp(rng.uniform(np.log(2), np.log(10_000_000), count))
        self.rate_max = np.maximum((20 * self.scale).astype(np.int64), 500)
        large = np.where(rng.random(count) < 0.1, 1 << 50, 10**11)
        small = 10 ** np.ceil(np.log10(40.0 * self.rate_max)).astype(np.int64)
        self.dial = np.where(rng.random(count) < 0.25, small, large)
        self.base = rng.integers(100, 10**11 - 10**9, count)
        self.fraction = np.zeros(count)
        self.moved = np.zeros(count, np.int64)  # what a dial shows beyond what was really used
        self.phase = rng.integers(0, INTERVAL_MS, count)
        self.vacant = rng.random(count) < 0.1
        self.rows: dict[int, dict[str, Any]] = {}

    def run(self) -> tuple[Sent, dict[int, dict[str, Any]]]:
        """Run one night; return what was sent, and the edited rows by meter."""
        day = self._day()
        for meter in range(self.count):
            chosen = self.rng.choice(self.kinds, self.rng.integers(0, self.faults_max + 1), replace=False)
            for kind in sorted(chosen.tolist(), key=lambda one: one not in {"reset", "exchange"}):
                self._befall(kind, meter, day)
                day.faults[meter].add(kind)
        day.shown = np.maximum(day.shown, 0) % self.dial[:, None]
        found = edit_batch(self._batch(day), self.night, TARIFFS).to_pylist()
        self.rows = {row["user_id"]: row for row in found}
        self.night = Night(self.night.day + datetime.timedelta(days=1))
        return day, self.rows

    def _day(self) -> Sent:
        rng, shape = self.rng, (self.count, SLOTS)
        hourly = self.scale[:, None] * rng.gamma(2, 0.5, (self.count, 24))
        pieces = rng.gamma(0.5, 2, (self.count, 24, PIECES)) * (rng.random((self.count, 24, PIECES)) < 0.8)
        rate = np.minimum(hourly[:, :, None] * pieces, 0.9 * self.rate_max[:, None, None])
        rate = np.repeat(rate.reshape(self.count, -1), BEATS // PIECES, axis=1)
        until = np.cumsum(rate, axis=1) / BEATS
        real = self.base[:, None] + np.floor(self.fraction[:, None] + until - rate / BEATS).astype(np.int64)
        whole = np.floor(self.fraction + until[:, -1])
        self.fraction = self.fraction + until[:, -1] - whole
        self.base = self.base + whole.astype(np.int64)
        return Sent(
            real=real,
            shown=real + self.moved[:, None],
            rate=np.rint(rate).astype(np.int64),
            sent=np.ones(shape, np.bool_),
            twice=np.zeros(shape, np.bool_),
            shift_ms=np.zeros(shape, np.int64),
            master={name: np.full(self.count, -1, np.int64) for name in MASTER},
            faults=[set() for _ in range(self.count)],
        )

    def _span(self, longest: int) -> slice:
        """Return slots anywhere; one in two begins or ends with an hour or with the day."""
        length = int(np.exp(self.rng.uniform(0, np.log(longest))))
        start = int(self.rng.integers(0, SLOTS))
        hour = start // BEATS * BEATS
        start = max([start, start, start, start, hour, hour - length, 0, SLOTS - length][start % 8], 0)
        return slice(start, min(start + length, SLOTS))

    def _befall(self, kind: str, meter: int, day: Sent) -> None:
        rng = self.rng
        shown, rate, sent = day.shown[meter], day.rate[meter], day.sent[meter]
        hour, most, any_slot = self.scale[meter], int(self.rate_max[meter]), slice(self._span(1).start, SLOTS)
        if kind == "gap":
            sent[self._span(SLOTS)] = False
        elif kind == "lossy":
            sent &= rng.random(SLOTS) > rng.choice([0.01, 0.5, 0.95])
        elif kind == "doubled":
            day.twice[meter] = rng.random(SLOTS) < 0.1
        elif kind == "rate":
            rate[self._span(2 * BEATS)] = rng.choice([2, 1_000]) * most
        elif kind == "spike":
            shown[self._span(4)] += int(rng.choice([0.1, 1, 50]) * most)
        elif kind == "negative":
            shown[self._span(8 * BEATS)] -= int(rng.choice([0.2, 2, 10]) * hour)
        elif kind in {"stuck", "zero"}:
            span = self._span(SLOTS)
            shown[span] = shown[span.start]
            rate[span] *= kind == "stuck"
        elif kind == "clock":
            day.shift_ms[meter, self._span(6 * BEATS)] = rng.integers(-20_000_000, 20_000_000)
        elif kind == "half":
            shown[any_slot] = shown[any_slot.start] + (shown[any_slot] - shown[any_slot.start]) // 2
        elif kind == "read":
            day.master["read"][meter] = (
                max(shown[-1] + int(rng.choice([0, 100, -100, 10**6, 10**10])), 0) % self.dial[meter]
            )
        else:
            self._move_dial(kind, meter, any_slot, day)

    def _move_dial(self, kind: str, meter: int, since: slice, day: Sent) -> None:
        """Let the dial show something else from a slot on, for good."""
        shown, rng = day.shown[meter], self.rng
        now = int(shown[since.start])
        by = {
            "reset": -now,
            "exchange": int(rng.integers(0, 50)) - now,
            "jump": int(rng.choice([0.5, 3, 100]) * self.rate_max[meter]),
            "fall": -int(min(rng.choice([1, 5, 100]) * self.scale[meter], now)),
        }[kind]
        if kind == "exchange":
            day.master["exchange_at"][meter] = since.start * INTERVAL_MS + self.phase[meter]
            day.master["exchange_final"][meter] = now
            day.master["exchange_initial"][meter] = now + by
        shown[since] += by
        self.moved[meter] += by

    def _batch(self, day: Sent) -> pa.RecordBatch:
        lengths, fields = self._folded(day)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        hours = pa.StructArray.from_arrays(
            [pa.array(fields[name]) for name in HOUR_FIELDS], fields=list(HOURS_TYPE)
        )
        stay = [{"place": 0, "moved_in": 0, "moved_out": OPEN_DAY}]
        ids = np.arange(self.count)
        columns = {
            "user_id": pa.array(ids),
            "utility": pa.array(ids % 3),
            "hours": pa.ListArray.from_arrays(pa.array(offsets), hours),
            **{name: self._carried(name) for name in CARRIED},
            "known": pa.array([True] * self.count),
            "home": pa.array(ids % 5 != 0),
            "zone": pa.array(["UTC", "America/New_York"] * self.count).slice(0, self.count),
            "region": pa.array(["US-NY"] * self.count),
            "dial": pa.array(self.dial),
            "rate_max": pa.array(self.rate_max),
            **{name: pa.array(values, mask=values < 0) for name, values in day.master.items()},
            "stays": pa.array([[] if one else stay for one in self.vacant], pa.list_(STAY)),
        }
        return pa.RecordBatch.from_pydict(columns)

    def _carried(self, name: str) -> pa.Array:
        return pa.array([self.rows.get(meter, {}).get(name) for meter in range(self.count)], pa.int64())

    def _folded(self, day: Sent) -> tuple[Ints, dict[str, Ints]]:
        """Return how many hours each meter has, and their fields: what Spark's pass would make of them."""
        meter, slot = np.nonzero(day.sent)
        again = day.twice[meter, slot]
        meter, slot = np.concatenate([meter, meter[again]]), np.concatenate([slot, slot[again]])
        at = slot * INTERVAL_MS + self.phase[meter] + day.shift_ms[meter, slot]
        register, rate = day.shown[meter, slot], day.rate[meter, slot]
        key = (meter * 24 + at // HOUR_MS) * INTERVAL_MS + at % INTERVAL_MS
        order = np.lexsort((register, at, key))
        order = order[(at[order] >= 0) & (at[order] < DAY_MS)]
        meter, at, register, rate, key = (part[order] for part in (meter, at, register, rate, key))
        begins = np.flatnonzero(np.diff(key, prepend=-1))
        packed = (at % HOUR_MS // INTERVAL_MS << REGISTER_BITS) | register
        fields = {
            "hour": at[begins] // HOUR_MS,
            "phase": at[begins] % INTERVAL_MS,
            "first": np.minimum.reduceat(packed, begins),
            "last": np.maximum.reduceat(packed, begins),
            "least": np.minimum.reduceat(register, begins),
            "greatest": np.maximum.reduceat(register, begins),
            "rate_min": np.minimum.reduceat(rate, begins),
            "rate_max": np.maximum.reduceat(rate, begins),
            "rate_sum": np.add.reduceat(rate, begins),
            "heartbeats_read": np.diff(begins, append=len(key)),
            "heartbeats": np.add.reduceat((np.diff(at * self.count + meter, prepend=-1) != 0) * 1, begins),
        }
        return np.bincount(meter[begins], minlength=self.count), fields
