import datetime

import money_builders as builders
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.agreements import VACANT, Agreements
from batch.local_hours import date_of, day_number
from batch.night import NightRefused
from batch.tariffs import Tariffs, kind_of_day

DAY = datetime.date
MAY, JUNE, JULY = DAY(2026, 5, 1), DAY(2026, 6, 1), DAY(2026, 7, 1)
TIERED = builders.a_tiered_plan("tiered", {0: 30_000, 700: 45_000})
STANDING = builders.a_price(component="standing", label="meter", price_micro=25_000_000)
TAX = builders.a_price(component="tax", label="VAT", price_micro=190_000)


def refusal(rows) -> str:
    with pytest.raises(NightRefused) as refused:
        Tariffs.from_rows(rows)
    assert "\n" not in str(refused.value)
    return str(refused.value)


class TestTariffs:
    def test_have_a_version_for_every_stretch_without_a_change(self):
        rows = [
            builders.a_price(valid_until=JUNE),
            builders.a_price(valid_from=JUNE, price_micro=31_000),
            {**STANDING, "valid_until": JULY},
            {**TAX, "valid_from": MAY},
        ]

        [plan] = Tariffs.from_rows(rows).plans

        assert [date_of(version.valid_from) for version in plan.versions] == [builders.BEGIN, MAY, JUNE, JULY]
        assert [len(version.standing) for version in plan.versions] == [1, 1, 1, 0]
        assert [len(version.taxes) for version in plan.versions] == [0, 1, 1, 1]
        assert [version.price_micro[0, 0, 0] for version in plan.versions] == [30_000, 30_000, 31_000, 31_000]
        split = plan.between(day_number(MAY) - 3, day_number(JUNE) + 2)
        assert [(date_of(since), until - since) for _, since, until in split] == [
            (DAY(2026, 4, 28), 3),
            (MAY, 31),
            (JUNE, 2),
        ]

    def test_are_the_same_from_parquets_columns(self):
        from_table = Tariffs.from_rows(pa.Table.from_pylist(TIERED))

        [one], [other] = from_table.plans, Tariffs.from_rows(TIERED).plans
        assert np.array_equal(one.versions[0].price_micro, other.versions[0].price_micro)
        assert from_table.place("tiered", "electricity") == 0
        assert from_table.place("tiered", "gas") == -1

    @given(gone=st.integers(0, len(TIERED) - 1))
    def test_refuse_a_gap_wherever_it_is(self, gone):
        rows = [row for number, row in enumerate(TIERED) if number != gone]

        assert "gap in plan tiered (electricity) from 2020-01-01, " in refusal(rows)

    @given(row=st.sampled_from(TIERED), hour=st.integers(0, 23))
    def test_refuse_an_hour_priced_twice(self, row, hour):
        if not row["hour_from"] <= hour < row["hour_to"]:
            hour = row["hour_from"]
        again = {**row, "hour_from": hour, "hour_to": hour + 1, "label": "again"}

        said = refusal([*TIERED, again])

        assert f"rows {TIERED.index(row)}, {len(TIERED)}: overlap in plan tiered (electricity)" in said

    @pytest.mark.parametrize(
        ("rows", "says"),
        [
            pytest.param(
                [builders.a_price(valid_until=MAY), builders.a_price(valid_from=JUNE)],
                "row 0: plan flat (electricity) has no price of energy from 2026-05-01",
                id="gap-of-days",
            ),
            pytest.param(
                [builders.a_price(valid_until=JUNE), builders.a_price(valid_from=MAY)],
                "rows 0, 1: overlap in plan flat (electricity) from 2026-05-01, workday, tier from 0",
                id="overlap-of-days",
            ),
            pytest.param(
                [builders.a_price(tier_from=100)], "gap in plan flat (electricity)", id="no-tier-at-0"
            ),
            pytest.param(
                [builders.a_price(), builders.a_price()], "rows 0, 1: the same price twice", id="doubled"
            ),
            pytest.param([STANDING], "row 0: plan flat (electricity) has no price of energy", id="no-energy"),
            pytest.param(
                [builders.a_price(), STANDING, {**STANDING, "price_micro": 1}],
                "rows 1, 2: overlap in plan flat (electricity) from 2020-01-01, standing 'meter'",
                id="two-standing-charges",
            ),
            pytest.param(
                [builders.a_price(), {**TAX, "currency": "EUR"}],
                "rows 0, 1: plan flat (electricity) is priced in EUR and USD",
                id="two-currencies",
            ),
            pytest.param([builders.a_price(component="fee")], "row 0: unknown component 'fee'", id="fee"),
            pytest.param([builders.a_price(days="sunday")], "row 0: unknown days 'sunday'", id="days"),
            pytest.param([builders.a_price(utility="heat")], "row 0: unknown utility 'heat'", id="utility"),
            pytest.param(
                [builders.a_price(price_micro=-5)], "row 0: price_micro -5, not 0 to", id="negative"
            ),
            pytest.param(
                [builders.a_price(hour_from=22, hour_to=6)], "row 0: hours 22 to 6, not within", id="hours"
            ),
            pytest.param(
                [builders.a_price(valid_until=builders.BEGIN)],
                "row 0: valid from 2020-01-01 until 2020-01-01, never",
                id="never",
            ),
            pytest.param([{**builders.a_price(), "plan": None}], "row 0: no plan", id="null"),
            pytest.param(
                pa.Table.from_pylist([builders.a_price()]).drop_columns(["price_micro"]),
                "tariffs.parquet has no column price_micro",
                id="column-missing",
            ),
            pytest.param(
                pa.Table.from_pylist([{**builders.a_price(), "price_micro": 0.03}]),
                "column price_micro is double, not BIGINT",
                id="column-retyped",
            ),
        ],
    )
    def test_refuse_what_breaks_the_contract_by_name(self, rows, says):
        said = refusal(rows)

        assert said.startswith("master/tariffs/tariffs.parquet")
        assert says in said

    def test_know_a_weekend(self):
        saturday = day_number(DAY(2026, 3, 28))

        assert kind_of_day(np.arange(saturday - 1, saturday + 7)).tolist() == [0, 1, 1, 0, 0, 0, 0, 0]


