"""The short way to an hour's figure comes to what the long way does, whatever the layers hold."""

import dataclasses

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_builders import ELECTRICITY, USER_ID, Meter, a_household, instant

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import LiveMeter, LiveState
from infra.contracts.quality import Quality
from serving.figures import household
from serving.figures.registers import MeterRegisters
from serving.figures.truth import Revision, Truth, UsageDay
from serving.lookups.lookup import HouseholdAnswer
from serving.render import household as render
from serving.stores.sources import StoreState

FIRST = instant("2026-10-30T00:00")
DAYS = 4
LETTERS = "".join(Quality)
ZONES = ["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]


@st.composite
def truths(draw) -> Truth:
    published = draw(st.integers(0, DAYS))
    # Most meters have nothing to be said of them, and each of their days is told in the shortest way.
    odd = draw(st.booleans())
    nights = [FIRST + day * DAY_MS for day in range(published) if not odd or draw(st.integers(0, 9))]
    register, rows = 5_000, []
    for night in nights:
        if not odd:
            hours = tuple(draw(st.lists(st.integers(0, 30), min_size=24, max_size=24)))
            first = draw(st.sampled_from([None, 0, HOUR_MS + 5])) if not rows else None
            offset = draw(st.sampled_from([0, 0, 700])) if night == nights[-1] else 0
            end = register + sum(hours)
            first = None if first is None else night + first
            cost = draw(st.none() | st.integers(-(10**9), 10**12))
            rows.append(
                UsageDay(
                    night, ELECTRICITY, register, end, first, hours, register_offset=offset, month_cost=cost
                )
            )
            register = end
            continue
        if not draw(st.integers(0, 4)):
            register += draw(st.sampled_from([0, 0, 50]))
            continue
        hours = tuple(draw(st.lists(st.integers(-1, 30), min_size=24, max_size=24)))
        first = draw(st.none() | st.integers(0, 3 * HOUR_MS)) if not rows else None
        rows.append(
            UsageDay(
                night,
                ELECTRICITY,
                register,
                register + sum(hours),
                None if first is None else night + first,
                hours,
                draw(st.text(LETTERS, min_size=24, max_size=24)),
                draw(st.sampled_from([0, 0, 0, 700])),
                revision=draw(st.none() | st.just(Revision(night, "late data"))),
            )
        )
        register += sum(hours)
    until = max(nights) + DAY_MS if nights else None
    return Truth(until, frozenset(nights), tuple(rows))


@st.composite
def beating(draw, truth: Truth) -> LiveState:
    """Live state that goes on from a truth: its marks are the registers of the hours' ends."""
    until = truth.truth_until or FIRST
    first = until - draw(st.integers(-2, 30)) * HOUR_MS
    bounds = {}
    register = 5_000 - 40 * 24
    for row in truth.rows:
        for hour in range(len(row.hours) + 1):
            bounds[row.night_ms + hour * HOUR_MS] = register = row.register_start + sum(row.hours[:hour])
    offset = truth.rows[-1].register_offset if truth.rows else 0
    sent_at = until + draw(st.integers(0, 40)) * HOUR_MS + draw(st.sampled_from([0, 5_000, HOUR_MS - 1]))
    marks, newest = [], register
    for bound in range(first, sent_at + 1, HOUR_MS):
        newest = bounds.get(bound, newest + draw(st.integers(0, 30)) if bound > until else newest)
        marks.append(newest - offset)
    now = newest - offset + draw(st.integers(0, 20))
    meter = LiveMeter(sent_at, now, 700, 1, first // HOUR_MS - 1, marks, draw(st.booleans()))
    return LiveState("US-NY", {ELECTRICITY: meter})


def written(view: household.HouseholdView) -> str:
    answer = HouseholdAnswer(view, StoreState.OK, StoreState.OK, ())
    return orjson.dumps(render.household(answer)).decode()


@st.composite
def lives(draw) -> LiveState | None:
    if not draw(st.integers(0, 5)):
        return None
    last = FIRST // HOUR_MS + draw(st.integers(0, DAYS * 24))
    first = last - draw(st.integers(0, 50))
    register, marks = 5_000, []
    for _ in range(first, last):
        register += draw(st.integers(0, 30))
        if not draw(st.integers(0, 30)):
            register = draw(st.integers(0, 100))
        marks.append(register)
    sent_at = last * HOUR_MS + draw(st.sampled_from([-1, 0, 5_000, HOUR_MS - 1]))
    now = register + draw(st.integers(-3, 20))
    meter = LiveMeter(sent_at, now, 700, 1, first, marks, draw(st.booleans()))
    return LiveState("US-NY", {ELECTRICITY: meter})


class TestPlainHours:
    @settings(max_examples=400, deadline=None)
    @given(st.data(), truths(), st.sampled_from(ZONES))
    def test_are_what_two_registers_tell(self, data, truth, zone):
        live = data.draw(lives() | beating(truth))
        now = data.draw(st.integers(0, DAYS * DAY_MS))
        if live is not None and data.draw(st.booleans()):
            sent_at = live.meters[ELECTRICITY].sent_at
            now = sent_at - FIRST + data.draw(st.sampled_from([0, 30_000, 90_000, DAY_MS // 2]))

        def viewed():
            return household.view(
                USER_ID, dataclasses.replace(a_household(), zone=zone), truth, live, FIRST + now
            )

        short = viewed()
        short_ways = MeterRegisters.plain_hours, MeterRegisters.first_heard, household.plain_meter
        shorter = written(short)
        MeterRegisters.plain_hours = lambda self, starts: {}  # type: ignore[method-assign]
        MeterRegisters.first_heard = lambda self: None  # type: ignore[method-assign]
        household.plain_meter = lambda truth, utility, live: None
        try:
            long = viewed()
        finally:
            MeterRegisters.plain_hours, MeterRegisters.first_heard, household.plain_meter = short_ways  # type: ignore[method-assign]

        assert short == long
        assert shorter == written(long)

    def test_have_one_pattern_for_all_meters_of_an_hour(self):
        def told(usage: int, extra: int) -> tuple[bytes | None, bytes]:
            meter = Meter(FIRST, [usage] * (DAYS * 24))
            published = meter.truth(FIRST + DAY_MS, FIRST + 2 * DAY_MS)
            rows = tuple(row._replace(month_cost=usage * 10**6) for row in published.rows)
            now = FIRST + 3 * DAY_MS + 5 * HOUR_MS + 1_000 + extra
            live = meter.live(now - extra, extra)
            truth = dataclasses.replace(published, rows=rows)
            use = household.view(USER_ID, a_household(), truth, live, now).utilities[ELECTRICITY]
            plain = render.plain_utility(ELECTRICITY, use, a_household().zone)
            return plain and orjson.dumps(plain), orjson.dumps(
                render.utility_json(ELECTRICITY, use, a_household().zone)
            )

        before = len(render._PATTERNS)
        for usage, extra in ((7, 3), (0, 0), (123_456, 59_000)):
            plain, long = told(usage, extra)
            assert plain == long
        assert len(render._PATTERNS) == before + 1

    def test_are_nearly_all_of_an_ordinary_day(self):
        hours = tuple(range(24))
        rows, register = [], 5_000
        for day in range(2):
            rows.append(
                UsageDay(FIRST + day * DAY_MS, ELECTRICITY, register, register + sum(hours), None, hours)
            )
            register += sum(hours)
        truth = Truth(FIRST + 2 * DAY_MS, frozenset(row.night_ms for row in rows), tuple(rows))

        found = MeterRegisters(truth, ELECTRICITY, None).plain_hours(
            range(FIRST + DAY_MS, FIRST + 2 * DAY_MS, HOUR_MS)
        )

        assert [usage for usage, _, _ in found.values()] == list(hours)
