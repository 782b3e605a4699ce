"""Usage of any range: hours sum to days, days to months, a split range to the whole; cost likewise."""

import dataclasses
import datetime
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_builders import ELECTRICITY, Meter, instant, without_marks_before

from infra.contracts import price_steps
from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import LiveMeter
from serving.figures.local_days import local_day
from serving.figures.registers import MeterRegisters
from serving.figures.truth import Truth
from serving.figures.usage_range import (
    By,
    DateRange,
    RangeRefused,
    Span,
    SpanUsage,
    asked_range,
    notes,
    spans,
    usages,
)

START = instant("2026-02-20T00:00")
DAYS = 50
NOW = START + DAYS * DAY_MS - HOUR_MS + 5_000
ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Pacific/Honolulu", "Pacific/Auckland"]
WITHOUT_DEADLINE = settings(deadline=None)
STEPS = "0:12000;1500:31000;4000:45000"


def date(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def priced(truth: Truth, steps: str = STEPS) -> Truth:
    rows = tuple(row._replace(price_steps=steps) for row in truth.rows)
    return dataclasses.replace(truth, rows=rows)


def a_meter(usages_wh: Sequence[int], nights: int) -> tuple[Meter, Truth, LiveMeter]:
    """Return a meter of DAYS days, the truth of its first nights, and its live state of now."""
    whole = (list(usages_wh) * (DAYS * 24 // len(usages_wh) + 1))[: DAYS * 24]
    meter = Meter(START, whole)
    truth = priced(meter.truth(*range(START, START + nights * DAY_MS, DAY_MS)))
    return meter, truth, meter.live(NOW - 2_000).meters[ELECTRICITY]


def found(
    truth: Truth, live: LiveMeter | None, by: By, start: str, end: str, zone: str, now: int = NOW
) -> list[SpanUsage]:
    registers = MeterRegisters(truth, ELECTRICITY, live)
    return list(usages(registers, list(spans(by, DateRange(date(start), date(end)), zone)), zone, now))


def total(items: Sequence[SpanUsage]) -> int:
    return sum(item.figure.usage or 0 for item in items)


def cost(items: Sequence[SpanUsage]) -> int:
    return sum(item.cost_micro or 0 for item in items)


USAGES = st.lists(st.integers(0, 5_000), min_size=5, max_size=60)
LOCAL_DATES = st.dates(date("2026-02-22"), date("2026-04-05"))


class TestSums:
    @WITHOUT_DEADLINE
    @given(USAGES, st.sampled_from(ZONES), LOCAL_DATES, LOCAL_DATES)
    def test_of_hours_are_those_of_days_and_of_months_and_of_the_registers(
        self, drawn: list[int], zone: str, one: datetime.date, other: datetime.date
    ) -> None:
        start, end = min(one, other), max(one, other) + datetime.timedelta(days=1)
        meter, truth, live = a_meter(drawn, nights=DAYS - 1)
        asked = [found(truth, live, by, str(start), str(end), zone) for by in By]

        first, last = asked[0][0].span.start, asked[0][-1].span.end
        assert {total(items) for items in asked} == {meter.usage(first, last)}
        assert len({cost(items) for items in asked}) == 1
        assert all(item.figure.complete and item.cost_complete for items in asked for item in items)

    @WITHOUT_DEADLINE
    @given(USAGES, st.sampled_from(ZONES), st.sampled_from(list(By)), st.data())
    def test_of_a_split_range_are_the_whole(
        self, drawn: list[int], zone: str, by: By, data: st.DataObject
    ) -> None:
        _, truth, live = a_meter(drawn, nights=data.draw(st.integers(30, DAYS - 1)))
        cuts = sorted(data.draw(st.sets(LOCAL_DATES, min_size=2, max_size=5)))

        whole = found(truth, live, by, str(cuts[0]), str(cuts[-1]), zone)
        parts = [
            item
            for start, end in itertools.pairwise(cuts)
            for item in found(truth, live, by, str(start), str(end), zone)
        ]

        assert (whole[0].span.start, whole[-1].span.end) == (parts[0].span.start, parts[-1].span.end)
        if all(item.figure.complete for item in (*whole, *parts)):
            assert total(whole) == total(parts)
        if all(item.cost_complete for item in (*whole, *parts)):
            assert cost(whole) == cost(parts)

    def test_of_a_nights_hours_cost_what_the_night_does(self) -> None:
        meter, truth, live = a_meter([100, 700, 0, 333], nights=DAYS - 1)
        row = truth.rows[10]

        items = found(truth, live, By.HOUR, "2026-03-02", "2026-03-03", "UTC")

        assert [item.cost_micro for item in items] == price_steps.hour_costs(
            price_steps.decode(STEPS), row.hours
        )
        assert total(items) == meter.usage(row.night_ms, row.night_ms + DAY_MS)


class TestOneTruth:
    @WITHOUT_DEADLINE
    @given(USAGES, st.sampled_from(ZONES), st.sampled_from(list(By)), st.data())
    def test_is_told_whatever_the_order_doubling_or_loss_of_what_is_known(
        self, drawn: list[int], zone: str, by: By, data: st.DataObject
    ) -> None:
        """Rows in any order and twice, live marks of published hours lost, other nights not asked for."""
        _, truth, live = a_meter(drawn, nights=DAYS - 1)
        whole = found(truth, live, by, "2026-03-01", "2026-04-01", zone)
        needed = range(instant("2026-02-26"), instant("2026-04-02") + DAY_MS, DAY_MS)
        newest = truth.rows[-1].night_ms
        kept = [row for row in truth.rows if row.night_ms in needed or row.night_ms == newest]
        rows = data.draw(st.permutations([*kept, *data.draw(st.lists(st.sampled_from(kept), max_size=5))]))
        fewer = Truth(truth.truth_until, frozenset(row.night_ms for row in rows), tuple(rows))
        fewer_marks = without_marks_before(live, live.first_hour + data.draw(st.integers(0, 30)))

        again = found(fewer, fewer_marks, by, "2026-03-01", "2026-04-01", zone)

        assert [without_layers(item) for item in again] == [without_layers(item) for item in whole]

    @WITHOUT_DEADLINE
    @given(st.integers(DAYS - 2, DAYS - 1), st.sampled_from(ZONES))
    def test_is_the_same_wherever_t_lies(self, nights: int, zone: str) -> None:
        meter, truth, live = a_meter([3, 50, 700], nights=nights)

        items = found(truth, live, By.DAY, "2026-04-05", "2026-04-10", zone)
        until = min(NOW - NOW % HOUR_MS, items[-1].span.end)

        assert total(items) == meter.usage(items[0].span.start, until)


def without_layers(item: SpanUsage) -> SpanUsage:
    return item._replace(figure=item.figure._replace(layers=()))


class TestCalendar:
    @pytest.mark.parametrize(
        ("zone", "day", "hours"),
        [
            pytest.param("America/New_York", "2026-03-08", 23, id="spring"),
            pytest.param("America/New_York", "2026-11-01", 25, id="autumn"),
            pytest.param("America/New_York", "2026-06-01", 24, id="summer"),
        ],
    )
    def test_has_as_many_hours_as_the_clock(self, zone: str, day: str, hours: int) -> None:
        first = date(day)

        items = list(spans(By.HOUR, DateRange(first, first + datetime.timedelta(days=1)), zone))

        assert len(items) == hours
        assert {item.end - item.start for item in items} == {HOUR_MS}

    def test_cuts_the_first_and_last_month_to_the_range(self) -> None:
        items = list(spans(By.MONTH, DateRange(date("2026-01-15"), date("2026-03-02")), "UTC"))

        starts = ["2026-01-15", "2026-02-01", "2026-03-01", "2026-03-02"]
        assert items == [Span(instant(a), instant(b)) for a, b in itertools.pairwise(starts)]

    def test_by_day_leaves_the_days_of_households_where_they_are_kept(self) -> None:
        kept = local_day.cache_info()

        list(spans(By.DAY, DateRange(date("2020-01-01"), date("2023-01-01")), "America/New_York"))

        assert local_day.cache_info() == kept

    def test_leaves_out_a_date_that_a_zone_skipped(self) -> None:
        items = list(spans(By.DAY, DateRange(date("2011-12-29"), date("2012-01-01")), "Pacific/Apia"))

        assert len(items) == 2
        assert items[0].end == items[1].start

    @pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu"])
    def test_off_the_hour_of_utc_has_no_figures_and_says_so(self, zone: str) -> None:
        _, truth, live = a_meter([100], nights=DAYS - 1)

        items = found(truth, live, By.DAY, "2026-03-01", "2026-03-05", zone)

        assert [(item.figure.usage, item.cost_micro) for item in items] == [(None, None)] * 4
        assert notes(items, zone)[0].startswith(f"hours or days of {zone} begin off the hour of UTC")


class TestCost:
    def test_of_a_span_that_is_not_published_whole_is_that_of_what_is(self) -> None:
        _, truth, live = a_meter([100], nights=DAYS - 1)

        [month] = found(truth, live, By.MONTH, "2026-04-01", "2026-04-30", "UTC")

        assert month.figure.complete, "it was heard of just now"
        assert month.cost_micro == 9 * sum(price_steps.hour_costs(price_steps.decode(STEPS), [100] * 24))
        assert not month.cost_complete

    def test_is_null_where_no_price_is_known(self) -> None:
        _, truth, live = a_meter([100], nights=DAYS - 1)

        [day] = found(priced(truth, ""), live, By.DAY, "2026-03-01", "2026-03-02", "UTC")

        assert (day.figure.usage, day.cost_micro, day.cost_complete) == (2_400, None, False)

    def test_is_nothing_where_nothing_was_used_whatever_the_price(self) -> None:
        _, truth, live = a_meter([0], nights=DAYS - 1)

        [day] = found(priced(truth, ""), live, By.DAY, "2026-03-01", "2026-03-02", "UTC")

        assert (day.figure.usage, day.cost_micro, day.cost_complete) == (0, 0, True)

    def test_does_not_count_hours_without_a_price_as_free(self) -> None:
        _, truth, live = a_meter([100], nights=DAYS - 1)
        unpriced = truth.rows[10]._replace(price_steps="")
        rows = (*truth.rows[:10], unpriced, *truth.rows[11:])

        [month] = found(
            dataclasses.replace(truth, rows=rows), live, By.MONTH, "2026-03-01", "2026-04-01", "UTC"
        )

        assert month.cost_micro == 30 * sum(price_steps.hour_costs(price_steps.decode(STEPS), [100] * 24))
        assert not month.cost_complete


class TestAskedRange:
    TODAY = date("2026-11-23")

    @pytest.mark.parametrize(
        ("by", "start"), [(By.HOUR, "2026-11-17"), (By.DAY, "2026-10-24"), (By.MONTH, "2025-11-01")]
    )
    def test_ends_with_today_by_default(self, by: By, start: str) -> None:
        assert asked_range(by, None, None, self.TODAY) == DateRange(date(start), date("2026-11-24"))

    @pytest.mark.parametrize(
        ("by", "start", "end", "says"),
        [
            (By.DAY, "2026-03-02", "2026-03-02", "empty"),
            (By.DAY, "2026-03-02", "2026-03-01", "empty"),
            (By.HOUR, "2025-01-01", "2026-01-03", "at most 366"),
            (By.MONTH, "2006-01-01", "2026-01-03", "at most 3660"),
            (By.DAY, "0001-01-01", "0001-01-02", "not in 1970"),
            (By.DAY, "9999-12-30", "9999-12-31", "not in 1970"),
        ],
    )
    def test_refuses_what_it_cannot_answer(self, by: By, start: str, end: str, says: str) -> None:
        with pytest.raises(RangeRefused, match=says):
            asked_range(by, date(start), date(end), self.TODAY)


class TestNotes:
    def test_tell_each_reason_once(self) -> None:
        _, truth, _ = a_meter([100], nights=20)

        told = notes(found(truth, None, By.DAY, "2026-03-01", "2026-03-31", "UTC"), "UTC")

        assert told == ["from 2026-03-12T00:00:00+00:00: not published yet, and no live state"]


def test_nights_are_told_of_a_meter_that_the_newest_night_has_no_row_of() -> None:
    meter, truth, _ = a_meter([3, 5, 7], DAYS)
    asked = [row for row in truth.rows if row.night_ms < START + 10 * DAY_MS]
    newest = START + (DAYS - 1) * DAY_MS
    # As MySQL tells a range: the nights of it and the newest one.
    nights = frozenset({row.night_ms for row in asked} | {newest})
    gone = Truth(newest + DAY_MS, nights, tuple(asked))

    [day] = found(gone, None, By.DAY, "2026-02-24", "2026-02-25", "America/New_York")

    start = instant("2026-02-24T05:00")
    assert (day.figure.usage, day.figure.complete) == (meter.usage(start, start + DAY_MS), True)
    assert day.cost_complete
