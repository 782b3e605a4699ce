"""How an hour's use is spread over its 720 beats: 64 monotone tables a utility, from a fixed seed."""

import functools

import numpy as np

from infra.contracts.utility import Utility
from simulator.hashes import Draw, Ints, below, hash_of

BEATS = 720  # an hour
SHAPES = 64
ONE_BITS = 16  # a whole hour's use is 2**16
_APPLIANCES = 6
_DRAWS = 5


@functools.cache
def cumulative(utility: Utility) -> Ints:
    """Return [shape, beat 0..720]: the part of the hour's use before that beat, from 0 to 2**16."""
    strength = {Utility.ELECTRICITY: _appliances, Utility.GAS: _burner, Utility.WATER: _draws}[utility]()
    sums = np.zeros((SHAPES, BEATS + 1), np.int64)
    np.cumsum(strength, axis=1, out=sums[:, 1:])
    return (sums << ONE_BITS) // sums[:, -1:]


@functools.cache
def density(utility: Utility) -> Ints:
    """Return [shape, beat 0..719]: the use around that beat against the hour's mean, of 2**16."""
    return np.diff(cumulative(utility), axis=1) * BEATS


def _number(what: int, low: int, high: int) -> Ints:
    """Return one whole number in low..high-1 for each shape, as a column."""
    drawn = hash_of(0, Draw.SHAPE_TABLE, what, np.arange(SHAPES, dtype=np.int64)[:, None])
    return low + below(drawn, high - low)


def _appliances() -> Ints:
    """Electricity: a floor that trembles, and machines that run for a while."""
    beat = np.arange(BEATS)[None, :]
    strength = 600 + below(hash_of(1, Draw.SHAPE_TABLE, np.arange(SHAPES)[:, None], beat), 40)
    for appliance in range(_APPLIANCES):
        start = _number(10 + appliance, -120, BEATS)
        length = _number(20 + appliance, 24, 360)
        power = _number(30 + appliance, 40, 500)
        strength += np.where((beat >= start) & (beat < start + length), power, 0)
    return strength


def _burner() -> Ints:
    """Gas: the burner is on for some minutes of each cycle."""
    cycle = _number(40, 60, 240)
    on = cycle * _number(41, 20, 70) // 100
    beat = np.arange(BEATS)[None, :] + _number(42, 0, 240)
    return np.where(beat % cycle < on, 1_000, 0)


def _draws() -> Ints:
    """Water: a few short draws and long rests."""
    beat = np.arange(BEATS)[None, :]
    strength = np.zeros((SHAPES, BEATS), np.int64)
    for draw in range(_DRAWS):
        start = _number(50 + draw, 0, BEATS - 60)
        length = _number(60 + draw, 4, 60)
        flow = _number(70 + draw, 100, 1_000)
        strength += np.where((beat >= start) & (beat < start + length), flow, 0)
    return strength
