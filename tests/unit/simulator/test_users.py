import numpy as np
import pytest

from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.utility import UTILITIES, Utility
from simulator import users
from simulator.load_curves import use_until
from simulator.regions import REGIONS, ZONES
from simulator.shapes import density
from simulator.users import kind_of, meters_of, region_of, sample, user_ids


def test_a_user_is_the_same_in_every_fleet() -> None:
    many, few = (
        meters_of(9, Utility.GAS, user_ids(1_000)),
        meters_of(9, Utility.GAS, user_ids(1_000)[500:510]),
    )

    for column in ("region", "curve", "scale", "phase_ms", "base", "identity"):
        assert (getattr(many, column)[500:510] == getattr(few, column)).all()


def test_six_in_a_hundred_are_businesses_and_use_more() -> None:
    user_id = user_ids(20_000)
    kind = kind_of(1, user_id)
    scale = meters_of(1, Utility.WATER, user_id).scale

    assert 0.05 < kind.mean() < 0.07
    assert 6 < scale[kind == 1].mean() / scale[kind == 0].mean() < 12


def test_every_state_has_its_share() -> None:
    shares = np.bincount(region_of(1, user_ids(100_000)), minlength=len(REGIONS)) / 100_000
    people = np.array([region.people_k for region in REGIONS])

    assert len(REGIONS) == 51
    assert {region.zone for region in REGIONS} == set(ZONES)
    assert np.abs(shares - people / people.sum()).max() < 0.005


def test_phases_fill_the_interval_and_differ_by_utility() -> None:
    phases = [meters_of(1, utility, user_ids(50_000)).phase_ms for utility in UTILITIES]

    for phase in phases:
        assert phase.min() >= 0
        assert phase.max() < INTERVAL_MS
        assert np.bincount(phase // 500).min() > 4_500
    assert (phases[0] != phases[1]).mean() > 0.99


def test_a_sample_covers_kinds_and_regions() -> None:
    chosen = sample(5, 50_000, 102)

    assert (chosen == sample(5, 50_000, 102)).all()
    assert len(np.unique(chosen)) == 102
    assert set(kind_of(5, chosen)) == {0, 1}
    assert len(np.unique(region_of(5, chosen))) == 51
    assert len(sample(5, 3, 102)) == 3


def test_chunks_are_all_users_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "CHUNK_USERS", 4)

    parts = list(users.chunks(10))

    assert [len(part) for part in parts] == [4, 4, 2]
    assert np.array_equal(np.concatenate(parts), user_ids(10))


@pytest.mark.parametrize("utility", UTILITIES)
@pytest.mark.parametrize("kind", [0, 1])
def test_no_connection_carries_less_than_its_meter_may_use(utility: Utility, kind: int) -> None:
    hours = np.diff(use_until(utility).reshape(2, len(ZONES), -1)[kind], axis=1).max()
    meters = meters_of(1, utility, user_ids(200_000))
    meters = meters.take(np.flatnonzero(meters.kind == kind))
    largest = users._scale_quantiles().max() * (users._BUSINESS_FACTOR_MAX if kind else 1)

    # Noise may move nine tenths of an hour's use into it.
    use = int(largest * hours // users.SCALE_ONE * 19 // 10 // 1_000 + 1)
    rate = int(use * density(utility).max() >> 16)
    leak = 200 if (utility, kind) == (Utility.WATER, 0) else 0

    assert meters.scale.max() <= largest
    assert rate + leak <= meters.rate_max.min() == meters.rate_max.max() < 2 * rate
    assert use + leak <= meters.rate_max.min()
