"""Laying figures side by side: what agrees, what differs, and what must not be called either."""

import pytest

from infra.contracts.durations import DAY_MS
from infra.contracts.utility import Utility
from infra.verification import Figure, question, row, totals

NIGHT = 100 * DAY_MS
START, END = NIGHT + DAY_MS // 4, NIGHT + DAY_MS + DAY_MS // 4


def beat(sent_at: int, register: int, began_anew_at: int = 0) -> dict[str, int]:
    """A heartbeat of a meter that counted on from `began_anew_at` when its dial began again at 0."""
    counted = register + began_anew_at
    return {"sent_at": sent_at, "register": register, "counted": counted, "first_counted": 10}


def household(today: int | None, yesterday: int | None) -> dict[str, dict[str, object]]:
    return {
        "today": {"usage": today, "from_ms": END, "to_ms": END + 6_000},
        "yesterday": {"usage": yesterday, "from_ms": START, "to_ms": END},
    }


LIVE = {"sent_at": END + 5_000, "register": 500}
PUBLISHED = {"usage_total": 100}
HEARTBEATS = {
    "redis": beat(END + 5_000, 500),
    "night_start": beat(NIGHT - 1, 200),
    "night_end": beat(NIGHT + DAY_MS - 1, 300),
    "yesterday_start": beat(START - 1, 250),
    "yesterday_end": beat(END - 1, 450),
    "today_start": beat(END - 1, 450),
    "today_end": beat(END + 5_000, 500),
}


class TestRow:
    def asked(self, *, settled=True):
        return question(10_000_000, Utility.GAS, NIGHT, LIVE, household(50, 200), settled)

    def test_of_layers_that_agree_has_no_difference(self):
        found = row(self.asked(), HEARTBEATS, LIVE, PUBLISHED, household(50, 200))

        assert [figure.difference for figure in found.figures] == [0] * 5

    @pytest.mark.parametrize(
        ("live", "published", "api", "wrong"),
        [
            pytest.param(
                {**LIVE, "register": 501}, PUBLISHED, household(50, 200), "redis register", id="redis"
            ),
            pytest.param(
                {**LIVE, "sent_at": END}, PUBLISHED, household(50, 200), "redis behind", id="behind"
            ),
            pytest.param(None, PUBLISHED, household(50, 200), "redis register", id="lost"),
            pytest.param(LIVE, {"usage_total": 99}, household(50, 200), "mysql night", id="mysql"),
            pytest.param(LIVE, None, household(50, 200), "mysql night", id="unpublished"),
            pytest.param(LIVE, PUBLISHED, household(51, 200), "api today", id="today"),
            pytest.param(LIVE, PUBLISHED, household(50, None), "api yesterday", id="unknown"),
        ],
    )
    def test_names_the_layer_that_differs(self, live, published, api, wrong):
        found = row(self.asked(), HEARTBEATS, live, published, api)

        assert wrong in [figure.name for figure in found.figures if figure.difference]

    def test_before_its_first_heartbeat_a_meter_counts_from_it(self):
        found = row(
            self.asked(), {**HEARTBEATS, "night_start": None}, LIVE, {"usage_total": 290}, household(50, 200)
        )

        assert found.difference == 0

    def test_usage_goes_on_where_a_dial_began_anew(self):
        rolled_over = {
            **HEARTBEATS,
            "night_end": beat(NIGHT + DAY_MS - 1, 20, began_anew_at=280),
            "redis": beat(END + 5_000, 500, began_anew_at=280),
        }

        found = row(self.asked(), rolled_over, LIVE, PUBLISHED, household(50, 200))

        assert found.difference == 0

    def test_a_day_without_a_heartbeat_is_unknown_until_it_is_published(self):
        silent = {**HEARTBEATS, "today_end": beat(END - 1, 450)}

        found = row(self.asked(), silent, LIVE, PUBLISHED, household(None, 200))

        assert found.difference == 0


class TestQuestion:
    def test_holds_a_running_fleet_to_the_instants_that_the_layers_name(self):
        asked = question(10_000_000, Utility.GAS, NIGHT, LIVE, household(50, 200), settled=False)

        assert asked.instants["redis"] == END + 5_001
        assert asked.instants["today_end"] == END + 6_000

    def test_holds_a_stopped_fleet_to_its_last_heartbeat(self):
        asked = question(10_000_000, Utility.GAS, NIGHT, LIVE, household(50, 200), settled=True)

        assert asked.instants["redis"] is None
        assert asked.instants["today_end"] is None


class TestTotals:
    def test_do_not_let_differences_cancel(self):
        rows = [
            row(TestRow().asked(), HEARTBEATS, {**LIVE, "register": register}, PUBLISHED, household(50, 200))
            for register in (499, 501)
        ]

        [line] = [line for line in totals(rows) if line["figure"] == "redis register"]

        assert (line["ledger"], line["answer"], line["difference"]) == (1_000, 1_000, 2)

    def test_a_missing_answer_differs_even_from_zero(self):
        assert Figure("x", ledger=0, answer=None).difference == 1
