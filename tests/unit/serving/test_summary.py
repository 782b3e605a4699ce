"""The month with its forecast, and today beside other days, as figures that the registers prove."""

import dataclasses
from collections.abc import Callable

import httpx
import pytest
from serving_builders import ELECTRICITY, USER_ID, InMemoryLive, InMemoryTruth, Meter, a_household, instant

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.utility import Utility
from serving.api import shapes_usage
from serving.figures.registers import MeterRegisters
from serving.figures.summary import SoFar, Summary, summarised
from serving.figures.truth import Truth

START = instant("2026-04-01T00:00")
NOW = instant("2026-06-18T20:30:05")  # 16:30 in New York
T = instant("2026-06-18T00:00")
METER = Meter(START, [hour % 24 * 10 for hour in range(24 * 90)])
ZONE = "America/New_York"
PRICE = 20_000


def truth(until: int = T, nights: int = 40, steps: str = f"0:{PRICE}") -> Truth:
    published = METER.truth(*range(until - nights * DAY_MS, until, DAY_MS))
    rows = tuple(row._replace(price_steps=steps) for row in published.rows)
    return dataclasses.replace(published, rows=rows)


def summary(known: Truth, now: int = NOW) -> Summary:
    live = METER.live(now - 2_000, extra=5).meters[ELECTRICITY]
    return summarised(MeterRegisters(known, ELECTRICITY, live), known.truth_until or 0, ZONE, now)


class TestSameDayLastWeek:
    def test_is_told_whole(self) -> None:
        found = summary(truth())

        begins = instant("2026-06-11T00:00-04:00")
        assert str(found.week_ago) == "2026-06-11"
        assert found.week_ago_usage == METER.usage(begins, begins + DAY_MS)

    def test_is_not_known_without_its_night(self) -> None:
        assert summary(truth(nights=3)).week_ago_usage is None


