import dataclasses
import datetime
import itertools

import money_builders as builders
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from money_builders import SlowMeter, half_even, hour_instants

from batch.agreements import Agreements
from batch.invoice_lines import Month, MonthUsage
from batch.invoices import Standing, complete_from, credit, drafts, invoice, nights_of, settled
from batch.local_hours import date_of
from batch.night import NightRefused
from batch.pricing import price_hours
from batch.tariffs import Tariffs
from infra.contracts.invoices import money, rounded
from infra.contracts.utility import Utility

DAY = datetime.date
USER = 10_000_042
MARCH, OCTOBER = Month(DAY(2026, 3, 1)), Month(DAY(2026, 10, 1))
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Pago_Pago"]
PRICES = [
    *(row for utility in Utility for row in builders.a_tiered_plan("steady", {0: 30_000}, utility=utility)),
    # Its prices, tiers and tax change on days within both months, the standing charge does not.
    *builders.a_tiered_plan("changing", {0: 30_000, 30_000: 45_001}, valid_until=DAY(2026, 3, 17)),
    *builders.a_tiered_plan(
        "changing", {0: 33_000, 20_000: 1}, valid_from=DAY(2026, 3, 17), valid_until=DAY(2026, 10, 9)
    ),
    *builders.a_tiered_plan("changing", {0: 30_000}, valid_from=DAY(2026, 10, 9)),
    builders.a_price(plan="changing", component="standing", label="meter", price_micro=33_333_333),
    builders.a_price(
        plan="changing", component="tax", label="VAT", price_micro=190_000, valid_until=DAY(2026, 10, 20)
    ),
    builders.a_price(
        plan="changing", component="tax", label="VAT", price_micro=160_001, valid_from=DAY(2026, 10, 20)
    ),
]
TARIFFS = Tariffs.from_rows(PRICES)
T = datetime.datetime.fromisoformat("2026-11-02T00:00")
ISSUED_AT = datetime.datetime.fromisoformat("2026-11-02T06:00")


def month_usage(month: Month, zones, hours, *, users=None, quality="M", utility=Utility.ELECTRICITY):
    """Usage of one utility: hours are [n, nights, 24]."""
    n = len(hours)
    every = np.zeros((n, 3, month.nights, 24), np.int64)
    every[:, utility.code] = hours
    letters = np.full_like(every, ord(quality), dtype=np.uint8)
    checksums = np.random.default_rng(7).integers(0, 2**60, (n, 3, month.nights), dtype=np.uint64)
    known = sorted(set(zones))
    return MonthUsage(
        zones=known,
        user_id=np.array(users or range(USER, USER + n), np.int64),
        zone=np.array([known.index(zone) for zone in zones]),
        hours=every,
        quality=letters,
        row_checksum=checksums,
    )


def a_draft(
    month=OCTOBER, usage_each_hour=10, plan="changing", zone="Europe/Berlin", tariffs=TARIFFS, **stay
):
    agreements = Agreements.from_rows([builders.an_agreement(plan=plan, **stay)], tariffs)
    usage = month_usage(month, [zone], np.full((1, month.nights, 24), usage_each_hour))
    [draft] = drafts(month, usage, tariffs, agreements)
    return draft


def lines_of(draft, component):
    return [line for line in draft.lines if line.component == component]


def days_of(lines):
    return [(date_of(line.day_from), date_of(line.day_until)) for line in lines]


@st.composite
def households(draw, month: Month):
    """Zones and agreements of a few users, with moves in the midst of the month."""
    users = []
    for _ in range(draw(st.integers(1, 5))):
        bounds = sorted(draw(st.lists(st.integers(-3, 34), min_size=0, max_size=4, unique=True)))
        days = [month.first + datetime.timedelta(days=bound) for bound in bounds]
        stays = [pair for pair in itertools.pairwise([builders.BEGIN, *days, None]) if draw(st.booleans())]
        plans = [draw(st.sampled_from(["steady", "changing"])) for _ in stays]
        users.append((draw(st.sampled_from(ZONES)), list(zip(plans, stays, strict=True))))
    return users


