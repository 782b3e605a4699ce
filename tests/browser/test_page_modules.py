"""The pages' pure modules, asked in the browser they are written for: units, periods, words."""

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., Any]
# Modules are beside the one that the page names.
CALL = """async ([module, name, given]) => {
    const beside = document.querySelector("script[type=module]").src;
    return (await import(new URL(`../${module}.js`, beside)))[name](...given);
}"""


@pytest.fixture(scope="module")
def ask(browser, site) -> Ask:
    """Call a function of a module: ask("lib/units", "quantityText", 1830, "W", "electricity")."""
    context = browser.new_context(base_url=site.url, timezone_id="Asia/Tokyo")
    page = context.new_page()
    page.goto("/licences")
    yield lambda module, name, *arguments: page.evaluate(
        CALL,
        [module, name, list(arguments)],
    )
    context.close()


class TestUnits:
    @pytest.mark.parametrize(
        ("value", "unit", "utility", "text"),
        [
            (None, "W", "electricity", "\N{EN DASH}"),
            (0, "W", "electricity", "0 W"),
            (999, "W", "electricity", "999 W"),
            (1_370, "W", "electricity", "1.37 kW"),
            (4_390, "Wh", "electricity", "4.39 kWh"),
            (3, "Wh", "electricity", "3 Wh"),
            (3, "L", "gas", "3 L"),
            (-880, "Wh", "electricity", "\N{MINUS SIGN}0.88 kWh"),
            (912_004_551, "W", "electricity", "912 MW"),
            (589, "L/h", "gas", "589 L/h"),
            (4_450, "L", "gas", "4.45 m³"),
            (2_400_000_000, "L/h", "gas", "2.40 million m³/h"),
            (286, "L", "water", "286 L"),
            (13_100, "L", "water", "13.1 m³"),
        ],
    )
    def test_metric(self, ask, value, unit, utility, text):
        assert ask("lib/units", "quantityText", value, unit, utility) == text

    @pytest.mark.parametrize(
        ("value", "unit", "utility", "text"),
        [
            (1_370, "W", "electricity", "1.37 kW"),
            (286, "L", "water", "76 gal"),
            (0, "L", "water", "0 gal"),
            (1, "L", "water", "0.26 gal"),
            (37, "L/h", "water", "9.77 gal/h"),
            (38, "L", "water", "10 gal"),
            (589, "L/h", "gas", "20.8 ft³/h"),
            (4_450, "L", "gas", "1.57 ccf"),
            (40_000_000, "L", "gas", "1.41 MMcf"),
        ],
    )
    def test_of_the_us(self, ask, value, unit, utility, text):
        ask("lib/units", "choose", "us")
        try:
            assert ask("lib/units", "quantityText", value, unit, utility) == text
        finally:
            ask("lib/units", "choose", "metric")

    def test_in_a_text_of_the_api(self, ask):
        told = ask(
            "lib/units",
            "inUnits",
            "The meter was silent for 3 hours; 4120 Wh of usage are estimated.",
            "electricity",
        )

        assert told == "The meter was silent for 3 hours; 4.12 kWh of usage are estimated."


class TestPeriods:
    @pytest.mark.parametrize(
        ("by", "start", "end"),
        [
            ("hour", "2026-03-08", "2026-03-09"),
            ("day", "2026-03-01", "2026-04-01"),
            ("month", "2025-04-01", "2026-04-01"),
        ],
    )
    def test_hold_a_date(self, ask, by, start, end):
        assert ask("usage/period", "periodAt", by, "2026-03-08") == {"by": by, "from": start, "to": end}

    @pytest.mark.parametrize(
        ("by", "kind", "start", "end"),
        [
            ("hour", "before", "2026-03-07", "2026-03-08"),
            ("hour", "week", "2026-03-01", "2026-03-02"),
            ("hour", "year", "2025-03-09", "2025-03-10"),
            ("day", "before", "2026-02-01", "2026-03-01"),
            ("day", "year", "2025-03-01", "2025-04-01"),
            ("month", "before", "2024-04-01", "2025-04-01"),
        ],
    )
    def test_are_compared_with_one_like_them(self, ask, by, kind, start, end):
        period = ask("usage/period", "periodAt", by, "2026-03-08")

        assert ask("usage/period", "comparedTo", period, kind) == {"by": by, "from": start, "to": end}


class TestHours:
    def test_that_the_clock_repeats_have_a_name_each(self, ask):
        twice = [
            {"from": f"2026-11-01T{at}"} for at in ("00:00:00-04:00", "01:00:00-04:00", "01:00:00-05:00")
        ]

        names = ask("usage/days", "hourNames", twice)

        assert len(set(names)) == 3
        assert names[0] == "00:00"


class TestWords:
    @pytest.mark.parametrize(
        ("value", "before", "words"),
        [
            (96, 100, "4 % less"),
            (128, 100, "28 % more"),
            (100, 100, "the same"),
            (5, 0, None),
            (None, 5, None),
            (20, 1, "20 times as much"),
        ],
    )
    def test_of_a_change(self, ask, value, before, words):
        assert ask("lib/format", "change", value, before) == words

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            (96, "4 % less than yesterday"),
            (128, "28 % more than yesterday"),
            (100, "the same as yesterday"),
            (1_200, "12 times as much as yesterday"),
            (None, None),
        ],
    )
    def test_of_a_change_name_what_it_is_from(self, ask, value, words):
        assert ask("lib/format", "changeFrom", value, 100, "yesterday") == words

    def test_of_money(self, ask):
        assert ask("lib/format", "money", 38_20, "USD") == "$38.20"
        assert ask("lib/format", "money", -18_390, "USD") == "\N{MINUS SIGN}$183.90"
        assert ask("lib/format", "money", None, "USD") == "\N{EN DASH}"