class TestSoFar:
    def test_holds_today_against_as_much_of_other_days(self) -> None:
        begins = instant("2026-06-18T00:00-04:00")

        found = summary(truth()).so_far

        assert found == SoFar(begins + 16 * HOUR_MS, *(until_16_o_clock(begins, days) for days in (0, 1, 7)))

    def test_ends_where_the_meter_was_heard_last(self) -> None:
        begins = instant("2026-06-18T00:00-04:00")
        live = METER.live(begins + 9 * HOUR_MS + 600_000, extra=5).meters[ELECTRICITY]

        found = summarised(MeterRegisters(truth(), ELECTRICITY, live), T, ZONE, NOW).so_far

        assert found.until == begins + 9 * HOUR_MS
        assert found.week_ago == METER.usage(begins - 7 * DAY_MS, begins - 7 * DAY_MS + 9 * HOUR_MS)

    def test_ends_with_the_truth_where_nothing_is_known_of_now(self) -> None:
        registers = MeterRegisters(truth(), ELECTRICITY, None)
        now = instant("2026-06-18T18:30+12:00")

        found = summarised(registers, T, "Pacific/Auckland", now).so_far

        begins = instant("2026-06-18T00:00+12:00")
        assert (found.until, found.today) == (T, METER.usage(begins, T))
        assert found.week_ago == METER.usage(begins - 7 * DAY_MS, T - 7 * DAY_MS)

    @pytest.mark.parametrize(
        ("now", "hours", "hours_before", "hours_week_ago"),
        [
            ("2026-11-01T01:30-04:00", 1, 1, 1),  # today begins an hour that it will have twice
            ("2026-11-01T01:30-05:00", 2, 2, 2),  # and has it again
            ("2026-11-01T12:30-05:00", 13, 12, 12),
            ("2026-11-02T12:30-05:00", 12, 13, 12),
            ("2026-11-08T12:30-05:00", 12, 12, 13),
            ("2027-03-14T12:30-04:00", 11, 12, 12),  # today lacks an hour
            ("2027-03-15T02:30-04:00", 2, 2, 2),  # at the hour that yesterday lacked
            ("2027-03-15T12:30-04:00", 12, 11, 12),
        ],
    )
    def test_goes_by_the_clock_where_it_was_changed(
        self, now: str, hours: int, hours_before: int, hours_week_ago: int
    ) -> None:
        now_ms = instant(now)
        meter = Meter(now_ms // DAY_MS * DAY_MS - 10 * DAY_MS, [100] * 24 * 12)
        nights = range(meter.start, now_ms - DAY_MS, DAY_MS)
        registers = MeterRegisters(meter.truth(*nights), ELECTRICITY, meter.live(now_ms).meters[ELECTRICITY])

        found = summarised(registers, nights[-1] + DAY_MS, ZONE, now_ms).so_far

        assert found.until == now_ms - now_ms % HOUR_MS
        assert (found.today, found.yesterday, found.week_ago) == (
            100 * hours,
            100 * hours_before,
            100 * hours_week_ago,
        )

    def test_in_the_first_hour_has_nothing_to_compare(self) -> None:
        found = summary(truth(), instant("2026-06-18T00:30-04:00")).so_far

        assert found == SoFar(instant("2026-06-18T00:00-04:00"), None, None, None)

    def test_of_a_meter_first_heard_today_is_not_known(self) -> None:
        now = instant("2026-06-18T22:30-04:00")
        born = Meter(T + DAY_MS, [100] * 24)  # four hours before the local day ends
        registers = MeterRegisters(Truth(), ELECTRICITY, born.live(now).meters[ELECTRICITY])

        found = summarised(registers, 0, ZONE, now).so_far

        assert (found.today, found.yesterday, found.week_ago) == (None, None, None)


def until_16_o_clock(begins: int, days: int) -> int:
    at = begins - days * DAY_MS
    return METER.usage(at, at + 16 * HOUR_MS)


class TestMonth:
    def test_costs_what_was_used_up_to_t_and_the_rest_at_the_mean_of_past_days(self) -> None:
        month = summary(truth()).month

        first, end = instant("2026-06-01T00:00-04:00"), instant("2026-07-01T00:00-04:00")
        a_day = PRICE * METER.usage(T - DAY_MS, T)
        assert (str(month.dates.start), str(month.dates.end)) == ("2026-06-01", "2026-07-01")
        assert month.usage.usage == METER.usage(first, NOW - NOW % HOUR_MS) + 5
        assert month.usage.complete
        assert month.cost_micro == PRICE * METER.usage(first, T)
        assert month.forecast_micro == month.cost_micro + a_day * (end - T) // DAY_MS
        assert month.days_counted == 28

    @pytest.mark.parametrize(("nights", "days"), [(2, 1), (3, 2), (4, 3)])
    def test_has_a_forecast_from_three_complete_days_on(self, nights: int, days: int) -> None:
        month = summary(truth(until=instant("2026-06-05T00:00"), nights=nights)).month

        assert month.days_counted == days
        assert (month.forecast_micro is None) == (days < 3)

    def test_that_has_just_begun_cost_nothing_yet(self) -> None:
        month = summary(truth(until=instant("2026-06-01T00:00")), instant("2026-06-01T09:00-04:00")).month

        whole = PRICE * METER.usage(T - DAY_MS, T) * 30
        assert (month.cost_micro, month.forecast_micro) == (0, whole)

    def test_of_who_moved_in_within_it_costs_what_was_used_since(self) -> None:
        moved_in = instant("2026-06-04T00:00")
        known = truth()
        rows = tuple(
            row._replace(month_cost=PRICE * METER.usage(moved_in, row.night_ms + DAY_MS))
            if row.night_ms >= moved_in
            else row._replace(price_steps="")
            for row in known.rows
        )

        month = summary(dataclasses.replace(known, rows=rows)).month

        assert month.cost_micro == PRICE * METER.usage(moved_in, T)
        assert (month.days_counted, month.forecast_micro is None) == (13, False)

    def test_without_prices_has_no_cost(self) -> None:
        month = summary(truth(steps="")).month

        assert (month.cost_micro, month.forecast_micro, month.days_counted) == (None, None, 0)

    def test_without_truth_has_none_either(self) -> None:
        month = summary(Truth()).month

        assert (month.cost_micro, month.forecast_micro) == (None, None)
        assert not month.usage.complete


class TestRoute:
    @pytest.fixture
    def live(self) -> InMemoryLive:
        return InMemoryLive({USER_ID: METER.live(NOW - 2_000)})

    @pytest.fixture
    def stored(self) -> InMemoryTruth:
        household = a_household()._replace(currency="USD")
        return InMemoryTruth({USER_ID: household}, {USER_ID: truth()})

    def test_has_the_documented_shape(
        self, asking: Callable[..., Callable[..., httpx.Response]], live: InMemoryLive, stored: InMemoryTruth
    ) -> None:
        answer = asking(live, stored, NOW)(f"/api/v1/households/{USER_ID}/summary")

        document = shapes_usage.HouseholdSummary.model_validate_json(answer.content)
        assert document.utilities.electricity.month.cost_forecast is not None
        assert document.utilities.electricity.month.currency == "USD"
        assert document.utilities.water.month.cost is None

    @pytest.mark.parametrize("away", ["live", "stored"])
    def test_is_told_by_one_store_while_the_other_is_away(
        self,
        asking: Callable[..., Callable[..., httpx.Response]],
        live: InMemoryLive,
        stored: InMemoryTruth,
        away: str,
    ) -> None:
        (live if away == "live" else stored).away = True

        document = asking(live, stored, NOW)(f"/api/v1/households/{USER_ID}/summary").json()

        month = document["utilities"][Utility.ELECTRICITY]["month"]
        assert "away" in document["sources"].values()
        assert any("away" in note for note in document["notes"])
        assert (month["cost"] is None) == (away == "stored")
        assert not month["complete"]