class TestLines:
    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_come_to_what_the_hours_cost_one_by_one_and_night_by_night(self, data):
        month = data.draw(st.sampled_from([MARCH, OCTOBER]))
        users = data.draw(households(month))
        seed = data.draw(st.integers(0, 2**32 - 1))
        hours = np.random.default_rng(seed).integers(0, 150, (len(users), month.nights, 24))
        rows = [
            [
                builders.an_agreement(
                    user_id=USER + at, plan=plan, moved_in_on=moved_in, moved_out_on=moved_out
                )
                for plan, (moved_in, moved_out) in stays
            ]
            for at, (_, stays) in enumerate(users)
        ]
        agreements = Agreements.from_rows([row for of_user in rows for row in of_user], TARIFFS)
        zones = [zone for zone, _ in users]

        found = drafts(month, month_usage(month, zones, hours), TARIFFS, agreements)

        for at, (zone, _) in enumerate(users):
            cost, usage = self._by_hour(month, SlowMeter(PRICES, rows[at], zone), hours[at])
            energy = lines_of(found[at], "energy")
            assert sum(line.amount_micro for line in energy) == cost
            assert sum(line.quantity for line in energy) == usage
        utc = [at for at, (_, stays) in enumerate(users) if stays]
        self._as_the_nights(month, hours[utc], np.array(utc, np.int64) + USER, agreements)

    def _by_hour(self, month, meter, hours):
        cost = usage = 0
        for number, of_night in enumerate(hours.tolist()):
            night = month.first_night + datetime.timedelta(days=number)
            for instant, units in zip(hour_instants(night), of_night, strict=True):
                day = instant.astimezone(meter.zone).date()
                paid = meter.price(instant, units)
                if (day.year, day.month) == (month.first.year, month.first.month) and meter._agreement(day):
                    cost, usage = cost + paid, usage + units
        return cost, usage

    def _as_the_nights(self, month, hours, user_id, agreements):
        """In UTC a month is whole nights: what they cost is what the lines come to."""
        usage = month_usage(month, ["UTC"] * len(user_id), hours, users=user_id.tolist())
        found = drafts(month, usage, TARIFFS, agreements)
        before, paid = np.zeros(len(user_id), np.int64), np.zeros(len(user_id), np.int64)
        cost = np.zeros_like(paid)
        for number in range(1, month.nights - 1):
            night = month.first_night + datetime.timedelta(days=number)
            occupancy = agreements.around(user_id, np.zeros_like(user_id), night)
            zone = np.zeros_like(user_id)
            priced = price_hours(TARIFFS, occupancy, ["UTC"], zone, night, hours[:, number], before, paid)
            before, paid = priced.month_usage, priced.month_cost
            cost += priced.cost
        sums = [sum(line.amount_micro for line in lines_of(draft, "energy")) for draft in found]
        assert sums == cost.tolist()

    def test_hold_a_month_of_the_local_clock(self):
        # 31 days in Berlin: an hour less in March, an hour more in October.
        for month, hours in ((MARCH, 31 * 24 - 1), (OCTOBER, 31 * 24 + 1)):
            draft = a_draft(month, usage_each_hour=1, plan="steady")

            assert sum(line.quantity for line in lines_of(draft, "energy")) == hours

    def test_of_a_price_that_changes_in_mid_month_are_two(self):
        night = [line for line in lines_of(a_draft(MARCH), "energy") if line.label == "night"]

        assert days_of(night) == [(DAY(2026, 3, 1), DAY(2026, 3, 17)), (DAY(2026, 3, 17), DAY(2026, 4, 1))]
        assert [line.price_micro for line in night] == [10_000, 11_000]

    def test_of_a_price_that_stays_are_one(self):
        [standing] = lines_of(a_draft(MARCH), "standing")

        assert (standing.quantity, standing.unit, standing.amount) == (31, "day", 1_033)

    def test_are_split_where_another_tax_begins(self):
        draft = a_draft(OCTOBER)

        first, second = lines_of(draft, "tax")
        others = [line for line in draft.lines if line.component != "tax"]
        taxed = [line for line in others if date_of(line.day_until) <= DAY(2026, 10, 20)]
        assert first.quantity == sum(line.amount for line in taxed)
        assert first.quantity + second.quantity == sum(line.amount for line in others)
        assert first.amount == half_even(first.quantity * 190_000)
        assert second.amount == half_even(second.quantity * 160_001)

    def test_of_somebody_who_moves_in_begin_that_day_with_the_first_tier(self):
        whole = a_draft(MARCH, usage_each_hour=100)
        moved = a_draft(MARCH, usage_each_hour=100, moved_in_on=DAY(2026, 3, 16))

        [standing] = lines_of(moved, "standing")
        assert (date_of(standing.day_from), standing.quantity) == (DAY(2026, 3, 16), 16)
        assert {date_of(line.day_from) for line in moved.lines} == {DAY(2026, 3, 16), DAY(2026, 3, 17)}
        # At 2,400 a day the whole month is long past its second tier by the 17th, the new one is not.
        assert lines_of(moved, "energy")[-1].tier_from == lines_of(whole, "energy")[-1].tier_from == 20_000
        beyond = [
            sum(one.quantity for one in lines_of(draft, "energy") if one.tier_from)
            for draft in (whole, moved)
        ]
        assert beyond == [16 * 2_400 - 30_000 + 35_900, 38_300 - 20_000]

    def test_say_how_much_is_estimated(self):
        agreements = Agreements.from_rows([builders.an_agreement(plan="steady")], TARIFFS)
        usage = month_usage(OCTOBER, ["UTC"], np.full((1, OCTOBER.nights, 24), 10))
        usage.quality[0, 0, 10, 12:15] = np.frombuffer(b"IEP", np.uint8)
        usage.quality[0, 1] = ord("E")

        [draft] = drafts(OCTOBER, usage, TARIFFS, agreements)

        # The nights begin with the 30th of September: this one is Saturday, the 10th of October.
        assert {line.label: line.quantity_estimated for line in draft.lines} == {
            "night": 0,
            "day": 0,
            "weekend": 30,
        }

    def test_name_the_nights_they_rest_on(self):
        agreements = Agreements.from_rows([builders.an_agreement(plan="changing")], TARIFFS)
        usage = month_usage(MARCH, ["America/New_York"], np.full((1, MARCH.nights, 24), 10))

        [draft] = drafts(MARCH, usage, TARIFFS, agreements)

        first, *_, last = lines_of(draft, "energy")
        assert (first.night_from, first.night_to) == (DAY(2026, 3, 1), DAY(2026, 3, 17))
        assert (last.night_from, last.night_to) == (DAY(2026, 3, 17), DAY(2026, 4, 1))
        assert first.rows_checksum == int(np.bitwise_xor.reduce(usage.row_checksum[0, 0, 1:18]))
        assert lines_of(draft, "standing")[0].night_from is None

    def test_are_in_one_currency(self):
        tariffs = Tariffs.from_rows([builders.a_price(), builders.a_price(utility="gas", currency="EUR")])
        rows = [builders.an_agreement(), builders.an_agreement(utility="gas")]
        usage = month_usage(OCTOBER, ["UTC"], np.full((1, OCTOBER.nights, 24), 10))
        usage.hours[0, 1] = 5

        with pytest.raises(NightRefused, match=r"^user 10000042 has plans in EUR and USD in 2026-10"):
            drafts(OCTOBER, usage, tariffs, Agreements.from_rows(rows, tariffs))


