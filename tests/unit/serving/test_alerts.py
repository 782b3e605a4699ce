"""What a household is told of, and what it is not."""

import pytest
from serving_builders import ELECTRICITY, Meter, instant

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import LiveState
from infra.contracts.quality import Rule
from infra.contracts.utility import Utility
from serving.figures.alerts import ALERTS_MAX, AlertKind, Finding, NightHours, Severity, alerts

WATER = Utility.WATER
T = instant("2026-06-15T00:00")
NOW = T + 20 * HOUR_MS
LIVE = Meter(T - DAY_MS, [100] * 48).live(NOW - 5_000)


def nights(bases: list[int], utility: Utility = ELECTRICITY, quality: str = "M" * 24) -> list[NightHours]:
    first = T - len(bases) * DAY_MS
    return [
        NightHours(first + night * DAY_MS, utility, (base,) * 6 + (900,) * 18, quality, T - 1)
        for night, base in enumerate(bases)
    ]


def leaks(*days_before: int) -> list[Finding]:
    return [Finding(T - day * DAY_MS, WATER, Rule.LEAK, 0, 24, 288) for day in days_before]


class TestFindings:
    def test_of_nights_in_a_row_are_one_alert_that_lasts_up_to_the_newest_night(self) -> None:
        [alert] = alerts(leaks(3, 1, 2), nights([12] * 15, WATER), None, T, NOW)

        assert (alert.kind, alert.severity, alert.utility) == (AlertKind.LEAK, Severity.WARNING, WATER)
        assert (alert.since, alert.until, alert.amount) == (T - 3 * DAY_MS, None, 12)
        assert "72 hours: at least 12 L in every hour" in alert.message

    def test_that_have_ended_say_when(self) -> None:
        [ended] = alerts(leaks(9, 8), [], LIVE, T, NOW)

        assert (ended.since, ended.until) == (T - 9 * DAY_MS, T - 7 * DAY_MS)

    def test_of_hours_apart_are_alerts_apart(self) -> None:
        night = T - 5 * DAY_MS
        found = [Finding(night, ELECTRICITY, Rule.GAP, *hours, 100) for hours in ((3, 5), (5, 6), (9, 11))]

        told = alerts(found, [], LIVE, T, NOW)

        assert [(one.since - night, one.amount) for one in told] == [(9 * HOUR_MS, 100), (3 * HOUR_MS, 200)]
        assert told[0].message == "Within these 2 hours the meter was silent; 100 Wh of usage are estimated."
        assert {one.severity for one in told} == {Severity.INFO}

    @pytest.mark.parametrize(("heard_at", "until"), [(NOW - 3_000, T), (T - HOUR_MS, None), (None, None)])
    def test_of_a_silence_that_ended_since_do_not_last(self, heard_at: int | None, until: int | None) -> None:
        meter = LIVE.meters[ELECTRICITY]
        live = heard_at and LiveState("US-NY", {ELECTRICITY: meter._replace(sent_at=heard_at)})
        found = [Finding(T - DAY_MS, ELECTRICITY, Rule.GAP, 20, 24, 7)]

        [gap] = [one for one in alerts(found, [], live or None, T, NOW) if one.kind is AlertKind.GAP]

        assert gap.until == until

    @pytest.mark.parametrize("rule", [Rule.SPIKE, Rule.CLOCK, Rule.ROLLOVER, Rule.EXCHANGE])
    def test_that_concern_nobody_but_the_utility_are_not_told(self, rule: Rule) -> None:
        assert alerts([Finding(T - DAY_MS, ELECTRICITY, rule, 1, 2, 5)], [], LIVE, T, NOW) == []

    def test_are_bounded(self) -> None:
        many = [
            Finding(T - day * DAY_MS, ELECTRICITY, Rule.GAP, hour, hour + 1, 1)
            for day in range(1, 15)
            for hour in range(0, 24, 2)
        ]

        assert len(alerts(many, [], LIVE, T, NOW)) == ALERTS_MAX


class TestBaseLoad:
    def test_that_has_risen_for_two_nights_is_told(self) -> None:
        [alert] = alerts([], nights([100] * 13 + [280, 300]), LIVE, T, NOW)

        assert (alert.kind, alert.amount, alert.since, alert.until) == (
            AlertKind.BASE_LOAD,
            200,
            T - 2 * DAY_MS,
            None,
        )

    @pytest.mark.parametrize(
        "bases",
        [
            pytest.param([100] * 14 + [300], id="one night alone"),
            pytest.param([100] * 13 + [190, 190], id="below the floor"),
            pytest.param([1_000] * 13 + [1_400, 1_400], id="below the rise"),
            pytest.param([100] * 5 + [300, 300], id="nothing to compare with"),
            pytest.param([], id="no night"),
        ],
    )
    def test_that_has_not_is_not(self, bases: list[int]) -> None:
        assert alerts([], nights(bases), LIVE, T, NOW) == []

    def test_is_not_judged_by_hours_that_were_not_measured(self) -> None:
        assert alerts([], nights([100] * 13 + [300, 300], quality="E" * 24), LIVE, T, NOW) == []

    def test_of_water_that_leaks_is_told_once(self) -> None:
        told = alerts(leaks(2, 1), nights([0] * 13 + [40, 40], WATER), None, T, NOW)

        assert [alert.kind for alert in told] == [AlertKind.LEAK]


class TestSilentMeter:
    def silent_for(self, minutes: int) -> LiveState:
        meter = LIVE.meters[ELECTRICITY]._replace(sent_at=NOW - minutes * 60_000)
        return LiveState("US-NY", {ELECTRICITY: meter})

    def test_is_told_after_a_quarter_of_an_hour(self) -> None:
        assert alerts([], [], self.silent_for(15), T, NOW) == []

        [alert] = alerts([], [], self.silent_for(47), T, NOW)

        assert (alert.kind, alert.since) == (AlertKind.SILENT_METER, NOW - 47 * 60_000)
        assert "47 minutes" in alert.message

    def test_that_live_state_never_heard_of_is_silent_since_truth_heard_it(self) -> None:
        [alert] = alerts([], nights([0] * 15, WATER), LIVE, T, NOW)

        assert (alert.utility, alert.since) == (WATER, T - 1)

    def test_is_unknown_without_live_state(self) -> None:
        assert alerts([], nights([0] * 15, WATER), None, T, NOW) == []


class TestOrder:
    def test_has_what_lasts_first_and_warnings_before_the_rest(self) -> None:
        found = [*leaks(9), Finding(T - DAY_MS, ELECTRICITY, Rule.ZERO, 12, 24, 0)]
        silent = TestSilentMeter().silent_for(600)

        told = alerts(found, [], silent, T, NOW)

        assert [one.kind for one in told] == [AlertKind.SILENT_METER, AlertKind.ZERO, AlertKind.LEAK]
