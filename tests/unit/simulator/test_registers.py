import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from infra.contracts.durations import HOUR_MS
from infra.contracts.utility import UTILITIES, Utility
from simulator.load_curves import FROM_MS_MIN, TO_MS_MAX
from simulator.registers import hour_use, read_at, read_beats
from simulator.shapes import BEATS, SHAPES, cumulative
from simulator.users import kind_of, meters_of, user_ids

HOURS = st.integers(FROM_MS_MIN // HOUR_MS, TO_MS_MAX // HOUR_MS - 2)
SEEDS = st.integers(0, 2**63 - 1)


@pytest.mark.parametrize("utility", UTILITIES)
@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(seed=SEEDS, hour=HOURS)
def test_registers_never_decrease_across_three_hours(utility: Utility, seed: int, hour: int) -> None:
    meters = meters_of(seed, utility, user_ids(60))

    beats = [read_beats(meters, hour_use(meters, hour + step), 0, BEATS)[0] for step in range(3)]

    assert (np.diff(np.concatenate(beats), axis=0) >= 0).all()


@pytest.mark.parametrize("utility", UTILITIES)
@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(seed=SEEDS, hour=HOURS, beat=st.integers(0, BEATS - 1))
def test_random_access_equals_stepping(utility: Utility, seed: int, hour: int, beat: int) -> None:
    meters = meters_of(seed, utility, user_ids(20))

    registers, rates = read_beats(meters, hour_use(meters, hour), 0, BEATS)
    register, rate = read_at(meters, np.full(20, hour * BEATS + beat))

    assert (registers[beat] == register).all()
    assert (rates[beat] == rate).all()


@pytest.mark.parametrize("utility", UTILITIES)
def test_rates_add_up_to_the_register(utility: Utility) -> None:
    meters = meters_of(1, utility, user_ids(50))
    use = hour_use(meters, FROM_MS_MIN // HOUR_MS + 5_000)

    _, rates = read_beats(meters, use, 0, BEATS)

    assert (np.abs(rates.sum(axis=0) / BEATS - use.usage) <= 1).all()


@pytest.mark.parametrize("utility", UTILITIES)
def test_shapes_lead_from_nothing_to_the_whole_hour(utility: Utility) -> None:
    table = cumulative(utility)

    assert table.shape == (SHAPES, BEATS + 1)
    assert (table[:, 0] == 0).all()
    assert (table[:, -1] == 1 << 16).all()
    assert (np.diff(table, axis=1) >= 0).all()


@pytest.mark.parametrize(
    ("utility", "low", "high"),
    [
        pytest.param(Utility.ELECTRICITY, 29_000 * 0.9, 29_000 * 1.1, id="29 kWh"),
        pytest.param(Utility.WATER, 900 * 0.9, 900 * 1.1, id="900 L"),
        pytest.param(Utility.GAS, 2_000, 5_000, id="a few m3 of gas"),
    ],
)
def test_a_mean_home_uses_what_homes_use(utility: Utility, low: float, high: float) -> None:
    user_id = user_ids(4_000)
    homes = meters_of(3, utility, user_id[kind_of(3, user_id) == 0])
    start = 490_000

    used = hour_use(homes, start + 24 * 365).start - hour_use(homes, start).start

    assert low < used.mean() / 365 < high


def test_gas_is_used_in_winter_and_still_heats_water_in_summer() -> None:
    meters = meters_of(3, Utility.GAS, user_ids(500))
    january, july = 24 * 366 + 473_352, 24 * (366 + 181) + 473_352

    winter = hour_use(meters, january + 24).start - hour_use(meters, january).start
    summer = hour_use(meters, july + 24).start - hour_use(meters, july).start

    assert winter.mean() > 4 * summer.mean() > 0
