import datetime
import itertools

import money_builders as builders
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from money_builders import SlowMeter, hour_instants

from batch.agreements import VACANT, Agreements, Occupancy
from batch.local_hours import OPEN_DAY, day_number, local_hours
from batch.night import NightRefused
from batch.pricing import Priced, price_hours
from batch.tariffs import Tariffs
from infra.contracts.price_steps import decode, hour_costs

DAY = datetime.date
# Around a night: 23 and 25 hours in Berlin and New York, a month's end, an ordinary day.
NIGHTS = [
    DAY(2026, 3, 29),
    DAY(2026, 10, 25),
    DAY(2026, 3, 8),
    DAY(2026, 11, 1),
    DAY(2026, 6, 30),
    DAY(2026, 7, 15),
]
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Australia/Lord_Howe",
    "UTC",
]
PRICES = [
    builders.a_price(plan="flat"),
    *builders.a_tiered_plan("tiered", {0: 30_000, 700: 45_001, 2_500: 9_999}),
    # A price that changes on a day in the midst of every period of NIGHTS.
    *builders.a_tiered_plan("changed", {0: 12_000, 900: 30_000}, valid_until=DAY(2026, 6, 30)),
    *builders.a_tiered_plan("changed", {0: 15_000, 500: 20_000}, valid_from=DAY(2026, 6, 30)),
]
PLANS = ("flat", "tiered", "changed")
TARIFFS = Tariffs.from_rows(PRICES)


def price_nights(agreements: Agreements, zones, zone, user_id, first, hours) -> list[Priced]:
    """Price consecutive nights, each carrying on from the one before; hours are [nights, n, 24]."""
    usage, cost = np.zeros(len(user_id), np.int64), np.zeros(len(user_id), np.int64)
    answers = []
    for number, of_night in enumerate(hours):
        night = first + datetime.timedelta(days=number)
        occupancy = agreements.around(user_id, np.zeros_like(user_id), night)
        priced = price_hours(TARIFFS, occupancy, zones, zone, night, of_night, usage, cost)
        usage, cost = priced.month_usage, priced.month_cost
        answers.append(priced)
    return answers


@st.composite
def stays(draw, around: datetime.date):
    """Up to three agreements after one another, some with a vacancy between, near a day."""
    bounds = sorted(draw(st.lists(st.integers(-4, 4), min_size=2, max_size=6, unique=True)))
    days = [around + datetime.timedelta(days=bound) for bound in bounds]
    rows = []
    for moved_in, moved_out in itertools.pairwise(days):
        if draw(st.booleans()):
            rows.append((draw(st.sampled_from(PLANS)), moved_in, moved_out))
    if draw(st.booleans()):
        rows.append((draw(st.sampled_from(PLANS)), days[-1], None))
    return rows


