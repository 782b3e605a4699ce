"""What dials show against what was really used, beat by beat."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from infra.contracts.utility import UTILITIES, Utility
from simulator.dials import (
    DAY_SLOTS,
    ENDLESS,
    EXCHANGE,
    LEAK,
    NO_ROLE,
    RESET,
    ROLLOVER,
    counted_at,
    event_on,
    figures_of,
    role_of,
    shown_at,
)
from simulator.load_curves import ORIGIN_HOUR
from simulator.meter_faults import NONE, MeterFaults
from simulator.registers import read_at
from simulator.users import Meters, meters_of, user_ids

FAULTS = MeterFaults.parse("rollover=20%,reset=0.8%,exchange=0.8%,leak=1%")
ORIGIN_DAY = ORIGIN_HOUR // 24
DAYS = st.integers(ORIGIN_DAY + 40, ORIGIN_DAY + 4_000)
SEEDS = st.integers(0, 2**63 - 1)


def every_beat(meters: Meters, day: int, days: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(shown, counted) [slot, meter] in every 20th slot of some days, and the next day's first."""
    slots = np.arange(day * DAY_SLOTS, (day + days) * DAY_SLOTS + 1, 20)
    users = len(meters.user_id)
    each, slot = meters.take(np.tile(np.arange(users), len(slots))), np.repeat(slots, users)
    shape = len(slots), users
    return (
        shown_at(each, FAULTS, slot).reshape(shape),
        counted_at(each, FAULTS, slot).reshape(shape),
    )


@pytest.mark.parametrize("utility", UTILITIES)
@hypothesis.settings(deadline=None, max_examples=15)
@hypothesis.given(seed=SEEDS, day=DAYS)
def test_dials_count_what_is_used_save_where_they_begin_anew(utility: Utility, seed: int, day: int) -> None:
    meters = meters_of(seed, utility, user_ids(60))
    role, figures = role_of(meters, FAULTS), figures_of(meters, FAULTS)

    shown, counted = every_beat(meters, day)

    used = np.diff(counted, axis=0)
    assert (used >= 0).all()
    assert (shown >= 0).all()
    assert (shown < figures).all()
    steps = np.diff(shown, axis=0)
    anew = steps != used
    begins = event_on(meters, role, day) & ((role == RESET) | (role == EXCHANGE))
    rolls = role == ROLLOVER
    assert (anew.sum(axis=0)[begins] == 1).all()
    assert not anew[:, ~begins & ~rolls].any()
    assert ((steps - used)[:, rolls] % figures[rolls] == 0).all()
    # A new dial starts at its first figure and has counted no more since than was used.
    slot, meter = np.nonzero(anew & begins)
    initial = np.where(role == EXCHANGE, 50, 0)
    assert (shown[slot + 1, meter] <= used[slot, meter] + initial[meter]).all()


@pytest.mark.parametrize("utility", UTILITIES)
def test_a_small_dial_holds_any_day_and_rolls_over_within_weeks(utility: Utility) -> None:
    meters = meters_of(2, utility, user_ids(400))
    meters = meters.take(np.flatnonzero(role_of(meters, FAULTS) == ROLLOVER))
    figures = figures_of(meters, FAULTS)

    used = []
    for day in range(ORIGIN_DAY + 700, ORIGIN_DAY + 1_065):
        start, end = (
            counted_at(meters, FAULTS, np.full(len(figures), at * DAY_SLOTS)) for at in (day, day + 1)
        )
        used.append(end - start)

    assert (np.max(used, axis=0) <= figures).all()
    assert (figures <= 11 * np.max(used, axis=0) + 100).all()
    assert set(np.unique(figures)) <= {10**k for k in range(2, 11)}


def test_a_leak_runs_all_day_every_28_days_at_homes_and_stays_counted() -> None:
    meters = meters_of(6, Utility.WATER, user_ids(300))
    role = role_of(meters, FAULTS)
    leaking = meters.take(np.flatnonzero(role == LEAK))
    day = ORIGIN_DAY + 1_000

    leaked = []
    for at in range(day, day + 57):
        start, end = (np.full(len(leaking.user_id), each * DAY_SLOTS) for each in (at, at + 1))
        true = read_at(leaking, end)[0] - read_at(leaking, start)[0]
        leaked.append(counted_at(leaking, FAULTS, end) - counted_at(leaking, FAULTS, start) - true)

    start = np.full(len(leaking.user_id), (ORIGIN_DAY + 1) * DAY_SLOTS)
    assert len(leaking.user_id) > 20
    assert (counted_at(leaking, FAULTS, start) == read_at(leaking, start)[0]).all()
    assert (leaking.kind == 0).all()
    assert set((np.array(leaked[:56]) > 0).sum(axis=0)) == {2}
    litres = np.array(leaked)[:56].sum(axis=0) // 2 / 24
    assert (litres >= 40).all()
    assert (litres <= 200).all()


def test_leaks_are_waters_and_other_utilities_keep_their_shares() -> None:
    for utility in (Utility.ELECTRICITY, Utility.GAS):
        assert LEAK not in role_of(meters_of(6, utility, user_ids(2_000)), FAULTS)


def test_without_faults_a_dial_shows_the_raw_register() -> None:
    meters = meters_of(6, Utility.GAS, user_ids(100))
    slot = np.full(100, (ORIGIN_DAY + 900) * DAY_SLOTS + 77)

    assert (role_of(meters, NONE) == NO_ROLE).all()
    assert (figures_of(meters, NONE) == ENDLESS).all()
    assert (shown_at(meters, NONE, slot) == read_at(meters, slot)[0]).all()
    assert (counted_at(meters, NONE, slot) == read_at(meters, slot)[0]).all()