class TestRounding:
    @given(st.integers(-(10**18), 10**18) | st.integers(-20, 20).map(lambda half: half * 500_000))
    def test_is_half_even_and_the_same_below_zero(self, amount_micro):
        assert rounded(amount_micro) == half_even(amount_micro)
        assert rounded(-amount_micro) == -rounded(amount_micro)

    def test_of_a_total_is_that_of_its_lines(self):
        draft = a_draft(OCTOBER)
        made = invoice(draft, OCTOBER, None, T, ISSUED_AT)

        assert made.total == sum(half_even(line.quantity * line.price_micro) for line in draft.lines)

    def test_is_shown_in_the_currencys_own_digits(self):
        assert [money(-123_405, code) for code in ("USD", "JPY", "KWD")] == [
            "-1,234.05 USD",
            "-123,405 JPY",
            "-123.405 KWD",
        ]


class TestIssuingAgain:
    draft = a_draft(OCTOBER)
    first = invoice(draft, OCTOBER, None, T, ISSUED_AT)
    standing = Standing(1, False, draft.inputs_checksum)

    def test_is_nothing_while_nothing_changed(self):
        assert not settled(self.draft, None)
        assert settled(self.draft, self.standing)
        assert settled(a_draft(OCTOBER), self.standing)

    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param({"usage_each_hour": 11}, id="usage"),
            pytest.param({"plan": "steady"}, id="plan"),
            pytest.param({"moved_in_on": DAY(2026, 10, 2)}, id="agreement"),
            pytest.param({"zone": "Europe/London"}, id="zone"),
            pytest.param(
                {"tariffs": Tariffs.from_rows([*PRICES[:-2], {**PRICES[-2], "valid_until": None}])}, id="tax"
            ),
        ],
    )
    def test_is_due_once_what_it_rests_on_changed(self, changed):
        assert not settled(a_draft(OCTOBER, **changed), self.standing)

    def test_is_due_where_usage_moved_from_an_hour_to_another(self):
        hours = np.full((1, OCTOBER.nights, 24), 10)
        hours[0, 10, 10:12] = (9, 11)
        agreements = Agreements.from_rows([builders.an_agreement(plan="changing")], TARIFFS)

        [draft] = drafts(OCTOBER, month_usage(OCTOBER, ["Europe/Berlin"], hours), TARIFFS, agreements)

        assert draft.lines == self.draft.lines
        assert not settled(draft, self.standing)

    def test_is_nothing_for_hours_of_the_months_beside(self):
        hours = np.full((1, OCTOBER.nights, 24), 10)
        hours[0, 0, 21] = hours[0, -2, 23] = 99_999
        agreements = Agreements.from_rows([builders.an_agreement(plan="changing")], TARIFFS)

        [draft] = drafts(OCTOBER, month_usage(OCTOBER, ["Europe/Berlin"], hours), TARIFFS, agreements)

        assert settled(draft, self.standing)

    def test_reverses_the_former_in_full_and_takes_the_next_number(self):
        changed = a_draft(OCTOBER, usage_each_hour=11)

        reversal = credit(self.first, ISSUED_AT)
        second = invoice(changed, OCTOBER, self.standing, T, ISSUED_AT)

        assert self.first.number == "2026-10-10000042-1"
        assert (reversal.number, reversal.reverses) == ("2026-10-10000042-1-credit", "2026-10-10000042-1")
        assert second.number == "2026-10-10000042-2"
        assert self.first.total > 0
        assert self.first.total + reversal.total == 0
        for line, back in zip(self.first.lines, reversal.lines, strict=True):
            assert (back.amount, back.quantity_estimated) == (-line.amount, -line.quantity_estimated)
            assert dataclasses.replace(back, quantity=0, quantity_estimated=0) == dataclasses.replace(
                line, quantity=0, quantity_estimated=0
            )

    def test_credits_somebody_who_owes_nothing_any_more(self):
        gone = a_draft(OCTOBER, moved_out_on=DAY(2026, 9, 30))

        assert gone.lines == ()
        assert not settled(gone, self.standing)
        assert settled(gone, Standing(1, True, self.draft.inputs_checksum))
        assert settled(gone, None)


class TestMonth:
    @pytest.mark.parametrize(
        ("zone", "whole", "nights"),
        [
            ("UTC", "2026-11-01 00:00", (DAY(2026, 10, 1), DAY(2026, 10, 31))),
            ("America/New_York", "2026-11-01 04:00", (DAY(2026, 10, 1), DAY(2026, 11, 1))),
            ("Europe/Berlin", "2026-10-31 23:00", (DAY(2026, 9, 30), DAY(2026, 10, 31))),
            # Its months begin at half past 18 UTC: the hour from 18 on is of the month before.
            ("Asia/Kolkata", "2026-10-31 19:00", (DAY(2026, 9, 30), DAY(2026, 10, 31))),
        ],
    )
    def test_is_complete_when_its_last_hour_is(self, zone, whole, nights):
        assert f"{complete_from(OCTOBER, zone):%Y-%m-%d %H:%M}" == whole
        assert nights_of(OCTOBER, zone) == nights

    def test_is_named_by_year_and_month(self):
        assert str(Month.named("2026-02")) == "2026-02"
        for wrong in ("2026-13", "2026-10-01", "october"):
            with pytest.raises(ValueError, match="not a month like 2026-10"):
                Month.named(wrong)
