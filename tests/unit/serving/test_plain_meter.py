"""A meter that whole measured hours tell is one list of them; what is not plain is left to its registers."""

import dataclasses

import pytest
from serving_builders import ELECTRICITY, Meter, instant, without_marks_before

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import LiveMeter
from serving.figures.plain_meter import plain_meter
from serving.figures.truth import Revision, Truth

START = instant("2026-03-10")
TODAY = START + 3 * DAY_MS
NOW = TODAY + 5 * HOUR_MS + 90_000
METER = Meter(START, [hour % 7 for hour in range(4 * 24)])
NIGHTS = METER.truth(START + DAY_MS, START + 2 * DAY_MS)
LIVE = METER.live(NOW, extra=3).meters[ELECTRICITY]


def found(truth: Truth = NIGHTS, live: LiveMeter | None = LIVE):
    return plain_meter(truth, ELECTRICITY, live)


def usages(start: int, end: int) -> tuple[int, ...]:
    return tuple(METER.usage(at, at + HOUR_MS) for at in range(start, end, HOUR_MS))


class TestPlainMeter:
    def test_has_the_hours_of_its_nights_and_of_live_state_in_one(self):
        meter = found()

        assert tuple(meter.hours) == usages(START + DAY_MS, TODAY + 5 * HOUR_MS)
        assert meter.running == 3

    def test_tells_a_day_that_is_over_and_one_that_runs(self):
        meter = found()

        yesterday = meter.day(TODAY - 20 * HOUR_MS, TODAY + 4 * HOUR_MS)
        today = meter.day(TODAY + 4 * HOUR_MS, TODAY + 28 * HOUR_MS)

        assert (yesterday.hours, yesterday.running) == (
            usages(TODAY - 20 * HOUR_MS, TODAY + 4 * HOUR_MS),
            None,
        )
        assert (today.hours, today.running) == (usages(TODAY + 4 * HOUR_MS, TODAY + 5 * HOUR_MS), 3)

    def test_tells_no_day_that_begins_before_its_hours_or_after_them(self):
        meter = found()

        assert meter.day(START + DAY_MS, START + 2 * DAY_MS) is None
        assert meter.day(TODAY + 6 * HOUR_MS, TODAY + 30 * HOUR_MS) is None
        assert meter.day(TODAY - HOUR_MS // 2, TODAY + HOUR_MS // 2) is None

    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param({"quality": "M" * 23 + "E"}, id="an-hour-is-estimated"),
            pytest.param({"register_offset": 700}, id="the-dial-shows-something-else"),
            pytest.param({"revision": Revision(NOW, "late data")}, id="it-was-revised"),
            pytest.param({"first_sent_at": START + DAY_MS + 5}, id="the-meter-was-born-in-it"),
            pytest.param({"register_start": 1}, id="it-does-not-go-on-from-the-night-before"),
            pytest.param({"night_ms": START + 5 * DAY_MS}, id="a-night-is-missing"),
            pytest.param({"hours": (-1, 1, *NIGHTS.rows[1].hours[2:])}, id="an-hour-is-negative"),
        ],
    )
    def test_is_none_where_a_night_is_not_plain(self, changed):
        rows = (NIGHTS.rows[0], NIGHTS.rows[1]._replace(**changed))

        assert found(dataclasses.replace(NIGHTS, rows=rows)) is None

    @pytest.mark.parametrize(
        "live",
        [
            pytest.param(None, id="none"),
            pytest.param(LIVE._replace(sent_at=TODAY - 1), id="older-than-the-truth"),
            pytest.param(LIVE._replace(register=5), id="fallen-since"),
            pytest.param(LIVE._replace(marks=LIVE.marks[:-1]), id="lacks-the-newest-mark"),
            pytest.param(LIVE._replace(marks=()), id="has-no-marks"),
            pytest.param(without_marks_before(LIVE, TODAY // HOUR_MS), id="begun-after-the-truth"),
        ],
    )
    def test_is_none_where_live_state_is_not_plain(self, live):
        assert found(live=live) is None

    def test_is_none_without_truth(self):
        assert found(Truth()) is None
