"""Who exists and what is bolted to their wall, from a seed: pure, for any users in any order."""

import dataclasses
import functools
import math
import statistics
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from infra.contracts.heartbeat import INTERVAL_MS, USER_ID_MAX, USER_ID_MIN
from infra.contracts.utility import Utility
from simulator.hashes import Draw, Hashes, Ints, below, hash_of
from simulator.regions import REGIONS, ZONES

USERS_MAX = USER_ID_MAX - USER_ID_MIN + 1
CHUNK_USERS = 50_000
SCALE_ONE = 1_024  # the scale of a mean home
_BUSINESS_PERCENT = 6
_BUSINESS_FACTOR_MIN = 3
_BUSINESS_FACTOR_MAX = 15
_BASE_LIMIT = 10_000_000
_SPREAD = 0.45
# By kind, in W or L/h.
_RATE_MAX = {
    Utility.ELECTRICITY: (48_000, 720_000),
    Utility.GAS: (30_000, 560_000),
    Utility.WATER: (12_000, 210_000),
}


def user_ids(users: int) -> Ints:
    """Return the ids of the first `users` users, ascending."""
    return np.arange(USER_ID_MIN, USER_ID_MIN + users, dtype=np.int64)


def chunks(users: int) -> Iterator[Ints]:
    """Yield the ids of the first `users` users, CHUNK_USERS at a time."""
    user_id = user_ids(users)
    for start in range(0, users, CHUNK_USERS):
        yield user_id[start : start + CHUNK_USERS]


def kind_of(seed: int, user_id: Ints) -> Ints:
    """Return each user's kind as an index into the contract's KINDS: 0 home, 1 business."""
    return (below(hash_of(seed, Draw.KIND, user_id), 100) < _BUSINESS_PERCENT).astype(np.int64)


def region_of(seed: int, user_id: Ints) -> Ints:
    """Return each user's region as an index into REGIONS, as many users in each as its people ask for."""
    ends = np.cumsum([region.people_k for region in REGIONS])
    drawn = below(hash_of(seed, Draw.REGION, user_id), int(ends[-1]))
    return np.searchsorted(ends, drawn, side="right").astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Meters:
    """One utility's meters, a column each; every array has the length of `user_id`."""

    seed: int
    utility: Utility
    user_id: Ints
    region: npt.NDArray[np.int64]
    curve: Ints
    """Row of the load curves: kind * number of zones + zone."""
    scale: Ints
    """Size against a mean home, in 1/1024."""
    phase_ms: Ints
    """When in each 5 s the meter beats, 0..4999."""
    base: Ints
    """The register at the origin of time, Wh or litres."""
    identity: Hashes
    """Where every further draw of this meter starts."""

    @property
    def kind(self) -> Ints:
        """Each user's kind as an index into the contract's KINDS: 0 home, 1 business."""
        return self.curve // len(ZONES)

    @property
    def rate_max(self) -> Ints:
        """What each connection can carry, W or L/h: above every true rate, leaks included."""
        return np.array(_RATE_MAX[self.utility], np.int64)[self.kind]

    def take(self, chosen: Ints | slice) -> "Meters":
        """Return the meters at these indices, in this order."""
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        whole = ("seed", "utility")
        return Meters(**{name: c if name in whole else c[chosen] for name, c in columns.items()})


def meters_of(seed: int, utility: Utility, user_id: Ints) -> Meters:
    """Return the users' meters of one utility."""
    kind, region = kind_of(seed, user_id), region_of(seed, user_id)
    zones = np.array([ZONES.index(region.zone) for region in REGIONS])
    identity = hash_of(seed, Draw.METER, utility.code, user_id)
    quantiles = _scale_quantiles()
    scale = quantiles[below(hash_of(identity, Draw.SCALE, 0), len(quantiles))]
    steps = (_BUSINESS_FACTOR_MAX - _BUSINESS_FACTOR_MIN) * SCALE_ONE
    factor = _BUSINESS_FACTOR_MIN * SCALE_ONE + below(hash_of(identity, Draw.SCALE, 1), steps)
    return Meters(
        seed=seed,
        utility=utility,
        user_id=user_id,
        region=region,
        curve=kind * len(ZONES) + zones[region],
        scale=np.where(kind == 1, scale * factor // SCALE_ONE, scale),
        phase_ms=below(hash_of(identity, Draw.PHASE), INTERVAL_MS),
        base=below(hash_of(identity, Draw.BASE), _BASE_LIMIT),
        identity=identity,
    )


@functools.cache
def _scale_quantiles() -> Ints:
    """Return 1,024 equally likely scales of a lognormal spread with a mean of one."""
    normal = statistics.NormalDist()
    raw = [math.exp(_SPREAD * normal.inv_cdf((index + 0.5) / 1_024)) for index in range(1_024)]
    mean = math.fsum(raw) / len(raw)
    return np.array([round(SCALE_ONE * value / mean) for value in raw], np.int64)


def sample(seed: int, users: int, size: int) -> Ints:
    """Return up to `size` user ids, ascending: of every kind and region first, and always the same."""
    user_id = user_ids(users)
    chance = hash_of(seed, Draw.SAMPLE, user_id)
    group = kind_of(seed, user_id) * len(REGIONS) + region_of(seed, user_id)
    by_group = np.lexsort((chance, group))
    firsts = np.searchsorted(group[by_group], group[by_group])
    rank_in_group = np.arange(users) - firsts
    chosen = by_group[np.lexsort((chance[by_group], rank_in_group))[:size]]
    return np.sort(user_id[chosen])
