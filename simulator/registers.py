"""What a meter's register shows at any instant, without stepping there: pure, whole numbers only.

At the start of an hour the register is the mean curve so far, scaled, plus a noise smaller than the
use of either hour beside it, so that registers never decrease. Inside the hour a shape leads from
one such register to the next.
"""

import dataclasses

import numpy as np

from simulator import shapes
from simulator.hashes import Draw, Ints, below, hash_of
from simulator.load_curves import ORIGIN_HOUR, use_until
from simulator.users import Meters

_SCALE_BITS = 10
_NOISE_BITS = 16


@dataclasses.dataclass(frozen=True)
class HourUse:
    """One hour of meters, an array each: register at its start, usage in it, and its shape's row."""

    start: Ints
    usage: Ints
    shape: Ints


def hour_use(meters: Meters, hour: Ints | int) -> HourUse:
    """Return the meters' use in `hour` (hours since 1970), one for all or one each."""
    start = _register_at_hour(meters, hour)
    drawn = hash_of(meters.identity, Draw.SHAPE, hour)
    return HourUse(start, _register_at_hour(meters, hour + 1) - start, below(drawn, shapes.SHAPES))


def read_beats(meters: Meters, use: HourUse, first_beat: int, beats: int) -> tuple[Ints, Ints]:
    """Return (register, rate) of `beats` beats of one hour from `first_beat`, each [beat, meter]."""
    span = slice(first_beat, first_beat + beats)
    part = shapes.cumulative(meters.utility)[:, span].T.take(use.shape, axis=1)
    pace = shapes.density(meters.utility)[:, span].T.take(use.shape, axis=1)
    return use.start + (use.usage * part >> shapes.ONE_BITS), use.usage * pace >> shapes.ONE_BITS


def read_at(meters: Meters, slot: Ints) -> tuple[Ints, Ints]:
    """Return (register, rate) of each meter in its own slot (5 s since 1970)."""
    use = hour_use(meters, slot // shapes.BEATS)
    beat = slot % shapes.BEATS
    part = shapes.cumulative(meters.utility)[use.shape, beat]
    pace = shapes.density(meters.utility)[use.shape, beat]
    return use.start + (use.usage * part >> shapes.ONE_BITS), use.usage * pace >> shapes.ONE_BITS


def _register_at_hour(meters: Meters, hour: Ints | int) -> Ints:
    """Return each meter's register at the start of `hour`."""
    totals, index = use_until(meters.utility), hour - ORIGIN_HOUR
    total = totals[meters.curve, index]
    least = np.minimum(total - totals[meters.curve, index - 1], totals[meters.curve, index + 1] - total)
    room = (meters.scale * least >> _SCALE_BITS) * 9 // 10
    noise = room * below(hash_of(meters.identity, Draw.NOISE, hour), 1 << _NOISE_BITS) >> _NOISE_BITS
    register: Ints = meters.base + ((meters.scale * total >> _SCALE_BITS) + noise) // 1_000
    return register
