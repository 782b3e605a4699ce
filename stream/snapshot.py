"""Keeps on S3 what live state held of a UTC day, for batch to reconcile with; `stream expire` drops it then.

A sweep goes over all users in calls so short and so far apart that Redis stays free for others, and decodes
each answer as columns. The object appears whole or not at all; writing it again replaces it.
"""

import dataclasses
import datetime
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.heartbeat import USER_ID_MAX, USER_ID_MIN
from infra.contracts.live_state import MARKS_DROPPED, MARKS_HEAD_DTYPE, NOW_DTYPE
from infra.contracts.stream_marks import marks_path
from infra.contracts.utility import UTILITIES

USERS_PER_CALL = 500  # about 4 ms of Redis' time
SHARE_MAX = 0.25  # of Redis' time that a sweep takes
METERS_PER_WRITE = 500_000

# What stream/marks_of_users.lua returns of a user, beside the marks.
ROW = np.dtype(
    [
        ("user_id", "S8"),
        ("now", NOW_DTYPE, (len(UTILITIES),)),
        ("heads", MARKS_HEAD_DTYPE, (len(UTILITIES),)),
    ]
)
# One meter's registers as of the bounds of a day; `utility` is its code.
DAY_REGISTERS = np.dtype(
    [("user_id", "<i8"), ("utility", "u1"), ("register_start", "<i8"), ("register_end", "<i8")]
)
Rows = NDArray[np.void]
Lows = NDArray[np.uint32]


class SnapshotRefused(ValueError):  # noqa: N818 - named by what happened, as a rebuild names its own
    """A night that no snapshot can be of: names it and what it may be."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Some users' live state: ROWs, the marks of one after the other; how many more break the contract."""

    cursor: int
    rows: Rows
    lows: Lows
    broken: int


class MarksSource(Protocol):
    """Live state as a sweep reads it. Any method may raise RedisAwayError."""

    def published_until(self) -> int:
        """Return the instant (ms) from before which hours are dropped, 0 if none are."""

    def part(self, cursor: int, users: int) -> Part:
        """Return about so many users; begins with cursor 0 and has seen everyone when it returns 0.

        A user may come twice.
        """


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What a sweep came to. Nothing is written where live state has dropped the day's first hour already."""

    night: str
    object: str
    written: bool
    users: int = 0
    meters: int = 0  # rows of the object
    users_broken: int = 0  # left out, because their state breaks the contract
    seconds: float = 0.0

    def __str__(self) -> str:
        if not self.written:
            return f"live state has dropped the hours of {self.night} already; {self.object} stays as it is"
        broken = f", {self.users_broken:,} broken ones left out" if self.users_broken else ""
        return (
            f"{self.object}: {self.meters:,} meters of {self.users:,} users{broken} in {self.seconds:.1f} s"
        )


def night_start_ms(text: str, now_ms: int) -> int:
    """Return the start (ms since 1970) of a UTC day YYYY-MM-DD that is over.

    :raises SnapshotRefused: if it is none.
    """
    try:
        day = datetime.datetime.combine(datetime.date.fromisoformat(text), datetime.time(), datetime.UTC)
    except ValueError:
        raise SnapshotRefused(f"--night is {text!r}, not a date like 2026-03-29") from None
    start_ms = int(day.timestamp()) * 1000
    if start_ms + DAY_MS > now_ms:
        raise SnapshotRefused(f"--night is {text}, which is not over; give a UTC day of the past")
    return start_ms


