"""Truth's continued registers and a dial that begins again: a figure is exact, or there is none."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from serving_builders import ELECTRICITY, Meter, a_household, instant, without_marks_before

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import (
    MARKS_DROPPED,
    MARKS_FIELD,
    MARKS_HEAD_DTYPE,
    MARKS_MAX,
    NOW_DTYPE,
    NOW_FIELD,
    REGION_FIELD,
    LiveState,
    decode_live_state,
)
from infra.contracts.quality import Quality
from serving.figures.figure import Figure
from serving.figures.household import MIXED, UtilityView, utility_view
from serving.figures.truth import Layer, Revision, Truth

START = instant("2026-06-01T00:00")
HOURS = 24 * 5
TRUTH_UNTIL = START + 3 * DAY_MS  # 20:00 of the evening before in New York
WITHOUT_DEADLINE = settings(deadline=None)


class Dial:
    """A meter whose dial began again at 0 in some hours; it counts `usages[i]` in hour i."""

    def __init__(self, usages: Sequence[int], resets: Sequence[int], first_register: int) -> None:
        self.meter, self.resets = Meter(START, usages, first_register), sorted(resets)
        self.offsets = [0]  # by hour bound: what to add to the dial
        for hour in range(len(usages)):
            # The fall is in the middle of the hour: half of its usage was counted before.
            before = self.meter.registers[hour] + usages[hour] // 2
            self.offsets.append(before if hour in self.resets else self.offsets[-1])

    def shown(self, bound: int) -> int:
        return self.meter.registers[bound] - self.offsets[bound]

    @property
    def falls(self) -> bool:
        """Whether every reset shows in what is known each hour."""
        return all(self.shown(hour + 1) < self.shown(hour) for hour in self.resets)

    def truth(self, nights: int = 3) -> Truth:
        """Return the truth up to TRUTH_UNTIL of so many nights."""
        truth = self.meter.truth(*range(TRUTH_UNTIL - nights * DAY_MS, TRUTH_UNTIL, DAY_MS))
        offset = self.offsets[(TRUTH_UNTIL - START) // HOUR_MS]
        newest = truth.rows[-1]._replace(register_offset=offset)
        return dataclasses.replace(truth, rows=(*truth.rows[:-1], newest))

    def live(self, sent_at: int, restarted: int | None = None) -> LiveState:
        """What Redis holds once a heartbeat came at the start of an hour, through its own encoding.

        A stream that `restarted` in the middle of an hour takes what it saw first for the meter's beginning.
        """
        newest = (sent_at - START) // HOUR_MS
        first = max(0, newest + 1 - MARKS_MAX) if restarted is None else restarted
        marks = [self.shown(bound) for bound in range(first, newest + 1)]
        if restarted is not None:
            marks[0] += (self.meter.registers[first + 1] - self.meter.registers[first]) // 2
        now, heads = np.zeros(3, NOW_DTYPE), np.zeros(3, MARKS_HEAD_DTYPE)
        now[0] = (sent_at, self.shown(newest), 700, 1)
        older = MARKS_DROPPED if first and restarted is None else 0
        heads[0] = (START // HOUR_MS + first - 1 + older, len(marks))
        packed = heads.tobytes() + np.array([mark % 2**32 for mark in marks], "<u4").tobytes()
        return decode_live_state({NOW_FIELD: now.tobytes(), MARKS_FIELD: packed, REGION_FIELD: b"US-NY"})


def electricity(truth: Truth, live: LiveState | None, now: int) -> UtilityView:
    meter = live.meters[ELECTRICITY] if live else None
    return utility_view(truth, ELECTRICITY, meter, a_household().zone, now)


def figures(use: UtilityView) -> list[Figure]:
    return [figure for day in (use.yesterday, use.today) for figure in (*day.hours, day.total)]


@st.composite
def _dials(draw: st.DrawFn) -> tuple[Dial, int]:
    usages = draw(st.lists(st.integers(0, 5_000), min_size=HOURS, max_size=HOURS))
    resets = draw(st.sets(st.integers(1, HOURS - 2), max_size=3))
    first_register = draw(st.sampled_from([0, 999_999_000, 2**32 - 5_000, 7 * 10**9]))
    dial = Dial(usages, list(resets), first_register)
    assume(dial.falls)
    return dial, START + draw(st.integers(73, HOURS - 1)) * HOUR_MS


class TestDialThatBeganAgain:
    @WITHOUT_DEADLINE
    @given(_dials(), st.integers(0, 3), st.data())
    def test_gives_exact_figures_or_none(
        self, drawn: tuple[Dial, int], nights: int, data: st.DataObject
    ) -> None:
        dial, now = drawn
        truth, newest = dial.truth(nights) if nights else Truth(), (now - START) // HOUR_MS
        restarts = [hour for hour in range(newest - 40, newest) if nights and hour not in dial.resets]
        restarted = data.draw(st.none() | st.sampled_from(restarts)) if restarts else None

        for figure in figures(electricity(truth, dial.live(now, restarted), now)):
            if figure.usage is not None:
                until = figure.counted_until - figure.counted_until % HOUR_MS
                assert figure.usage == dial.meter.usage(figure.counted_from // HOUR_MS * HOUR_MS, until)
            if figure.complete:
                assert figure.usage is not None

    def test_tells_nothing_by_the_low_bits_of_what_it_showed_before(self) -> None:
        dial, now = Dial([100] * HOURS, [72], 7 * 10**9), START + 74 * HOUR_MS

        found = figures(electricity(dial.truth(1), dial.live(now), now))

        assert {figure.usage for figure in found if figure.counted_from == TRUTH_UNTIL - 25 * HOUR_MS} == {
            None
        }

    @WITHOUT_DEADLINE
    @given(_dials())
    def test_hides_only_the_hours_in_which_it_did(self, drawn: tuple[Dial, int]) -> None:
        dial, now = drawn
        plain = Dial(np.diff(dial.meter.registers).tolist(), [], dial.meter.registers[0])

        fallen = electricity(dial.truth(), dial.live(now), now)
        known = electricity(plain.truth(), plain.live(now), now)

        since_t = [START + hour * HOUR_MS for hour in dial.resets if START + hour * HOUR_MS >= TRUTH_UNTIL]
        for day, as_known in ((fallen.yesterday, known.yesterday), (fallen.today, known.today)):
            for begins, hour, same in zip(day.day.hours, day.hours, as_known.hours, strict=True):
                # A dial too large for 32 bits shows its fall right after T, wherever it was.
                early = dial.meter.registers[0] >= 2**32 - 5_000 and begins == TRUTH_UNTIL
                if begins not in since_t and not (early and since_t):
                    assert hour == same

    def test_counts_up_to_the_last_register_before_it(self) -> None:
        dial = Dial([100] * HOURS, [80], 999_999_000)  # at 04:00 in New York
        now = START + 84 * HOUR_MS

        use = electricity(dial.truth(), dial.live(now), now)

        assert use.today.total.usage == dial.meter.usage(START + 76 * HOUR_MS, START + 80 * HOUR_MS)
        assert use.today.total.counted_until == START + 80 * HOUR_MS
        assert not use.today.total.complete
        assert [hour.usage for hour in use.today.hours[:8]] == [100, 100, 100, 100, None, 100, 100, 100]
        assert use.notes == (
            "today: register fell after 2026-06-04T04:00:00-04:00, known again after the next night",
        )

    def test_is_compared_by_the_offset_of_the_newest_row(self) -> None:
        dial = Dial([100] * HOURS, [30, 60], 999_999_000)
        now = START + 80 * HOUR_MS

        use = electricity(dial.truth(), dial.live(now), now)

        assert use.today.total.usage == dial.meter.usage(START + 76 * HOUR_MS, now)
        assert use.today.total.complete
        assert use.live is not None
        assert use.live.register == dial.shown(80)

    def test_before_t_is_not_compared_by_an_offset_that_came_later(self) -> None:
        dial = Dial([10] * 30 + [1_000] * (HOURS - 30), [29], 0)
        now = START + 74 * HOUR_MS  # yesterday began at hour 28, which no night tells of

        use = electricity(dial.truth(nights=1), dial.live(now), now)

        assert use.yesterday.total.usage is None
        assert [hour.usage for hour in use.yesterday.hours[-2:]] == [1_000, 1_000]

    def test_of_a_projected_register_that_was_too_high_says_so(self) -> None:
        meter = Meter(START, [100] * HOURS)
        live = meter.live(START + 74 * HOUR_MS)
        behind = live.meters[ELECTRICITY]._replace(
            register=meter.register(TRUTH_UNTIL) - 5,
            marks=tuple(mark - 300 for mark in live.meters[ELECTRICITY].marks),
        )
        truth = meter.truth(START + DAY_MS, START + 2 * DAY_MS)
        newest = truth.rows[-1]._replace(quality="M" * 20 + "P" * 4)
        truth = dataclasses.replace(truth, rows=(truth.rows[0], newest))

        use = electricity(truth, LiveState("US-NY", {ELECTRICITY: behind}), START + 75 * HOUR_MS)

        assert use.today.total.usage == meter.usage(START + 52 * HOUR_MS, TRUTH_UNTIL)
        assert "was projected too high, known again after the next night" in use.notes[0]


class TestQuality:
    QUALITY = "MMMMEEEEIMMMMMMMMMMMMMCP"

    def day(self) -> UtilityView:
        meter = Meter(START, list(range(HOURS)))
        truth = meter.truth(START + DAY_MS, START + 2 * DAY_MS)
        rows = [row._replace(quality=self.QUALITY) for row in truth.rows]
        now = START + 80 * HOUR_MS
        return electricity(dataclasses.replace(truth, rows=tuple(rows)), meter.live(now), now)

    def test_of_an_hour_is_what_the_night_says_and_measured_after_it(self) -> None:
        yesterday = self.day().yesterday  # from 04:00 UTC

        words = [Quality(letter).word for letter in self.QUALITY[4:] + "MMMM"]
        assert [hour.quality for hour in yesterday.hours] == words

    def test_of_a_day_is_mixed_and_says_how_much_is_not_measured(self) -> None:
        use = self.day()

        hours = [48 + hour for hour, letter in enumerate(self.QUALITY) if hour >= 4 and letter != "M"]
        assert use.yesterday.total.quality == MIXED
        assert use.yesterday.total.estimated == sum(hours)
        assert (use.today.total.quality, use.today.total.estimated) == ("measured", 0)

    def test_of_a_day_that_is_all_estimated_is_that_word(self) -> None:
        meter = Meter(START, [100] * HOURS)
        truth = meter.truth(START + DAY_MS, START + 2 * DAY_MS)
        rows = [row._replace(quality="E" * 24) for row in truth.rows]

        use = electricity(
            dataclasses.replace(truth, rows=tuple(rows)), None, TRUTH_UNTIL + 3 * HOUR_MS
        )  # 23:00 of the day before in New York

        assert use.today.total.quality == "estimated"
        assert use.today.total.estimated == use.today.total.usage


class TestRevisions:
    def test_of_a_day_are_those_of_the_nights_that_it_touches(self) -> None:
        meter = Meter(START, [100] * HOURS)
        truth = meter.truth(*range(START, TRUTH_UNTIL, DAY_MS))
        revisions = [Revision(1, "tariff"), Revision(3, "late data"), Revision(2, "utility read")]
        rows = [row._replace(revision=revision) for row, revision in zip(truth.rows, revisions, strict=True)]
        use = electricity(dataclasses.replace(truth, rows=tuple(rows)), None, TRUTH_UNTIL + 5 * HOUR_MS)

        assert use.today.day.start == TRUTH_UNTIL + 4 * HOUR_MS
        assert use.today.revision is None
        assert use.yesterday.revision == Revision(2, "utility read")


class TestMonthCost:
    @pytest.mark.parametrize(("nights", "cost"), [(3, 7_500_000), (2, None)])
    def test_is_that_of_the_newest_night_or_none(self, nights: int, cost: int | None) -> None:
        meter = Meter(START, [100] * HOURS)
        truth = meter.truth(*range(START, START + nights * DAY_MS, DAY_MS), until=TRUTH_UNTIL)
        rows = tuple(row._replace(month_cost=7_500_000) for row in truth.rows)

        use = electricity(dataclasses.replace(truth, rows=rows), None, TRUTH_UNTIL + HOUR_MS)

        assert use.month_cost == cost

    @pytest.mark.parametrize(
        ("now", "cost"),
        [("2026-10-31T22:00-04:00", 7_500_000), ("2026-11-01T00:00-04:00", 0), ("2026-11-01T18:00-05:00", 0)],
    )
    def test_of_a_month_that_began_after_the_truth_is_nothing_yet(self, now: str, cost: int) -> None:
        start, until = instant("2026-10-29T00:00"), instant("2026-11-01T00:00")
        truth = Meter(start, [100] * 24 * 3).truth(*range(start, until, DAY_MS))
        rows = tuple(row._replace(month_cost=7_500_000) for row in truth.rows)

        use = electricity(dataclasses.replace(truth, rows=rows), None, instant(now))

        assert use.month_cost == cost


class TestFirstMark:
    def test_is_a_register_like_others_once_older_ones_were_dropped(self) -> None:
        meter = Meter(START, [100] * HOURS)
        live = meter.live(START + 80 * HOUR_MS)
        state = live.meters[ELECTRICITY]
        dropped = without_marks_before(state, state.first_hour + len(state.marks) - 5)

        use = electricity(Truth(), LiveState("US-NY", {ELECTRICITY: dropped}), START + 80 * HOUR_MS)

        assert use.today.total.usage == meter.usage(START + 76 * HOUR_MS, START + 80 * HOUR_MS)
        assert use.today.total.layers == (Layer.LIVE,)
