"""Which meter goes wrong when: shares, spans, and that no two faults meet."""

import numpy as np
import pytest

from infra.contracts.heartbeat import INTERVAL_MS, RATE_MAX
from infra.contracts.quality import Rule
from infra.contracts.utility import UTILITIES, Utility
from simulator.agreements import VACANT, moved_in_on
from simulator.dials import DAY_SLOTS, ROLLOVER, event_on, role_of, unrolled_at
from simulator.fault_days import DayFaults, faults_on
from simulator.faults import FaultError
from simulator.meter_faults import BY_DAY, BY_METER, MeterFaults
from simulator.registers import hour_use
from simulator.users import Meters, meters_of, user_ids

DAY = 20_777
HOUR = 720
SCHEDULED = "rollover=10%,reset=0.5%,exchange=0.5%,leak=1%"


def faults_of(
    rule: Rule, utility: Utility = Utility.WATER, *, users: int = 4_000, days: int = 3
) -> tuple[Meters, DayFaults, MeterFaults]:
    """The meters (one row a meter and day) of a fleet in which every day has the fault, and the faults."""
    faults = MeterFaults.parse(f"{rule}=100%,{SCHEDULED}")
    meters = meters_of(5, utility, user_ids(users))
    repeated = meters.take(np.tile(np.arange(users), days))
    found = faults_on(repeated, faults, DAY + np.repeat(np.arange(days), users))
    return repeated.take(found.row), found, faults


def test_meter_faults_are_written_as_they_are_read() -> None:
    faults = MeterFaults.parse("gap=2%,rollover=5%,reset=0.005")

    assert str(faults) == "gap=2%,rollover=5%,reset=0.5%"
    assert MeterFaults.parse(str(faults)) == faults
    assert str(MeterFaults.parse("")) == "none"
    assert not MeterFaults.parse("")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("late=1%", "meter fault 'late' is unknown. Choose from gap, spike"),
        ("gap=some", "meter fault gap is 'some'"),
        ("gap=60%,stuck=41%", "more than 100% of days"),
        ("rollover=60%,reset=1%,leak=1%", "more than all meters"),
    ],
)
def test_a_wrong_meter_fault_is_named(text: str, complaint: str) -> None:
    with pytest.raises(FaultError, match=complaint):
        MeterFaults.parse(text)


def test_each_fault_befalls_as_many_days_as_asked() -> None:
    faults = MeterFaults.parse("gap=3%,spike=4%,negative=5%,stuck=6%,zero=7%,rate=8%,clock=9%,read=10%")
    meters = meters_of(3, Utility.ELECTRICITY, user_ids(60_000))

    shares = np.bincount(faults_on(meters, faults, DAY).rule, minlength=len(BY_DAY)) / 60_000

    for rule, share in zip(BY_DAY, shares.tolist(), strict=True):
        # After a gap in four no fault is its own; and zero is for homes that are lived in.
        expected = faults.by_day[rule] / 1e6 * (0.935 if rule is Rule.ZERO else 1)
        tolerance = 0.3 if rule is Rule.GAP else 0.06
        assert share == pytest.approx(expected, rel=tolerance), rule


@pytest.mark.parametrize("rule", BY_METER)
def test_each_dial_does_what_it_does_as_often_as_asked(rule: Rule) -> None:
    faults = MeterFaults.parse("rollover=10%,reset=0.5%,exchange=0.4%,leak=0.6%")
    meters = meters_of(3, Utility.WATER, user_ids(20_000))
    role = role_of(meters, faults)

    days = [event_on(meters, role, DAY + day)[role == BY_METER.index(rule)].sum() for day in range(28)]

    affected = faults.by_meter[rule] / 1e6 * 20_000
    if rule is Rule.ROLLOVER:
        assert (role == ROLLOVER).sum() == pytest.approx(affected, rel=0.1)
        assert sum(days) == 0
        return
    homes = 0.94 if rule is Rule.LEAK else 1
    # Every affected meter once in 28 days.
    assert sum(days) == (role == BY_METER.index(rule)).sum() == pytest.approx(affected * homes, rel=0.1)


