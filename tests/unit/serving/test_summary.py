"""The month with its forecast and the same day of last week, as figures that the registers prove."""

import dataclasses
from collections.abc import Callable

import httpx
import pytest
from serving_builders import ELECTRICITY, USER_ID, InMemoryLive, InMemoryTruth, Meter, a_household, instant

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.utility import Utility
from serving.api import shapes_usage
from serving.figures.registers import MeterRegisters
from serving.figures.summary import Summary, summarised
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
    def test_is_told_whole_and_up_to_the_hours_that_are_over(self) -> None:
        found = summary(truth())

        begins = instant("2026-06-11T00:00-04:00")
        assert str(found.week_ago) == "2026-06-11"
        assert found.week_ago_usage == METER.usage(begins, begins + DAY_MS)
        assert found.week_ago_until_same_hour == METER.usage(begins, begins + 16 * HOUR_MS)

    @pytest.mark.parametrize(
        ("now", "begins", "hours"),
        [
            ("2026-11-01T15:30-05:00", "2026-10-25T00:00-04:00", 15),  # today had an hour twice
            ("2026-11-08T15:30-05:00", "2026-11-01T00:00-04:00", 16),  # that day had
            ("2027-03-14T15:30-04:00", "2027-03-07T00:00-05:00", 15),  # today lacks one
        ],
    )
    def test_goes_by_the_clock_where_it_was_changed(self, now: str, begins: str, hours: int) -> None:
        day = instant(begins) - instant(begins) % DAY_MS
        meter = Meter(day - 2 * DAY_MS, [hour % 24 * 10 for hour in range(24 * 20)])
        known = meter.truth(*range(day - 2 * DAY_MS, day + 7 * DAY_MS, DAY_MS))
        registers = MeterRegisters(known, ELECTRICITY, None)

        found = summarised(registers, known.truth_until or 0, ZONE, instant(now))

        start = instant(begins)
        assert found.week_ago_until_same_hour == meter.usage(start, start + hours * HOUR_MS)

    def test_in_the_first_hour_has_nothing_to_compare(self) -> None:
        assert summary(truth(), instant("2026-06-18T00:30-04:00")).week_ago_until_same_hour == 0

    def test_is_not_known_without_its_night(self) -> None:
        assert summary(truth(nights=3)).week_ago_usage is None


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
