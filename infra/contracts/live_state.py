"""What Redis holds: a hash a user, a hash and a string a region, written by stream and read by serving.

`live:{user_id}` has the fields
    n           three slots of NOW_DTYPE, one a utility: the newest heartbeat; `sent_at` 0 means none yet
    h           the hour marks: three of MARKS_HEAD_DTYPE, one a utility, then u32 a mark, by utility, hour
    r           the region, ASCII
A mark is the register as of the end of its hour (the last heartbeat sent before that instant), its low
32 bits. The mark before the first full hour is the first register seen. The hour that is running has
no mark: its register is the one in `n`. A mark is at most the register that follows it; where that would put
it below 0 the dial began again in between, and the mark is its low 32 bits.
Older marks are dropped, beyond MARKS_MAX and as below; the head then says so by MARKS_DROPPED.

`published_until` is the instant (ms) up to which batch has published, as `stream expire` was last told; it
never steps back. Marks of hours that end before its hour begins are dropped: MySQL has those hours.

`region:{code}` has the fields
    e, g, w     each one REGION_DTYPE: a utility's newest window
    ke, kg, kw  how many of a utility's meters were ever heard, in decimal; each is counted once
The set `regions` names all codes.

`load:{code}` is the region's course over a day: LOAD_SLOTS of LOAD_DTYPE a utility, one utility after the
other. Each is for 5 minutes, numbered since 1970, and at its number's place in the ring: the rate of the
newest window that ends in them. A slot of number 0 was never written, nor what is beyond the string's end.

A user's slot is written only if (epoch, sent_at, register) is greater than what is there; a region's window,
and its place in the course, only if (epoch, window_end) is. A replay therefore changes nothing.
"""

import dataclasses
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from infra.contracts.utility import UTILITIES, Utility

REGIONS_KEY = "regions"
REGION_FIELD = b"r"
NOW_FIELD = b"n"
MARKS_FIELD = b"h"
PUBLISHED_UNTIL_KEY = "published_until"
KNOWN_FIELD_PREFIX = b"k"
UTILITY_FIELDS = {Utility.ELECTRICITY: b"e", Utility.GAS: b"g", Utility.WATER: b"w"}

NOW_DTYPE = np.dtype([("sent_at", "<i8"), ("register", "<i8"), ("rate", "<u4"), ("epoch", "<u4")])
REGION_DTYPE = np.dtype([("window_end", "<i8"), ("rate", "<i8"), ("active_meters", "<u4"), ("epoch", "<u4")])
LOAD_DTYPE = np.dtype([("slot", "<u4"), ("pad", "<u4"), ("rate", "<i8")])
LOAD_SLOT_MS = 300_000
LOAD_SLOTS = 288  # a day of them
MARKS_HEAD_DTYPE = np.dtype([("first_hour", "<u4"), ("marks", "u1")])  # hours since 1970
# The same as above, to read one user's in microseconds.
_SLOTS = struct.Struct("<" + 3 * "qqII")
_HEADS = struct.Struct("<" + 3 * "IB")
MARKS_DROPPED = 2**31  # added to `first_hour`: the first mark is not where the meter began
MARKS_MAX = 50


def live_key(user_id: int) -> str:
    """Return the key of a user's hash."""
    return f"live:{user_id}"


def region_key(code: str) -> str:
    """Return the key of a region's hash."""
    return f"region:{code}"


def load_key(code: str) -> str:
    """Return the key of a region's course over a day."""
    return f"load:{code}"


class LiveMeter(NamedTuple):
    """One user's one utility as the stream last saw it. Registers and rates in the utility's units.

    `marks` are the registers as of the ends of `first_hour` (since 1970) and those after it, full width.
    `marks_dropped`: there were older ones; if not, the first is the meter's first register.
    """

    sent_at: int
    register: int
    rate: int
    epoch: int
    first_hour: int
    marks: Sequence[int]
    marks_dropped: bool

    def marks_by_hour(self) -> dict[int, int]:
        """Return the register as of each hour's end, ascending."""
        return dict(enumerate(self.marks, self.first_hour))