def test_a_meters_day_has_one_fault_and_none_beside_an_event_or_after_a_gap_across_midnight() -> None:
    faults = MeterFaults.parse(f"gap=40%,spike=20%,read=20%,rate=20%,{SCHEDULED}")
    meters = meters_of(8, Utility.WATER, user_ids(3_000))
    role = role_of(meters, faults)

    spilled = np.zeros(3_000, np.bool_)
    crossings = 0
    for day in range(DAY, DAY + 30):
        found = faults_on(meters, faults, day)
        own = found.first_slot >= day * DAY_SLOTS
        near = [event_on(meters, role, day + step) for step in (-1, 0, 1)]
        assert len(np.unique(found.row)) == len(found.row)
        assert not np.any(near, axis=0)[found.row[own]].any()
        assert not spilled[found.row[own]].any()
        assert set(found.row[~own]) == set(np.flatnonzero(spilled)) or day == DAY
        spilled = np.zeros(3_000, np.bool_)
        spilled[found.row[found.end_slot > (day + 1) * DAY_SLOTS]] = True
        crossings += int(spilled.sum())
    assert crossings > 1_000


def test_a_meter_has_its_faults_in_every_fleet_and_order() -> None:
    faults = MeterFaults.parse(f"gap=50%,negative=50%,{SCHEDULED}")
    meters = meters_of(8, Utility.GAS, user_ids(500))
    chosen = np.array([400, 7, 7, 130])

    whole = faults_on(meters, faults, DAY)
    part = faults_on(meters.take(chosen), faults, np.full(4, DAY))

    for row, meter in enumerate(chosen.tolist()):
        mine, same = part.take(part.row == row), whole.take(whole.row == meter)
        for column in ("rule", "first_slot", "end_slot", "amount"):
            assert getattr(mine, column).tolist() == getattr(same, column).tolist()


