"""Which partition a user's heartbeats go to: murmur2 of the key, as Kafka's own clients choose."""

import numpy as np

from simulator.hashes import Ints

_MULTIPLIER = np.uint32(0x5BD1E995)
_SEED = np.uint32(0x9747B28C)
_KEY_BYTES = 8


def keys_of(user_id: Ints) -> np.typing.NDArray[np.bytes_]:
    """Return the Kafka keys: user ids of 8 digits in ASCII, dtype S8."""
    digits = np.empty((len(user_id), _KEY_BYTES), np.uint8)
    for place in range(_KEY_BYTES):
        digits[:, place] = user_id // 10 ** (_KEY_BYTES - 1 - place) % 10 + ord("0")
    return digits.view(f"S{_KEY_BYTES}").ravel()


def partition_of(keys: np.typing.NDArray[np.bytes_], partitions: int) -> Ints:
    """Return each key's partition; all keys have 8 bytes."""
    words = keys.view("<u4").reshape(-1, 2)
    mixed = np.full(len(keys), _SEED ^ np.uint32(_KEY_BYTES), np.uint32)
    for column in (0, 1):
        word = words[:, column] * _MULTIPLIER
        word = (word ^ (word >> np.uint32(24))) * _MULTIPLIER
        mixed = mixed * _MULTIPLIER ^ word
    mixed = (mixed ^ (mixed >> np.uint32(13))) * _MULTIPLIER
    mixed ^= mixed >> np.uint32(15)
    return (mixed & np.uint32(0x7FFFFFFF)).astype(np.int64) % partitions
