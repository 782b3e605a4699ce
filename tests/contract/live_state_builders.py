"""Records of a meter by hand, and what live state holds of it."""

import numpy as np

from infra.contracts.durations import HOUR_MS
from infra.contracts.live_state import decode_live_state, live_key
from infra.contracts.utility import Utility
from stream.fold import PACKED, fold

USER = 10_000_001
START = 490_000 * HOUR_MS
MINUTE_MS = 60_000


def tag_of(region: str, utility: Utility) -> int:
    return int.from_bytes(region.encode().ljust(6, b"\0"), "big") << 2 | utility.code


def records(*beats: tuple[int, int], utility: Utility = Utility.GAS, user: int = USER):
    """RECORDs of (ms after START, register) of one meter."""
    tag = tag_of("US-CA", utility)
    return fold(np.array([(tag, START + at, register, user, 7) for at, register in beats], PACKED))


def state(store):
    return decode_live_state(store.hgetall(live_key(USER)))


def marks(store, utility=Utility.GAS):
    return {hour - 490_000: mark for hour, mark in state(store).meters[utility].marks_by_hour().items()}
