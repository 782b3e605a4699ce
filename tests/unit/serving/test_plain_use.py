"""A utility that whole measured hours tell is two lists; what is not plain is left to its registers."""

import dataclasses

import pytest
from serving_builders import ELECTRICITY, Meter, instant, without_marks_before

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import LiveMeter
from serving.figures.local_days import days_at
from serving.figures.plain_use import PlainUse, plain_use
from serving.figures.truth import Revision, Truth

START = instant("2026-03-10")
TODAY = START + 3 * DAY_MS
NOW = TODAY + 5 * HOUR_MS + 90_000
METER = Meter(START, [hour % 7 for hour in range(4 * 24)])
PUBLISHED = METER.truth(START + DAY_MS, START + 2 * DAY_MS)
NIGHTS = dataclasses.replace(PUBLISHED, rows=tuple(row._replace(month_cost=7) for row in PUBLISHED.rows))
LIVE = METER.live(NOW, extra=3).meters[ELECTRICITY]
BORN = METER.live(NOW, extra=3, since=TODAY + 2 * HOUR_MS).meters[ELECTRICITY]
ZONE = "America/Halifax"  # its midnight is at 3 in UTC


def found(
    truth: Truth = NIGHTS, live: LiveMeter | None = LIVE, zone: str = ZONE, now: int = NOW
) -> PlainUse | None:
    return plain_use(truth, ELECTRICITY, live, days_at(now, zone), zone, now)


def usages(start: int, end: int) -> list[int]:
    return [METER.usage(at, at + HOUR_MS) for at in range(start, end, HOUR_MS)]


class TestPlainUse:
    def test_has_the_hours_of_nights_and_of_live_state_by_the_households_days(self):
        use = found()

        midnight = TODAY + 3 * HOUR_MS
        assert use.hours == [*usages(midnight, TODAY + 5 * HOUR_MS), 3]
        assert use.hours_before == usages(midnight - DAY_MS, midnight)
        assert (use.month_cost, use.complete, use.notes) == (7, True, ())

    def test_says_that_it_ends_with_a_heartbeat_of_a_while_ago(self):
        use = found(now=NOW + 61_000)

        assert not use.complete
        assert use.notes == ("today: nothing known after 2026-03-13T02:01:30-03:00",)

    def test_of_a_meter_born_today_has_the_hours_since(self):
        use = found(Truth(), BORN, "UTC")

        assert use.hours == [*usages(TODAY + 2 * HOUR_MS, TODAY + 5 * HOUR_MS), 3]
        assert (use.hours_before, use.month_cost) == ((), None)
        assert use.notes == (
            "today: meter first heard in the hour from 2026-03-13T02:00:00+00:00, counted from there",
            "yesterday: meter first heard in the hour from 2026-03-13T02:00:00+00:00, after this period",
        )

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
            pytest.param(LIVE._replace(sent_at=TODAY + 2 * HOUR_MS), id="not-heard-today"),
            pytest.param(LIVE._replace(sent_at=TODAY + 5 * HOUR_MS - 1), id="ends-with-an-hour"),
        ],
    )
    def test_is_none_where_live_state_is_not_plain(self, live):
        assert found(live=live) is None

    @pytest.mark.parametrize(
        ("truth", "live"),
        [
            pytest.param(Truth(), LIVE, id="not-born-today"),
            pytest.param(Truth(), BORN._replace(marks_dropped=True), id="older-hours-were-dropped"),
            pytest.param(Truth(), BORN._replace(register=5), id="fallen-since"),
            pytest.param(Truth(), BORN._replace(marks=BORN.marks[:-1]), id="lacks-the-newest-mark"),
            pytest.param(Truth(TODAY + DAY_MS), BORN, id="known-to-no-night-since"),
        ],
    )
    def test_is_none_where_a_birth_is_not_plain(self, truth, live):
        assert found(truth, live, "UTC") is None

    @pytest.mark.parametrize("zone", ["Asia/Kolkata", "UTC"])
    def test_is_none_where_the_hours_are_not_those_of_the_days(self, zone):
        """India's days begin at half an hour; UTC's yesterday begins with the first hour known."""
        of_one_night = dataclasses.replace(NIGHTS, rows=NIGHTS.rows[1:])

        assert found(of_one_night, zone=zone) is None
