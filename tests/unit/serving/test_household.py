"""The lambda equation: every figure is the exact difference of two registers, or there is none."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_builders import ELECTRICITY, Meter, instant, without_marks_before

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import MARKS_MAX, LiveState
from infra.contracts.utility import Utility
from serving.figures.household import DayUsage, UtilityView, utility_view
from serving.figures.truth import Layer, Truth

START = instant("2026-06-01T00:00")
HOURS = 24 * 6
METER = Meter(START, [100 + hour for hour in range(HOURS)])
NOW = instant("2026-06-04T20:30:05")  # 16:30 in New York
MIDNIGHT = instant("2026-06-04T00:00-04:00")
YESTERDAY = instant("2026-06-03T00:00-04:00")
NO_TRUTH = Truth()
# A busy machine is slow, not wrong.
WITHOUT_DEADLINE = settings(deadline=None)


def electricity(
    truth: Truth, live: LiveState | None, now: int = NOW, zone: str = "America/New_York"
) -> UtilityView:
    return utility_view(truth, ELECTRICITY, live.meters[ELECTRICITY] if live else None, zone, now)


def usages(day: DayUsage) -> list[int | None]:
    return [hour.usage for hour in day.hours]


def expired(live: LiveState, until: int) -> LiveState:
    """Return the live state without the hours that end before an instant, as `stream expire` leaves it."""
    kept = without_marks_before(live.meters[ELECTRICITY], -(-until // HOUR_MS) - 1)
    return LiveState(live.region, {ELECTRICITY: kept})


class TestView:
    def test_adds_truth_up_to_t_and_live_after_it(self) -> None:
        two_nights = METER.truth(START + DAY_MS, START + 2 * DAY_MS)

        use = electricity(two_nights, METER.live(NOW - 2_000, extra=33))

        hour = NOW - NOW % HOUR_MS
        assert use.today.total.usage == METER.usage(MIDNIGHT, hour) + 33
        assert use.today.total.complete
        assert use.yesterday.total.usage == METER.usage(YESTERDAY, MIDNIGHT)
        assert use.yesterday.total.layers == (Layer.TRUTH, Layer.LIVE)
        assert use.notes == ()

    def test_answers_the_same_wherever_t_lies(self) -> None:
        live = METER.live(NOW - 2_000, extra=33)
        nights = [START + night * DAY_MS for night in range(3)]

        answers = [electricity(METER.truth(*nights[:published]), live) for published in (1, 2, 3)]

        assert len({(use.today.total.usage, use.yesterday.total.usage) for use in answers}) == 1

    def test_answers_from_live_state_alone_without_truth(self) -> None:
        use = electricity(NO_TRUTH, METER.live(NOW - 2_000, extra=1))

        assert use.yesterday.total.usage == METER.usage(YESTERDAY, MIDNIGHT)
        assert use.yesterday.total.layers == (Layer.LIVE,)

    def test_answers_the_same_once_the_published_hours_have_expired(self) -> None:
        two_nights = METER.truth(START + DAY_MS, START + 2 * DAY_MS)
        live = METER.live(NOW - 2_000, extra=33)

        use = electricity(two_nights, expired(live, START + 3 * DAY_MS))

        assert use == electricity(two_nights, live)._replace(live=use.live)

    def test_does_not_take_expired_hours_for_a_new_meter_while_the_truth_is_away(self) -> None:
        use = electricity(NO_TRUTH, expired(METER.live(NOW - 2_000), START + 3 * DAY_MS))

        assert use.today.total.usage == METER.usage(MIDNIGHT, NOW - NOW % HOUR_MS)
        assert use.yesterday.total.usage is None
        assert use.yesterday.total.gap == "register as of 2026-06-03T00:00:00-04:00 is not known"

    def test_ends_with_t_without_live_state(self) -> None:
        use = electricity(METER.truth(START + DAY_MS, START + 2 * DAY_MS), None)

        until = START + 3 * DAY_MS  # 20:00 of yesterday in New York
        assert use.yesterday.total.usage == METER.usage(YESTERDAY, until)
        assert use.yesterday.total.counted_until == until
        assert not use.yesterday.total.complete
        assert use.today.total.usage is None
        assert use.live is None
        assert use.stale

    def test_knows_nothing_of_a_utility_never_heard_of(self) -> None:
        unheard = utility_view(NO_TRUTH, Utility.GAS, None, "UTC", NOW)

        assert unheard.today.total.usage is None
        assert set(usages(unheard.yesterday)) == {None}
        assert unheard.notes == ("no heartbeat of this meter is known",)

    def test_counts_from_the_first_heartbeat_of_a_meter_that_truth_calls_new(self) -> None:
        new = Meter(START + 4 * DAY_MS, [10] * 60)
        now = instant("2026-06-05T22:00:05-04:00")

        use = electricity(new.truth(new.start), new.live(now - 2_000), now)

        assert use.yesterday.total.usage == new.usage(new.start, new.start + 4 * HOUR_MS)
        assert use.yesterday.total.counted_from == new.start + 1_000
        assert not use.yesterday.total.complete
        assert "first heard at 2026-06-04T20:00:01-04:00" in use.notes[-1]

    def test_has_no_usage_before_a_meter_was_heard(self) -> None:
        heard_from = MIDNIGHT + 9 * HOUR_MS

        use = electricity(NO_TRUTH, METER.live(NOW - 2_000, since=heard_from))

        assert use.yesterday.total.usage is None
        assert usages(use.today)[:9] == [None] * 9
        assert use.today.total.usage == METER.usage(heard_from, NOW - NOW % HOUR_MS)
        assert use.today.total.counted_from == heard_from
        assert not use.today.total.complete
        assert any("first heard in the hour from 2026-06-04T09:00:00-04:00" in note for note in use.notes)

    def test_does_not_take_a_restarted_stream_for_a_new_meter(self) -> None:
        old_meter = METER.truth(START + DAY_MS)

        use = electricity(old_meter, METER.live(NOW - 2_000, since=MIDNIGHT + 9 * HOUR_MS))

        assert use.today.total.usage is None
        assert usages(use.today)[9] is None, "the first mark is not the register as of its hour's end"
        assert usages(use.today)[10] == METER.usage(MIDNIGHT + 10 * HOUR_MS, MIDNIGHT + 11 * HOUR_MS)
        assert "not known" in use.notes[0]

    def test_knows_every_hour_of_yesterday_from_a_full_set_of_marks(self) -> None:
        live = METER.live(NOW - 2_000)
        marks = live.meters[ELECTRICITY].marks
        assert len(marks) == MARKS_MAX

        use = electricity(NO_TRUTH, live)

        assert None not in usages(use.yesterday)

    def test_leaves_hours_after_the_last_heartbeat_unknown(self) -> None:
        silent_since = MIDNIGHT + 7 * HOUR_MS + 60_000

        use = electricity(METER.truth(START + DAY_MS, START + 2 * DAY_MS), METER.live(silent_since, extra=5))

        assert use.today.total.usage == METER.usage(MIDNIGHT, MIDNIGHT + 7 * HOUR_MS) + 5
        assert not use.today.total.complete
        assert usages(use.today)[7:10] == [5, None, None]
        assert use.stale
        assert any("nothing known after 2026-06-04T07:01:00-04:00" in note for note in use.notes)

    def test_carries_registers_over_a_published_night_without_heartbeats(self) -> None:
        quiet = Meter(START, [100] * 48 + [0] * 24 + [100] * 72)
        nights = [START + DAY_MS, START + 3 * DAY_MS]
        published = frozenset(START + night * DAY_MS for night in range(1, 4))
        truth = dataclasses.replace(quiet.truth(*nights), nights=published)

        use = electricity(truth, None, now=START + 4 * DAY_MS + 1)

        assert use.yesterday.total.usage == quiet.usage(
            START + 2 * DAY_MS + 4 * HOUR_MS, START + 3 * DAY_MS + 4 * HOUR_MS
        )

    def test_leaves_a_night_that_was_not_published_unknown(self) -> None:
        skipped = METER.truth(START + DAY_MS, START + 3 * DAY_MS)

        use = electricity(skipped, None, now=START + 4 * DAY_MS + 1)

        assert use.yesterday.total.usage is None
        assert "not known" in use.notes[-1]

    def test_makes_no_usage_of_a_register_that_went_down(self) -> None:
        live = METER.live(NOW - 2_000)
        exchanged = live.meters[ELECTRICITY]._replace(register=12, marks=())

        use = electricity(
            METER.truth(START + 3 * DAY_MS - DAY_MS), LiveState("US-NY", {ELECTRICITY: exchanged})
        )

        assert use.today.total.usage is None

    @pytest.mark.parametrize(
        ("now", "hours"),
        [
            pytest.param("2026-03-08T12:00-04:00", 23, id="spring"),
            pytest.param("2026-11-01T12:00-05:00", 25, id="autumn"),
        ],
    )
    def test_counts_the_hours_of_a_day_the_clock_changes(self, now: str, hours: int) -> None:
        now_ms = instant(now)
        start = now_ms - now_ms % DAY_MS - 2 * DAY_MS
        meter = Meter(start, list(range(24 * 4)))

        use = electricity(meter.truth(start, start + DAY_MS), meter.live(now_ms, extra=2), now_ms)

        assert len(use.today.hours) == hours
        assert use.today.day.end - use.today.day.start == hours * HOUR_MS
        assert use.today.total.usage == meter.usage(use.today.day.start, now_ms) + 2
        assert sum(filter(None, usages(use.today))) == use.today.total.usage

    def test_has_no_figure_where_days_do_not_begin_with_a_utc_hour(self) -> None:
        use = electricity(METER.truth(START + 2 * DAY_MS), METER.live(NOW), zone="Asia/Kolkata")

        assert use.today.total.usage is None
        assert "not known" in use.notes[0]


@st.composite
def _knowledge(draw: st.DrawFn) -> tuple[Meter, Truth, LiveState | None, int, str]:
    """Draw a meter and any part of what the layers may know of it, true to the contracts."""
    meter = Meter(START, draw(st.lists(st.integers(0, 5_000), min_size=HOURS, max_size=HOURS)))
    nights = draw(st.sets(st.integers(0, 4)))
    now = START + draw(st.integers(2 * 24, HOURS - 1)) * HOUR_MS + draw(st.integers(0, HOUR_MS - 1))
    published = sorted(START + night * DAY_MS for night in nights if START + (night + 1) * DAY_MS <= now)
    truth = meter.truth(*published) if published else NO_TRUTH
    live = None
    if draw(st.booleans()):
        sent_at = draw(st.integers(START + HOUR_MS, now))  # its register is that of its hour's start
        if (sent_at + 1) % HOUR_MS == 0:
            sent_at -= (
                1  # a heartbeat in an hour's last millisecond would have to show the register of its end
            )
        since = draw(st.integers(0, (sent_at - START) // HOUR_MS)) * HOUR_MS + START
        live = meter.live(sent_at, since=draw(st.sampled_from([START, since])))
    zone = draw(st.sampled_from(["UTC", "America/New_York", "America/Los_Angeles", "Pacific/Honolulu"]))
    return meter, truth, live, now, zone


class TestEveryFigure:
    @WITHOUT_DEADLINE
    @given(_knowledge())
    def test_is_the_exact_difference_of_registers_or_none(
        self, knowledge: tuple[Meter, Truth, LiveState | None, int, str]
    ) -> None:
        meter, truth, live, now, zone = knowledge

        use = electricity(truth, live, now, zone)

        for day in (use.today, use.yesterday):
            for figure in (day.total, *day.hours):
                if figure.usage is not None:
                    begin, end = (at - at % HOUR_MS for at in (figure.counted_from, figure.counted_until))
                    assert figure.usage == meter.usage(begin, end)
                if figure.complete:
                    assert figure.usage is not None
                    assert figure.counted_from % HOUR_MS == 0

    @WITHOUT_DEADLINE
    @given(_knowledge())
    def test_of_the_hours_sums_to_the_day_where_all_are_known(
        self, knowledge: tuple[Meter, Truth, LiveState | None, int, str]
    ) -> None:
        _, truth, live, now, zone = knowledge

        yesterday = electricity(truth, live, now, zone).yesterday

        if all(hour.complete for hour in yesterday.hours):
            assert yesterday.total.complete
            assert yesterday.total.usage == sum(hour.usage or 0 for hour in yesterday.hours)

    @WITHOUT_DEADLINE
    @given(_knowledge(), st.data())
    def test_is_not_changed_by_knowing_less(
        self, knowledge: tuple[Meter, Truth, LiveState | None, int, str], data: st.DataObject
    ) -> None:
        _, truth, live, now, zone = knowledge
        fewer = data.draw(st.sampled_from([NO_TRUTH, truth]))

        more, less = electricity(truth, live, now, zone), electricity(fewer, live, now, zone)

        if more.yesterday.total.complete and less.yesterday.total.complete:
            assert more.yesterday.total.usage == less.yesterday.total.usage
