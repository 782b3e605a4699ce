"""What Redis holds: one hash a user, one hash a region, written by stream and read by serving.

`live:{user_id}` has the fields
    n           three slots of NOW_DTYPE, one a utility: the newest heartbeat; `sent_at` 0 means none yet
    h           the hour marks: three of MARKS_HEAD_DTYPE, one a utility, then u32 a mark, by utility, hour
    r           the region, ASCII
A mark is the register as of the end of its hour (the last heartbeat sent before that instant), its low
32 bits. The mark before the first full hour is the first register seen. The hour that is running has
no mark: its register is the one in `n`. The usage of an hour is the difference of two marks, modulo 2**32.
Older marks are dropped, beyond MARKS_MAX and as below; the head then says so by MARKS_DROPPED.

`published_until` is the instant (ms) up to which batch has published, as `stream expire` was last told; it
never steps back. Marks of hours that end before its hour begins are dropped: MySQL has those hours.

`region:{code}` has the fields
    e, g, w     each one REGION_DTYPE: a utility's newest window
    ke, kg, kw  how many of a utility's meters were ever heard, in decimal; each is counted once
The set `regions` names all codes.

A slot is written only if (epoch, sent_at, register) is greater than what is there, a region only if
(epoch, window_end) is; a replay therefore changes nothing.
"""

import dataclasses
from collections.abc import Mapping

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
MARKS_HEAD_DTYPE = np.dtype([("first_hour", "<u4"), ("marks", "u1")])  # hours since 1970
MARKS_DROPPED = 2**31  # added to `first_hour`: the first mark is not where the meter began
MARKS_MAX = 50
HOUR_MS = 3_600_000


def live_key(user_id: int) -> str:
    """Return the key of a user's hash."""
    return f"live:{user_id}"


def region_key(code: str) -> str:
    """Return the key of a region's hash."""
    return f"region:{code}"


@dataclasses.dataclass(frozen=True)
class LiveMeter:
    """One user's one utility as the stream last saw it. Registers and rates in the utility's units."""

    sent_at: int
    register: int
    rate: int
    epoch: int
    marks: Mapping[int, int]
    """Hour since 1970 -> register as of that hour's end, ascending, full width."""
    marks_dropped: bool
    """Whether there were older marks; if not, the first one is the meter's first register."""


@dataclasses.dataclass(frozen=True)
class LiveState:
    """What the stream knows of one user; a utility never heard of is absent."""

    region: str
    meters: Mapping[Utility, LiveMeter]


def decode_live_state(fields: Mapping[bytes, bytes]) -> LiveState:
    """Return the live state held by the fields of a user's hash, as HGETALL gives them.

    :raises KeyError, ValueError: if they break the contract.
    """
    now = np.frombuffer(fields[NOW_FIELD], NOW_DTYPE)
    packed = fields[MARKS_FIELD]
    heads = np.frombuffer(packed, MARKS_HEAD_DTYPE, len(UTILITIES))
    lows = np.frombuffer(packed, "<u4", offset=heads.nbytes).tolist()
    ends = np.cumsum(heads["marks"], dtype=np.int64).tolist()
    if ends[-1] != len(lows) or len(now) != len(UTILITIES):
        raise ValueError(f"live state has {len(now)} slots and {len(lows)} marks, not 3 and {ends[-1]}")
    meters = {}
    for utility in UTILITIES:
        slot, head = now[utility.code], heads[utility.code]
        if slot["sent_at"]:
            register, first_hour = int(slot["register"]), int(head["first_hour"])
            end = ends[utility.code]
            wide = _widened(lows[end - int(head["marks"]) : end], register)
            meters[utility] = LiveMeter(
                sent_at=int(slot["sent_at"]),
                register=register,
                rate=int(slot["rate"]),
                epoch=int(slot["epoch"]),
                marks={first_hour % MARKS_DROPPED + index: mark for index, mark in enumerate(wide)},
                marks_dropped=first_hour >= MARKS_DROPPED,
            )
    return LiveState(region=fields[REGION_FIELD].decode(), meters=meters)


def _widened(lows: list[int], register: int) -> list[int]:
    """Widen the low 32 bits of each mark, newest first, from the register that is known whole."""
    wide: list[int] = []
    for low in reversed(lows):
        register -= (register - low) % 2**32
        wide.append(register)
    return wide[::-1]


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