class LiveState(NamedTuple):
    """What the stream knows of one user; a utility never heard of is absent."""

    region: str
    meters: Mapping[Utility, LiveMeter]


def decode_live_state(fields: Mapping[bytes, bytes]) -> LiveState:
    """Return the live state held by the fields of a user's hash, as HGETALL gives them.

    :raises KeyError, ValueError: if they break the contract.
    """
    try:
        slots = _SLOTS.unpack(fields[NOW_FIELD])
        packed = fields[MARKS_FIELD]
        heads = _HEADS.unpack_from(packed)
        lows = struct.unpack(f"<{sum(heads[1::2])}I", packed[_HEADS.size :])
    except struct.error as error:
        raise ValueError(f"live state is not three slots and their marks: {error}") from None
    meters, begin = {}, 0
    for code, utility in enumerate(UTILITIES):
        sent_at, register, rate, epoch = slots[4 * code : 4 * code + 4]
        first_hour, count = heads[2 * code : 2 * code + 2]
        marks, begin = lows[begin : begin + count], begin + count
        if sent_at:
            first = first_hour % MARKS_DROPPED
            wide = _widened(marks, register)
            dropped = first_hour >= MARKS_DROPPED
            meters[utility] = LiveMeter(sent_at, register, rate, epoch, first, wide, dropped)
    return LiveState(fields[REGION_FIELD].decode(), meters)


def _widened(lows: Sequence[int], register: int) -> Sequence[int]:
    """Widen the low 32 bits of each mark, newest first, from the register that is known whole."""
    if register < 2**32 and list(lows) == sorted(lows) and (not lows or lows[-1] <= register):
        return lows  # as nearly all are: they only rise, and never left 32 bits
    wide: list[int] = []
    for low in reversed(lows):
        register -= (register - low) % 2**32
        if register < 0:
            register = low
        wide.append(register)
    return tuple(reversed(wide))


@dataclasses.dataclass(frozen=True)
class RegionUse:
    """One utility's use in a region over the newest window: summed rate, meters heard, meters known."""

    window_end: int
    rate: int
    active_meters: int
    epoch: int
    known_meters: int

    @property
    def silent_meters(self) -> int:
        """How many known meters the newest window did not hear of, the late ones among them."""
        return max(0, self.known_meters - self.active_meters)


def decode_region(fields: Mapping[bytes, bytes]) -> dict[Utility, RegionUse]:
    """Return the use by utility held by the fields of a region's hash.

    :raises ValueError: if they break the contract.
    """
    uses = {}
    for utility, field in UTILITY_FIELDS.items():
        if field in fields:
            [row] = np.frombuffer(fields[field], REGION_DTYPE)
            uses[utility] = RegionUse(
                window_end=int(row["window_end"]),
                rate=int(row["rate"]),
                active_meters=int(row["active_meters"]),
                epoch=int(row["epoch"]),
                known_meters=int(fields.get(KNOWN_FIELD_PREFIX + field, 0)),
            )
    return uses


def decode_load(packed: bytes) -> dict[Utility, list[tuple[int, int]]]:
    """Return a region's course by utility: when 5 minutes begin (ms) and its rate in them, ascending.

    It is a day at most, up to the newest of all three: what an earlier turn of the ring left is not told.

    :raises ValueError: if the string breaks the contract.
    """
    whole = len(UTILITIES) * LOAD_SLOTS * LOAD_DTYPE.itemsize
    if len(packed) > whole or len(packed) % LOAD_DTYPE.itemsize:
        raise ValueError(f"load has {len(packed)} bytes, not up to {whole} by {LOAD_DTYPE.itemsize}")
    rings = np.frombuffer(packed.ljust(whole, b"\0"), LOAD_DTYPE).reshape(len(UTILITIES), LOAD_SLOTS)
    oldest = max(int(rings["slot"].max()) - LOAD_SLOTS, 0)
    courses = {}
    for utility in UTILITIES:
        ring = np.sort(rings[utility.code], order="slot")
        ring = ring[ring["slot"] > oldest]
        begins = ring["slot"].astype(np.int64) * LOAD_SLOT_MS
        courses[utility] = list(zip(begins.tolist(), ring["rate"].tolist(), strict=True))
    return courses