class TestSpans:
    def test_of_gaps_cross_an_hour_and_a_quarter_of_them_midnight(self) -> None:
        _, found, _ = faults_of(Rule.GAP, days=1)
        # With a gap every day, those of the evening before leave their share of days without one.
        found = found.take(found.first_slot >= DAY * DAY_SLOTS)
        start, end = found.first_slot - DAY * DAY_SLOTS, found.end_slot - DAY * DAY_SLOTS
        late = end > DAY_SLOTS

        assert 0.22 < late.mean() < 0.28
        assert (start[late] >= 18 * HOUR).all()
        assert (start[late] <= 23 * HOUR).all()
        assert (end[late] >= 25 * HOUR).all()
        assert (end[late] <= 30 * HOUR).all()
        assert (start[~late] >= HOUR).all()
        assert (start[~late] <= 16 * HOUR).all()
        assert ((end - start)[~late] >= 480).all()
        assert ((end - start)[~late] <= 6 * HOUR).all()
        # The beat before some hour's bound is missing, and the one after it.
        assert (start // HOUR < (end - 1) // HOUR).all()

    @pytest.mark.parametrize(
        ("rule", "low", "high", "shortest", "longest"),
        [
            (Rule.NEGATIVE, 1, 22, 1, 6),
            (Rule.STUCK, 1, 22, 3, 9),
            (Rule.ZERO, 1, 22, 13, 17),
            (Rule.RATE, 0, 24, 5 / 60, 1),
            (Rule.CLOCK, 0, 24, 0.5, 4),
            (Rule.READ, 6, 24, 12, 18),
        ],
    )
    def test_lie_within_their_hours(
        self, rule: Rule, low: float, high: float, shortest: float, longest: float
    ) -> None:
        _, found, _ = faults_of(rule)
        start, end = found.first_slot % DAY_SLOTS, (found.end_slot - 1) % DAY_SLOTS + 1

        assert len(start) > 3_000
        assert (start >= low * HOUR).all()
        assert (end <= high * HOUR).all()
        assert (end - start >= shortest * HOUR).all()
        assert (end - start <= longest * HOUR).all()
        assert np.ptp(end - start) > 0.8 * (longest - shortest) * HOUR

    def test_of_spikes_lie_at_an_hours_bounds_often(self) -> None:
        _, found, _ = faults_of(Rule.SPIKE)
        beats = found.end_slot - found.first_slot

        assert set(beats.tolist()) == {1, 2, 3}
        at_bound = (found.first_slot % HOUR == 0) | (found.end_slot % HOUR == 0)
        assert 0.28 < at_bound.mean() < 0.39
        assert (found.first_slot // DAY_SLOTS == (found.end_slot - 1) // DAY_SLOTS).all()

    def test_of_clocks_lie_in_one_day_by_either_clock(self) -> None:
        meters, found, _ = faults_of(Rule.CLOCK)
        day_ms = found.first_slot // DAY_SLOTS * DAY_SLOTS * INTERVAL_MS
        first = found.first_slot * INTERVAL_MS + meters.phase_ms + found.amount
        last = (found.end_slot - 1) * INTERVAL_MS + meters.phase_ms + found.amount
        behind = found.amount < 0

        assert 0.45 < behind.mean() < 0.55
        assert (first >= day_ms).all()
        assert (last < day_ms + DAY_SLOTS * INTERVAL_MS).all()
        assert (found.amount % INTERVAL_MS != 0).all()
        assert (found.amount[behind] >= -6 * 3_600_000).all()
        assert (found.amount[behind] <= -600_000).all()
        assert (found.amount[~behind] >= 10_000).all()
        assert (found.amount[~behind] <= 110_000).all()


@pytest.mark.parametrize("utility", UTILITIES)
class TestAmounts:
    def test_of_spikes_and_rates_are_multiples_of_what_the_connection_carries(self, utility: Utility) -> None:
        for rule, low, high in ((Rule.SPIKE, 2, 50), (Rule.RATE, 2, 5)):
            meters, found, _ = faults_of(rule, utility, users=1_000)
            times = found.amount / meters.rate_max
            assert low - 0.001 < times.min() < times.max() <= high
            assert rule is Rule.SPIKE or found.amount.max() < RATE_MAX

    def test_of_falls_are_more_than_the_hour_explains(self, utility: Utility) -> None:
        meters, found, faults = faults_of(Rule.NEGATIVE, utility, users=1_000)

        assert (found.amount >= 2 * hour_use(meters, found.first_slot // HOUR).usage + 50).all()
        assert (unrolled_at(meters, faults, found.first_slot) >= found.amount).all()

    def test_of_standstills_hide_real_use(self, utility: Utility) -> None:
        meters, found, faults = faults_of(Rule.STUCK, utility, users=1_000)

        hidden = unrolled_at(meters, faults, found.end_slot - 1) - found.amount
        assert hidden.min() >= 30

    def test_of_small_dials_are_never_out_of_course(self, utility: Utility) -> None:
        for rule in (Rule.SPIKE, Rule.NEGATIVE):
            meters, found, faults = faults_of(rule, utility, users=1_000)
            assert len(found.row)
            assert (role_of(meters, faults) != ROLLOVER).all()


def test_only_homes_that_are_lived_in_seem_empty() -> None:
    meters, found, _ = faults_of(Rule.ZERO, users=20_000)
    since = moved_in_on(5, user_ids(20_000))
    later = (since > DAY) & (since != VACANT)

    assert (meters.kind == 0).all()
    assert (moved_in_on(5, meters.user_id) < found.first_slot // DAY_SLOTS).all()
    # The fleet has those whom the rule is not for.
    assert (since == VACANT).any()
    assert later.any()
