"""Lays records out as the Redis script wants them: one row a user, ready to be written as it is. Pure numpy.

A script spends most of its time taking numbers apart and putting them together, so that is done here, for
thousands of users at once; the script has only to compare and to write.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from infra.contracts.live_state import NOW_DTYPE
from infra.contracts.utility import UTILITIES

# `key` as infra/contracts/live_state.py spells it. `whole`: one record of each utility, no more; only then
# are `first_registers` and `now`, the slots, filled in.
ROW = np.dtype(
    [
        ("key", "S13"),
        ("whole", "u1"),
        ("records", "<u2"),
        ("first_registers", "<i8", (len(UTILITIES),)),
        ("now", NOW_DTYPE, (len(UTILITIES),)),
    ]
)
# About 1 ms of Redis' time, 3 ms where marks are to be merged: other clients, who read what people wait for,
# wait no longer than that.
USERS_PER_CALL = 128
RECORDS_PER_CALL = 384

_DIGITS = np.array([f"{number:04}" for number in range(10_000)], "S4")


def calls(records: NDArray[np.void]) -> Iterator[NDArray[np.void]]:
    """Cut stream.fold.RECORDs ordered by user into what one call takes; only a user of very many is cut."""
    starts = _starts(records)
    for first in range(0, len(starts), USERS_PER_CALL):
        following = first + USERS_PER_CALL
        end = starts[following] if following < len(starts) else len(records)
        for start in range(starts[first], end, RECORDS_PER_CALL):
            yield records[start : min(start + RECORDS_PER_CALL, end)]


def live_rows(records: NDArray[np.void], epoch: int) -> NDArray[np.void]:
    """Return one ROW a user, in the order of the RECORDs of one call."""
    starts = _starts(records)
    rows = np.zeros(len(starts), ROW)
    rows["key"] = _keys(records["user_id"][starts])
    rows["records"] = np.diff(np.r_[starts, len(records)])
    whole = _whole(records["utility"], starts, rows["records"])
    rows["whole"] = whole
    meters = records[starts[whole][:, np.newaxis] + np.arange(len(UTILITIES))]
    rows["first_registers"][whole] = meters["first_register"]
    now = np.empty(meters.shape, NOW_DTYPE)
    for name in ("sent_at", "register", "rate"):
        now[name] = meters[name]
    now["epoch"] = epoch
    rows["now"][whole] = now
    return rows


def _starts(records: NDArray[np.void]) -> NDArray[np.intp]:
    """Return where each user's records begin."""
    users = records["user_id"]
    return np.flatnonzero(np.r_[True, users[1:] != users[:-1]]) if len(users) else np.empty(0, np.intp)


def _keys(users: NDArray[np.uint32]) -> NDArray[np.bytes_]:
    """Return `live:` and the eight digits of each user id."""
    keys = np.empty((len(users), 13), "u1")
    keys[:, :5] = np.frombuffer(b"live:", "u1")
    keys[:, 5:9] = _DIGITS[users // 10_000].view("u1").reshape(-1, 4)
    keys[:, 9:] = _DIGITS[users % 10_000].view("u1").reshape(-1, 4)
    return keys.view("S13")[:, 0]


def _whole(
    utility: NDArray[np.uint8], starts: NDArray[np.intp], counts: NDArray[np.uint16]
) -> NDArray[np.bool_]:
    """Return which users have one record of each utility."""
    whole: NDArray[np.bool_] = counts == len(UTILITIES)
    for code in range(len(UTILITIES)):
        whole[whole] &= utility[starts[whole] + code] == code
    return whole