class TestAgreements:
    tariffs = Tariffs.from_rows(
        [*TIERED, *(builders.a_price(utility=utility) for utility in ("gas", "electricity"))]
    )

    def test_answer_who_pays_on_a_day(self):
        rows = [
            builders.an_agreement(plan="tiered", moved_in_on=JUNE),
            builders.an_agreement(moved_out_on=MAY),
            builders.an_agreement(user_id=10_000_043, utility="gas", moved_in_on=JUNE),
        ]
        agreements = Agreements.from_rows(rows, self.tariffs)
        users = np.array([10_000_042, 10_000_043, 10_000_043, 10_000_001])
        utilities = np.array([0, 0, 1, 0])

        def plans_on(day):
            plans = agreements.on(users, utilities, day_number(day))[0]
            return [self.tariffs.plans[plan].name if plan != VACANT else None for plan in plans]

        assert plans_on(DAY(2026, 4, 30)) == ["flat", None, None, None]
        assert plans_on(MAY) == [None, None, None, None]
        assert plans_on(JUNE) == ["tiered", None, "flat", None]
        assert [
            (self.tariffs.plans[plan].name, date_of(since), date_of(until))
            for plan, since, until in agreements.stays(10_000_042, 0, day_number(MAY) - 1, day_number(JULY))
        ] == [("flat", DAY(2026, 4, 30), MAY), ("tiered", JUNE, JULY)]

    @pytest.mark.parametrize(
        ("rows", "says"),
        [
            pytest.param(
                [builders.an_agreement(moved_in_on=JUNE), builders.an_agreement(moved_out_on=JULY)],
                "rows 0, 1: overlap of agreements of user 10000042 for electricity on 2026-06-01",
                id="overlap",
            ),
            pytest.param(
                [builders.an_agreement(), builders.an_agreement()],
                "rows 0, 1: overlap of agreements of user 10000042",
                id="doubled",
            ),
            pytest.param(
                [builders.an_agreement(), builders.an_agreement(plan="tiered", utility="gas")],
                "row 1: the tariffs have no such plan",
                id="unknown-plan",
            ),
            pytest.param([builders.an_agreement(utility="heat")], "row 0: unknown utility", id="utility"),
            pytest.param(
                [builders.an_agreement(moved_in_on=JUNE, moved_out_on=MAY)],
                "row 0: moved_out_on is not after moved_in_on",
                id="backwards",
            ),
        ],
    )
    def test_are_refused_by_name(self, rows, says):
        with pytest.raises(NightRefused) as refused:
            Agreements.from_rows(rows, self.tariffs)

        assert str(refused.value).startswith("master/agreements/agreements.parquet, ")
        assert says in str(refused.value)
