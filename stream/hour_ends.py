"""The newest heartbeat of each user in each hour, gathered from columns in any order. Pure numpy.

An hour's mark is the register of the last heartbeat sent before the hour's end, so that one register a user
and hour is all that a rebuild of live state keeps of an archive.
"""

import numpy as np
from numpy.typing import NDArray

from infra.contracts.durations import HOUR_MS
from infra.contracts.heartbeat import USER_ID_MAX, USER_ID_MIN
from infra.contracts.live_state import MARKS_MAX
from infra.contracts.utility import Utility
from stream.fold import RECORD

Column = NDArray[np.int64]

# What stream/rebuilt_marks.lua reads: the marks of `count` hours, low 32 bits of registers. The first is
# where usage counts from: the meter's first register or, if it is `older`, the one it had. Bit i of `heard`
# tells whether the hour `first_hour + i` had a heartbeat.
MARKS_ROW = np.dtype(
    [
        ("user_id", "<u4"),
        ("utility", "u1"),
        ("older", "u1"),
        ("count", "<u2"),
        ("first_hour", "<u4"),
        ("heard", "<u8"),
        ("lows", "<u4", (MARKS_MAX,)),
    ]
)
NONE = -1  # registers and times are never negative
NEVER = 2**62
FIRST_CAPACITY = 1_024
LOW = 2**32 - 1


