"""Randomness without state: a 64-bit hash of counters, the same on every machine and in any order."""

import enum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Hashes: TypeAlias = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


class Draw(enum.IntEnum):
    """What a hash is drawn for; two draws of one meter know nothing of each other."""

    KIND = 1
    REGION = 2
    NAME = 3
    ADDRESS = 4
    SCALE = 5
    PHASE = 6
    BASE = 7
    METER = 8
    NOISE = 9
    SHAPE = 10
    FATE = 11
    DELAY = 12
    GARBLE = 13
    SAMPLE = 14
    SHAPE_TABLE = 15
    METER_FAULT = 16
    FAULT_SPAN = 17
    FAULT_AMOUNT = 18
    ROLE = 19
    EVENT = 20
    AGREEMENT = 21
    READ = 22


def hash_of(start: Hashes | int, *counters: Ints | int) -> Hashes:
    """Return the hash of a start value and counters, broadcast together; the finaliser of splitmix64."""
    with np.errstate(over="ignore"):
        mixed = np.asarray(start).astype(np.uint64)
        for counter in counters:
            mixed = mixed + np.asarray(counter).astype(np.uint64) * _GOLDEN + _GOLDEN
            mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
            mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
            mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed


def below(hashes: Hashes, limit: Ints | int) -> Ints:
    """Return each hash as a whole number in 0..limit-1; `limit` up to 2**31, one for all or one each."""
    steps = np.asarray(limit).astype(np.uint64)
    return (((hashes >> np.uint64(32)) * steps) >> np.uint64(32)).astype(np.int64)
