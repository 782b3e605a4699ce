"""Folding a group of heartbeats: columns in, one record a user, utility and hour out. Pure numpy.

The rule to understand: of each hour only the newest heartbeat matters, because its register already
counts everything before it. Doubled and out-of-order heartbeats therefore cost nothing.
"""

import numpy as np
from numpy.typing import NDArray

from infra.contracts.live_state import HOUR_MS

Column = NDArray[np.int64]

# What the Redis script reads: the newest heartbeat of a user, utility and hour, and the register that
# the first of them carried, which is where a meter never heard of before begins.
RECORD = np.dtype(
    [
        ("user_id", "<u4"),
        ("utility", "u1"),
        ("region", "S6"),
        ("padding", "u1"),
        ("rate", "<u4"),
        ("sent_at", "<i8"),
        ("register", "<i8"),
        ("first_register", "<i8"),
    ]
)
# A region's share that one bucket contributes to one window; `tag` as the decoder makes it.
REGION_SHARE = np.dtype([("tag", "<i8"), ("window_end", "<i8"), ("rate", "<i8"), ("active_meters", "<i8")])


def fold(
    user_id: Column, sent_at: Column, register: Column, rate: Column, tag: Column, *, singly: bool = False
) -> NDArray[np.void]:
    """Return RECORDs in order of user, utility and hour. Times in ms, the rest in the utility's units.

    `singly` makes a record of each heartbeat: late ones may lie on both sides of what is known already,
    and only one by one can each be put in its place.
    """
    meter = (user_id << 2) | (tag & 3)
    order = np.lexsort((register, sent_at, meter))
    meter, sent_at, register = meter[order], sent_at[order], register[order]
    hour = sent_at // HOUR_MS
    starts = np.flatnonzero(np.r_[True, (meter[1:] != meter[:-1]) | (hour[1:] != hour[:-1]) | singly])
    newest = np.r_[starts[1:], len(meter)] - 1
    records = np.zeros(len(starts), RECORD)
    records["user_id"] = meter[starts] >> 2
    records["utility"] = meter[starts] & 3
    records["region"] = region_bytes(tag[order[newest]])
    records["rate"] = rate[order[newest]]
    records["sent_at"] = sent_at[newest]
    records["register"] = register[newest]
    records["first_register"] = register[starts]
    return records


def region_bytes(tag: Column) -> NDArray[np.bytes_]:
    """Return the regions held by tags: the six bytes above the two of the utility."""
    return (tag >> 2 << 16).astype(">i8").view("S8").astype("S6")


def region_shares(records: NDArray[np.void], window_ms: int) -> NDArray[np.void]:
    """Return what RECORDs of one event-time window contribute to each region and utility."""
    if not len(records):
        return np.empty(0, REGION_SHARE)
    padded = np.zeros(len(records), "S8")
    padded[:] = records["region"]
    tag = (padded.view(">i8").astype(np.int64) >> 16 << 2) | records["utility"]
    tags, inverse = np.unique(tag, return_inverse=True)
    shares = np.zeros(len(tags), REGION_SHARE)
    shares["tag"] = tags
    shares["window_end"] = (int(records["sent_at"][0]) // window_ms + 1) * window_ms
    shares["rate"] = np.bincount(inverse, records["rate"]).astype(np.int64)
    shares["active_meters"] = np.bincount(inverse)
    return shares


def sum_shares(shares: NDArray[np.void]) -> NDArray[np.void]:
    """Return one REGION_SHARE a region and utility: the sum over all buckets of one window."""
    tags, inverse = np.unique(shares["tag"], return_inverse=True)
    sums = np.zeros(len(tags), REGION_SHARE)
    sums["tag"] = tags
    if len(shares):
        sums["window_end"] = shares["window_end"].max()
    sums["rate"] = np.bincount(inverse, shares["rate"], len(tags)).astype(np.int64)
    sums["active_meters"] = np.bincount(inverse, shares["active_meters"], len(tags)).astype(np.int64)
    return sums