class TestPriceHours:
    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def test_is_what_a_clerk_would_count_hour_by_hour(self, data):
        middle = data.draw(st.sampled_from(NIGHTS))
        first, nights, users = middle - datetime.timedelta(days=2), 5, 6
        user_id = np.arange(10_000_001, 10_000_001 + users)
        zone = np.array(data.draw(st.lists(st.integers(0, len(ZONES) - 1), min_size=users, max_size=users)))
        usage_max = data.draw(st.sampled_from([60, 900, 5_000]))
        seed = data.draw(st.integers(0, 2**32 - 1))
        hours = np.random.default_rng(seed).integers(0, usage_max, (nights, users, 24), endpoint=True)
        always = [[("tiered", builders.BEGIN, None)], [("changed", builders.BEGIN, None)]]
        of_users = [*always, *(data.draw(stays(middle)) for _ in range(users - 2))]
        rows = [
            [
                builders.an_agreement(user_id=int(one), plan=plan, moved_in_on=since, moved_out_on=until)
                for plan, since, until in of_user
            ]
            for one, of_user in zip(user_id, of_users, strict=True)
        ]
        agreements = Agreements.from_rows([row for of_user in rows for row in of_user], TARIFFS)

        found = price_nights(agreements, ZONES, zone, user_id, first, hours)

        meters = [SlowMeter(PRICES, of_user, ZONES[at]) for of_user, at in zip(rows, zone, strict=True)]
        for number, priced in enumerate(found):
            instants = hour_instants(first + datetime.timedelta(days=number))
            for user, meter in enumerate(meters):
                costs = [
                    meter.price(instant, int(usage))
                    for instant, usage in zip(instants, hours[number, user], strict=True)
                ]
                assert priced.cost[user] == sum(costs), (number, user)
                expected = costs if any(map(meter.pays, instants)) else None
                assert costs_by_steps(priced, hours[number, user], user) == expected, (number, user)
                assert priced.month_usage[user] == meter.month_usage, (number, user)
                assert priced.month_cost[user] == meter.month_cost, (number, user)

    @given(usage=st.integers(0, 5_000), before=st.integers(0, 3_000))
    def test_takes_back_at_the_prices_that_it_gave(self, usage, before):
        priced = price_one(
            always("tiered", DAY(2026, 7, 15)), [0] * 12 + [usage, -usage] + [0] * 10, before=before
        )

        assert (priced.cost[0], priced.month_usage[0]) == (0, before)
        assert not usage or steps_of(priced) == ()  # which units they were is not to be told

    def test_splits_an_hour_at_a_tiers_bound(self):
        priced = price_one(always("tiered", DAY(2026, 7, 15)), [0] * 12 + [3_000] + [0] * 11, before=600)

        assert priced.cost[0] == 100 * 30_000 + 1_800 * 45_001 + 1_100 * 9_999
        assert steps_of(priced) == ((0, 30_000), (100, 45_001), (1_900, 9_999))

    def test_costs_nothing_where_nobody_agreed(self):
        vacant = Occupancy(np.full((1, 3), VACANT), np.full((1, 3), -OPEN_DAY))

        priced = price_one(vacant, [5] * 24, before=7)

        assert (priced.cost[0], priced.month_usage[0], priced.month_cost[0]) == (0, 127, 0)
        assert steps_of(priced) == ()

    def test_has_a_step_where_the_price_turns_and_units_were_used(self):
        night, by_day = 10_000, 30_000  # from 7 and 22 local on, which is 5 and 20 UTC

        turning = price_one(always("tiered", DAY(2026, 7, 15)), [1] * 24)
        by_night_only = price_one(always("tiered", DAY(2026, 7, 15)), [2] * 5 + [0] * 16 + [1] * 3)

        assert steps_of(turning) == ((0, night), (5, by_day), (20, night))
        assert steps_of(by_night_only) == ((0, night),)

    def test_says_the_price_of_a_day_without_usage(self):
        assert steps_of(price_one(always("tiered", DAY(2026, 7, 15)), [0] * 24, before=700)) == ((0, 15_000),)

    def test_leaves_the_price_of_units_unknown_that_would_take_too_many_steps(self):
        tariffs = Tariffs.from_rows(
            [
                builders.a_price(
                    tier_from=tier, hour_from=hour, hour_to=hour + 1, price_micro=10**11 + hour + 100 * tier
                )
                for tier in range(72)
                for hour in range(24)
            ]
        )

        few, many = (
            price_one(always("flat", DAY(2026, 7, 15), tariffs), [used] * 24, tariffs=tariffs)
            for used in (1, 3)
        )

        assert len(steps_of(few)) == 24
        assert steps_of(many) == ()
        assert many.cost[0] > 0

    @pytest.mark.parametrize(("night", "hours"), [(DAY(2026, 3, 29), 23), (DAY(2026, 10, 25), 25)])
    def test_has_short_and_long_days(self, night, hours):
        local = local_hours("Europe/Berlin", night - datetime.timedelta(days=1), 3)

        of_day = local.hour[local.day == day_number(night)]
        assert len(of_day) == hours
        assert (of_day == 2).sum() == hours - 23

    def test_refuses_what_does_not_fit_64_bits(self):
        dear = Tariffs.from_rows([builders.a_price(price_micro=10**12)])
        agreed = always("flat", DAY(2026, 7, 15), dear)

        with pytest.raises(NightRefused, match=r"^cost does not fit 64 bits"):
            price_one(agreed, [2**31 - 1] * 24, tariffs=dear)

    def test_holds_a_business_of_a_country_size(self):
        """Every hour at the greatest usage that a column holds, for 31 days, in a price ten times today's."""
        prices = Tariffs.from_rows([builders.a_price(price_micro=300_000)])
        occupancy = always("flat", DAY(2026, 7, 15), prices)
        before = 30 * 24 * (2**31 - 1)

        priced = price_one(occupancy, [2**31 - 1] * 24, before=before, cost=before * 300_000, tariffs=prices)

        assert int(priced.month_cost[0]) == 31 * 24 * (2**31 - 1) * 300_000

    def test_refuses_a_day_without_a_price(self):
        ended = Tariffs.from_rows([builders.a_price(valid_until=DAY(2026, 7, 15))])

        with pytest.raises(NightRefused, match=r"plan flat \(electricity\) has no prices on 2026-07-15"):
            price_one(always("flat", DAY(2026, 7, 15), ended), [1] * 24, tariffs=ended)

    def test_refuses_an_unknown_zone(self):
        with pytest.raises(NightRefused, match=r"zone is unknown: 'Mars/Olympus'"):
            price_one(always("flat", DAY(2026, 7, 15)), [1] * 24, zone="Mars/Olympus")


class TestOccupancy:
    @settings(deadline=None)
    @given(data=st.data())
    def test_is_the_same_from_columns_as_from_agreements(self, data):
        night = DAY(2026, 7, 15)
        rows = data.draw(stays(night))
        agreements = Agreements.from_rows(
            [
                builders.an_agreement(plan=plan, moved_in_on=since, moved_out_on=until)
                for plan, since, until in rows
            ],
            TARIFFS,
        )
        columns = [
            tuple(
                np.array([value])
                for value in (
                    TARIFFS.place(plan, "electricity"),
                    day_number(since),
                    day_number(until) if until else OPEN_DAY,
                )
            )
            for plan, since, until in rows
        ] or [(np.array([VACANT]), np.array([0]), np.array([OPEN_DAY]))]

        found = agreements.around(np.array([10_000_042]), np.array([0]), night)

        assert np.array_equal(Occupancy.of(night, columns).plan, found.plan)
        assert np.array_equal(Occupancy.of(night, columns).since, found.since)


def always(plan, night, tariffs=TARIFFS):
    agreements = Agreements.from_rows([builders.an_agreement(plan=plan)], tariffs)
    return agreements.around(np.array([10_000_042]), np.array([0]), night)


def steps_of(priced, user=0):
    return decode(priced.price_steps[user].as_py())


def costs_by_steps(priced, hours, user=0):
    """What each hour cost as the steps have it, None where there are none."""
    steps = steps_of(priced, user)
    return hour_costs(steps, hours.tolist()) if steps else None


def price_one(occupancy, usage, *, before=0, cost=0, zone="Europe/Berlin", tariffs=TARIFFS):
    """Price one meter on an ordinary Wednesday."""
    return price_hours(
        tariffs,
        occupancy,
        [zone],
        np.array([0]),
        DAY(2026, 7, 15),
        np.array([usage]),
        np.array([before]),
        np.array([cost]),
    )
