"""Folding a group of heartbeats: packed heartbeats in, one record a user, utility and hour out. Pure numpy.

The rule to understand: of each hour only the newest heartbeat matters, because its register already
counts everything before it. Doubled and out-of-order heartbeats therefore cost nothing.
"""

import numpy as np
from numpy.typing import NDArray

from infra.contracts.durations import HOUR_MS

# One heartbeat as the job packs it (stream/java/meterbeat/Pack.java). `tag` is the region's six bytes read
# as a big-endian number, times four plus the utility's code.
PACKED = np.dtype(
    [("tag", "<i8"), ("sent_at", "<i8"), ("register", "<i8"), ("user_id", "<u4"), ("rate", "<u4")]
)
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
# A region's share that one bucket contributes to one window.
REGION_SHARE = np.dtype([("tag", "<i8"), ("window_end", "<i8"), ("rate", "<i8"), ("active_meters", "<i8")])

# A heartbeat without field names: numpy moves such rows whole, several times faster than field by field.
_PLAIN = np.dtype((np.void, PACKED.itemsize))
_TIME_BITS = 34  # of one group's span in milliseconds, half a year; a meter takes the 29 bits above


def fold(heartbeats: NDArray[np.void], *, singly: bool = False) -> NDArray[np.void]:
    """Return RECORDs in order of user, utility and hour from PACKED heartbeats in any order.

    `singly` makes a record of each heartbeat: late ones may lie on both sides of what is known already,
    and only one by one can each be put in its place.
    """
    ordered = heartbeats.view(_PLAIN)[_order(heartbeats)].view(PACKED)
    meter, hour = _meter(ordered), ordered["sent_at"] // HOUR_MS
    starts = np.flatnonzero(np.r_[True, (meter[1:] != meter[:-1]) | (hour[1:] != hour[:-1]) | singly])
    newest = ordered.view(_PLAIN)[np.r_[starts[1:], len(ordered)] - 1].view(PACKED)
    records = np.zeros(len(starts), RECORD)
    records["utility"] = newest["tag"] & 3
    records["region"] = region_bytes(newest["tag"])
    for name in ("user_id", "rate", "sent_at", "register"):
        records[name] = newest[name]
    records["first_register"] = ordered["register"][starts]
    return records


def _meter(heartbeats: NDArray[np.void]) -> NDArray[np.int64]:
    return heartbeats["user_id"].astype(np.int64) << 2 | heartbeats["tag"] & 3


def _order(heartbeats: NDArray[np.void]) -> NDArray[np.intp]:
    """Return the order by meter, time and register.

    Sorting one number a heartbeat is several times faster than sorting by three; it decides all but two
    registers at the same instant, which no sound meter sends.
    """
    meter, sent_at = _meter(heartbeats), heartbeats["sent_at"]
    since = sent_at - sent_at.min()
    if not since.max() >> _TIME_BITS:
        key = meter << _TIME_BITS | since
        order: NDArray[np.intp] = np.argsort(key)
        key, register = key[order], heartbeats["register"][order]
        if not np.any((key[1:] == key[:-1]) & (register[1:] != register[:-1])):
            return order
    return np.asarray(np.lexsort((heartbeats["register"], sent_at, meter)))


def region_bytes(tag: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """Return the regions held by tags: the six bytes above the two of the utility."""
    return (tag >> 2 << 16).astype(">i8").view("S8").astype("S6")


def region_shares(records: NDArray[np.void], window_end: int) -> NDArray[np.void]:
    """Return what RECORDs of one window, one a meter, contribute to each region and utility."""
    if not len(records):
        return np.empty(0, REGION_SHARE)
    padded = np.zeros(len(records), "S8")
    padded[:] = records["region"]
    tag = (padded.view(">i8").astype(np.int64) >> 16 << 2) | records["utility"]
    tags, inverse = np.unique(tag, return_inverse=True)
    shares = np.zeros(len(tags), REGION_SHARE)
    shares["tag"] = tags
    shares["window_end"] = window_end
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