class HourEnds:
    """One utility's meters over a fixed range of hours; about 12 bytes a meter and hour, 40 a meter more.

    The range's first hour is there for its end only: the register at which the second hour begins.
    """

    def __init__(self, utility: Utility, first_hour: int, hours: int) -> None:
        self._utility, self._first_hour, self._hours = utility, first_hour, hours
        self._count = 0
        # Pages of this table that no user id touches take no memory.
        self._slot_of = np.zeros(USER_ID_MAX - USER_ID_MIN + 1, np.int32)
        self._user_id = np.zeros(FIRST_CAPACITY, np.int64)
        self._changed = np.zeros(FIRST_CAPACITY, np.bool_)
        self._rate = np.zeros(FIRST_CAPACITY, np.int64)
        self._region = np.zeros(FIRST_CAPACITY, "S6")
        self._newest_at = np.full(FIRST_CAPACITY, NONE, np.int64)
        self._first_at = np.full(FIRST_CAPACITY, NEVER, np.int64)
        self._first_register = np.full(FIRST_CAPACITY, NEVER, np.int64)
        self._at = np.full((hours, FIRST_CAPACITY), NONE, np.int32)  # ms since the hour's start
        self._register = np.full((hours, FIRST_CAPACITY), NONE, np.int64)

    @property
    def meters(self) -> int:
        """How many meters were heard of."""
        return self._count

    def add(
        self, user_id: Column, sent_at: Column, register: Column, rate: Column, region: NDArray[np.bytes_]
    ) -> None:
        """Take heartbeats of hours within the range, in any order; those taken before change nothing."""
        slot = self._slots(user_id)
        hour = sent_at // HOUR_MS - self._first_hour
        for row in range(int(hour.min()), int(hour.max()) + 1):
            here = np.flatnonzero(hour == row)
            self._add_hour(row, slot[here], (sent_at[here] % HOUR_MS).astype(np.int32), register[here])
        self._add_first(slot, sent_at, register)
        self._add_newest(slot, sent_at, register, rate, region)

    def changed_users(self) -> Column:
        """Return the users whose meters changed since they were taken, ascending."""
        return np.sort(self._user_id[np.flatnonzero(self._changed[: self._count])])

    def take(self, users: Column) -> tuple[NDArray[np.void], NDArray[np.void]]:
        """Return the newest heartbeats (RECORD) and marks (MARKS_ROW) of those users whose meters changed."""
        slots = self._slot_of[users - USER_ID_MIN].astype(np.int64) - 1
        slots = slots[slots >= 0]
        slots = slots[self._changed[slots]]
        self._changed[slots] = False
        return self._newest(slots), self._marks(slots)

    def _newest(self, slots: NDArray[np.intp]) -> NDArray[np.void]:
        records = np.zeros(len(slots), RECORD)
        records["user_id"] = self._user_id[slots]
        records["utility"] = self._utility.code
        records["region"] = self._region[slots]
        records["rate"] = self._rate[slots]
        records["sent_at"] = self._newest_at[slots]
        hour = self._newest_at[slots] // HOUR_MS - self._first_hour
        records["register"] = records["first_register"] = self._register[hour, slots]
        return records

    def _marks(self, slots: NDArray[np.intp]) -> NDArray[np.void]:
        """Return the registers as of the hours' ends, from the hour before a meter's first to its newest."""
        heard = self._at[:, slots] != NONE
        older = heard[0]
        first = np.where(older, 0, np.argmax(heard, axis=0) - 1)
        last = self._hours - 1 - np.argmax(heard[::-1], axis=0)
        # A meter silent since before the range has no hour to show: its newest heartbeat is all there is.
        kept = np.flatnonzero(last > first)
        slots, first, last, older, heard = slots[kept], first[kept], last[kept], older[kept], heard[:, kept]
        hour = np.arange(self._hours)[:, np.newaxis]
        # The hour of the newest register known at each hour's end; a silent hour takes that of one before.
        known = np.maximum.accumulate(np.where(heard, hour, NONE), axis=0)
        registers = np.where(known >= 0, self._register[known, slots], self._first_register[slots])
        rows = np.zeros(len(slots), MARKS_ROW)
        rows["user_id"], rows["utility"], rows["older"] = self._user_id[slots], self._utility.code, older
        rows["first_hour"], rows["count"] = self._first_hour + first, last - first + 1
        column = first[:, np.newaxis] + np.arange(MARKS_MAX)
        within = column <= last[:, np.newaxis]
        meter, position = np.nonzero(within)
        bits = np.where(heard, np.uint64(1) << hour.astype(np.uint64), np.uint64(0)).sum(axis=0)
        rows["heard"] = bits >> first.astype(np.uint64)
        rows["lows"][meter, position] = registers[column[within], meter] & LOW
        return rows

    def _slots(self, user_id: Column) -> Column:
        position = user_id - USER_ID_MIN
        found = self._slot_of[position]
        if not found.all():
            strangers = np.unique(user_id[found == 0])
            first, self._count = self._count, self._count + len(strangers)
            self._grow()
            self._user_id[first : self._count] = strangers
            self._slot_of[strangers - USER_ID_MIN] = np.arange(first + 1, self._count + 1)
            found = self._slot_of[position]
        slots: Column = found.astype(np.int64) - 1
        return slots

    def _grow(self) -> None:
        capacity = len(self._user_id)
        if self._count <= capacity:
            return
        more = max(self._count, capacity + capacity // 2) - capacity
        for name, fill in (
            ("_user_id", 0),
            ("_changed", False),
            ("_rate", 0),
            ("_region", b""),
            ("_newest_at", NONE),
            ("_first_at", NEVER),
            ("_first_register", NEVER),
            ("_at", NONE),
            ("_register", NONE),
        ):
            old = getattr(self, name)
            added = np.full((*old.shape[:-1], more), fill, old.dtype)
            setattr(self, name, np.concatenate([old, added], axis=-1))

    def _add_hour(self, row: int, slot: Column, at: NDArray[np.int32], register: Column) -> None:
        newest_at, newest_register = self._at[row], self._register[row]
        late = np.flatnonzero(at >= newest_at[slot])
        slot, at, register = slot[late], at[late], register[late]
        later = at > newest_at[slot]
        newest_register[slot[later]] = NONE
        self._changed[slot[later]] = True
        np.maximum.at(newest_at, slot[later], at[later])
        top = at == newest_at[slot]
        slot, register = slot[top], register[top]
        self._changed[slot[register > newest_register[slot]]] = True
        np.maximum.at(newest_register, slot, register)

    def _add_first(self, slot: Column, sent_at: Column, register: Column) -> None:
        early = np.flatnonzero(sent_at <= self._first_at[slot])
        slot, sent_at, register = slot[early], sent_at[early], register[early]
        earlier = sent_at < self._first_at[slot]
        self._first_register[slot[earlier]] = NEVER
        np.minimum.at(self._first_at, slot[earlier], sent_at[earlier])
        top = sent_at == self._first_at[slot]
        slot, register = slot[top], register[top]
        self._changed[slot[register < self._first_register[slot]]] = True
        np.minimum.at(self._first_register, slot, register)

    def _add_newest(
        self, slot: Column, sent_at: Column, register: Column, rate: Column, region: NDArray[np.bytes_]
    ) -> None:
        late = np.flatnonzero(sent_at >= self._newest_at[slot])
        np.maximum.at(self._newest_at, slot[late], sent_at[late])
        top = late[sent_at[late] == self._newest_at[slot[late]]]
        hour = sent_at[top] // HOUR_MS - self._first_hour
        top = top[register[top] == self._register[hour, slot[top]]]
        self._rate[slot[top]] = rate[top]
        self._region[slot[top]] = region[top]