def take(
    live: MarksSource,
    write: Callable[[str, Iterator[NDArray[np.void]]], None],
    start_ms: int,
    tell: Callable[[str], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> Snapshot:
    """Sweep over live state and hand DAY_REGISTERS of the UTC day that begins at `start_ms` to `write`.

    `write` gets the object's path and the rows, about METERS_PER_WRITE at a time, and puts all there or none.

    :raises RedisAwayError: if Redis does not answer; nothing is written then.
    """
    began = time.monotonic()
    night = datetime.datetime.fromtimestamp(start_ms // 1000, datetime.UTC).date().isoformat()
    path = marks_path(night)
    # The mark as of the day's start is that of the hour before, which goes with the first hour published.
    if live.published_until() // HOUR_MS > start_ms // HOUR_MS:
        return Snapshot(night, path, written=False)
    sweep = _Sweep(live, start_ms, tell, pause)
    write(path, _in_large_parts(sweep.run()))
    seconds = round(time.monotonic() - began, 3)
    return Snapshot(night, path, True, sweep.users, sweep.meters, sweep.users_broken, seconds)


class _Sweep:
    """One pass over all users, each counted once."""

    def __init__(
        self, live: MarksSource, start_ms: int, tell: Callable[[str], None], pause: Callable[[float], None]
    ) -> None:
        self._live, self._start_ms, self._tell, self._pause = live, start_ms, tell, pause
        # Pages of this table that no user id touches take no memory.
        self._seen = np.zeros(USER_ID_MAX - USER_ID_MIN + 1, np.bool_)
        self.users = self.meters = self.users_broken = 0

    def run(self) -> Iterator[NDArray[np.void]]:
        """Yield the day's registers of a few users at a time."""
        cursor = 0
        while True:
            asked = time.monotonic()
            part = self._live.part(cursor, USERS_PER_CALL)
            answered = time.monotonic()
            found = day_registers(part.rows, part.lows, self._start_ms, self._start_ms + DAY_MS)
            index = found["user_id"] - USER_ID_MIN
            found = found[~self._seen[index]]
            users = part.rows["user_id"].astype(np.int64) - USER_ID_MIN
            self.users += int(np.count_nonzero(~self._seen[users]))
            self._seen[users] = True
            self.users_broken += part.broken
            self.meters += len(found)
            self._tell(f"{self.users:,} users, {self.meters:,} meters")
            yield found
            cursor = part.cursor
            if not cursor:
                return
            # Redis rests while this process works, and beyond that as long as its share asks for.
            rest = (answered - asked) * (1 / SHARE_MAX - 1) - (time.monotonic() - answered)
            if rest > 0:
                self._pause(rest)


def day_registers(rows: Rows, lows: Lows, start_ms: int, end_ms: int) -> NDArray[np.void]:
    """Return DAY_REGISTERS of the meters whose registers are known as of both instants, which are full hours.

    A register as of an instant is the mark of the hour before; for a meter that began after the start, and
    before the end, it is the first register that the meter showed.

    :raises ValueError: if there are not as many marks as the heads say.
    """
    heads = rows["heads"].reshape(-1)
    counts = heads["marks"].astype(np.int64)
    ends = np.cumsum(counts)
    if len(lows) != (ends[-1] if len(ends) else 0):
        raise ValueError(f"live state of {len(rows)} users has {len(lows)} marks, not {counts.sum()}")
    first_hour = heads["first_hour"].astype(np.int64)
    dropped = first_hour >= MARKS_DROPPED
    first_hour %= MARKS_DROPPED
    at_start, at_end = (instant // HOUR_MS - 1 - first_hour for instant in (start_ms, end_ms))
    # The first mark of a meter whose beginning is known is no hour's end, it is where the meter began.
    began_before_end = dropped | (at_end > 0)
    at_start[~dropped] = np.maximum(at_start[~dropped], 0)
    known = np.flatnonzero((at_start >= 0) & (at_start <= at_end) & (at_end < counts) & began_before_end)
    registers = rows["now"].reshape(-1)["register"]
    marks = _Widened(lows, ends, counts, registers)
    found = np.empty(len(known), DAY_REGISTERS)
    found["user_id"] = rows["user_id"].astype(np.int64)[known // len(UTILITIES)]
    found["utility"] = known % len(UTILITIES)
    found["register_start"] = marks.of(known, at_start[known])
    found["register_end"] = marks.of(known, at_end[known])
    return found


class _Widened:
    """Marks of many meters at full width, by the rule of infra/contracts/live_state.py."""

    def __init__(
        self, lows: Lows, ends: NDArray[np.int64], counts: NDArray[np.int64], registers: NDArray[np.int64]
    ) -> None:
        following = np.empty_like(lows)
        following[:-1] = lows[1:]
        with_marks = np.flatnonzero(counts)
        following[ends[with_marks] - 1] = (registers[with_marks] % 2**32).astype(np.uint32)
        # Unsigned differences wrap, which is how a mark's low 32 bits are to be read.
        self._used_until = np.concatenate([[0], np.cumsum(following - lows, dtype=np.int64)])
        self._ends, self._begins, self._registers = ends, ends - counts, registers

    def of(self, meters: NDArray[np.intp], positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a mark of each of some meters, by its position among the meter's own."""
        used_since = self._used_until[self._ends[meters]] - self._used_until[self._begins[meters] + positions]
        wide = self._registers[meters] - used_since
        register: NDArray[np.int64] = np.where(wide < 0, wide % 2**32, wide)
        return register


def _in_large_parts(parts: Iterator[NDArray[np.void]]) -> Iterator[NDArray[np.void]]:
    """Join what a few calls brought, for rows that are written together compress and read better."""
    held: list[NDArray[np.void]] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= METERS_PER_WRITE:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)
