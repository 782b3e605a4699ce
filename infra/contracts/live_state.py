"""What Redis holds: one hash a user, one hash a region, written by stream and read by serving.

`live:{user_id}` has the fields
    r           the region, ASCII
    n           three slots of NOW_DTYPE, one a utility: the newest heartbeat; `sent_at` 0 means none yet
    e, g, w     the hour marks of a utility: u32 first hour (hours since 1970), then u32 a mark
A mark is the register as of the end of its hour (the last heartbeat sent before that instant), its low
32 bits. The mark before the first full hour is the first register seen. The hour that is running has
no mark: its register is the one in `n`. The usage of an hour is the difference of two marks, modulo 2**32.

`region:{code}` has the fields e, g, w, each one REGION_DTYPE. The set `regions` names all codes.

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
UTILITY_FIELDS = {Utility.ELECTRICITY: b"e", Utility.GAS: b"g", Utility.WATER: b"w"}

NOW_DTYPE = np.dtype([("sent_at", "<i8"), ("register", "<i8"), ("rate", "<u4"), ("epoch", "<u4")])
REGION_DTYPE = np.dtype([("window_end", "<i8"), ("rate", "<i8"), ("active_meters", "<u4"), ("epoch", "<u4")])
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


@dataclasses.dataclass(frozen=True)
class LiveState:
    """What the stream knows of one user; a utility never heard of is absent."""

    region: str
    meters: Mapping[Utility, LiveMeter]


def decode_live_state(fields: Mapping[bytes, bytes]) -> LiveState:
    """Return the live state held by the fields of a user's hash, as HGETALL gives them."""
    now = np.frombuffer(fields[NOW_FIELD], NOW_DTYPE)
    meters = {}
    for utility in UTILITIES:
        slot = now[utility.code]
        if slot["sent_at"]:
            register = int(slot["register"])
            meters[utility] = LiveMeter(
                sent_at=int(slot["sent_at"]),
                register=register,
                rate=int(slot["rate"]),
                epoch=int(slot["epoch"]),
                marks=_marks(fields.get(UTILITY_FIELDS[utility], b""), register),
            )
    return LiveState(region=fields[REGION_FIELD].decode(), meters=meters)


def _marks(packed: bytes, register_now: int) -> dict[int, int]:
    """Widen the low 32 bits of each mark, newest first, from the register that is known whole."""
    numbers = np.frombuffer(packed, "<u4").tolist()
    if not numbers:
        return {}
    first_hour, lows = numbers[0], numbers[1:]
    wide: list[int] = []
    register = register_now
    for low in reversed(lows):
        register -= (register - low) % 2**32
        wide.append(register)
    return {first_hour + index: mark for index, mark in enumerate(reversed(wide))}


@dataclasses.dataclass(frozen=True)
class RegionUse:
    """One utility's use in a region over the newest window: summed rate and meters heard."""

    window_end: int
    rate: int
    active_meters: int
    epoch: int


def decode_region(fields: Mapping[bytes, bytes]) -> dict[Utility, RegionUse]:
    """Return the use by utility held by the fields of a region's hash."""
    uses = {}
    for utility, field in UTILITY_FIELDS.items():
        if field in fields:
            [row] = np.frombuffer(fields[field], REGION_DTYPE)
            uses[utility] = RegionUse(*(int(row[name]) for name in REGION_DTYPE.names or ()))
    return uses
