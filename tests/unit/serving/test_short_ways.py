"""The short ways to a household's answer come to what the long way does, whatever the layers hold."""

import dataclasses
import itertools

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_builders import ELECTRICITY, USER_ID, Meter, a_household, instant

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import LiveMeter, LiveState
from infra.contracts.quality import Quality
from serving.figures import household
from serving.figures.local_days import days_at
from serving.figures.plain_use import PlainUse
from serving.figures.registers import MeterRegisters
from serving.figures.truth import Revision, Truth, UsageDay
from serving.lookups.lookup import HouseholdAnswer
from serving.render import household as render
from serving.stores.sources import StoreState

FIRST = instant("2026-10-30T00:00")
DAYS = 4
LETTERS = "".join(Quality)
AGES_MS = [-5, 0, 30_000, 60_000, 60_001, 60_002, 90_000, 2 * HOUR_MS]
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


DEFECTS = {
    "estimated": {"quality": "M" * 23 + "E"},
    "offset": {"register_offset": 700},
    "revised": {"revision": Revision(FIRST, "late data")},
    "born": {"first_sent_at": FIRST + 5},
    "fell": {"hours": (-1, *[1] * 23)},
}


@st.composite
def plain(draw) -> tuple[Truth, LiveState, str | None]:
    """A meter of which whole measured hours tell all, but for a defect that is named."""
    nights = draw(st.integers(2, DAYS))
    until = FIRST + nights * DAY_MS
    usages = draw(st.lists(st.integers(0, 3_000), min_size=24 * (nights + 2), max_size=24 * (nights + 2)))
    bounds = list(itertools.accumulate(usages, initial=draw(st.sampled_from([0, 5_000, 2**32 - 9_000]))))
    defect = draw(st.sampled_from([None, None, None, *DEFECTS, "unpriced", "no mark"]))
    cost = None if defect == "unpriced" else draw(st.integers(-(10**9), 10**12))
    rows = [
        UsageDay(
            FIRST + night * DAY_MS,
            ELECTRICITY,
            bounds[24 * night],
            bounds[24 * night + 24],
            None,
            tuple(usages[24 * night : 24 * night + 24]),
            month_cost=cost,
        )
        for night in range(nights)
    ]
    if defect in DEFECTS:
        rows[-1] = rows[-1]._replace(**DEFECTS[defect])
    newest = 24 * nights + draw(st.integers(0, 47))
    first = 24 * nights - draw(st.integers(1, 30))
    marks = bounds[first + 1 : newest + 1]
    if defect == "no mark":
        marks = marks[:-1]
    sent_at = FIRST + newest * HOUR_MS + draw(st.integers(0, HOUR_MS - 2))
    register = bounds[newest] + draw(st.integers(0, 100))
    meter = LiveMeter(sent_at, register, 700, 1, FIRST // HOUR_MS + first, marks, draw(st.booleans()))
    published = frozenset(row.night_ms for row in rows)
    return Truth(until, published, tuple(rows)), LiveState("US-NY", {ELECTRICITY: meter}), defect


@st.composite
def born(draw, zone: str, now: int) -> tuple[Truth, LiveState]:
    """A meter that only live state knows, first heard today or a few hours before; T lies before or after."""
    midnight = days_at(now, zone)[0].start
    newest = now // HOUR_MS
    first = draw(st.integers(min(midnight // HOUR_MS, newest) - 2, newest))
    usages = draw(st.lists(st.integers(0, 30), min_size=newest - first, max_size=newest - first))
    marks = list(itertools.accumulate(usages, initial=9))
    if draw(st.integers(0, 9)) == 0:
        marks.reverse()
    sent_at = now - draw(st.sampled_from([0, 0, 2_000, 60_000, 60_001, 60_002]))
    dropped = draw(st.integers(0, 9)) == 0
    meter = LiveMeter(sent_at, marks[-1] + draw(st.integers(0, 20)), 700, 1, first - 1, marks, dropped)
    until = midnight - midnight % DAY_MS + draw(st.integers(-1, 1)) * DAY_MS
    truth = draw(st.sampled_from([Truth(), Truth(until, frozenset([until - DAY_MS]), ())]))
    return truth, LiveState("US-NY", {ELECTRICITY: meter})


def written(view: household.HouseholdView) -> str:
    answer = HouseholdAnswer(view, StoreState.OK, StoreState.OK, ())
    return orjson.dumps(render.household(answer)).decode()


def told(zone: str, truth: Truth, live: LiveState | None, now: int) -> tuple[str, str]:
    """Return a household's answer the short way and the long way."""

    def answer():
        return written(household.view(USER_ID, a_household(zone), truth, live, now))

    shorter = answer()
    short_ways = MeterRegisters.plain_hours, household.plain_use
    MeterRegisters.plain_hours = lambda self, starts: {}  # type: ignore[method-assign]
    household.plain_use = lambda *_: None
    try:
        return shorter, answer()
    finally:
        MeterRegisters.plain_hours, household.plain_use = short_ways  # type: ignore[method-assign]


def instants(live: LiveState | None) -> st.SearchStrategy[int]:
    """When a household asks: at any time, or soon after its newest heartbeat."""
    anywhen = st.integers(FIRST, FIRST + DAYS * DAY_MS)
    if live is None:
        return anywhen
    sent_at = live.meters[ELECTRICITY].sent_at
    soon = st.sampled_from([*AGES_MS, DAY_MS // 2])
    return anywhen | soon.map(lambda late: sent_at + late)


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


class TestTheShortWays:
    @settings(max_examples=400, deadline=None)
    @given(st.data(), truths(), st.sampled_from(ZONES))
    def test_come_to_what_two_registers_an_hour_tell(self, data, truth, zone):
        live = data.draw(lives() | beating(truth))

        shorter, longer = told(zone, truth, live, data.draw(instants(live)))

        assert shorter == longer

    @settings(max_examples=300, deadline=None)
    @given(plain(), st.sampled_from(ZONES), st.sampled_from(AGES_MS))
    def test_are_taken_by_every_plain_meter_and_come_to_the_same(self, drawn, zone, age_ms):
        truth, live, defect = drawn
        sent_at = live.meters[ELECTRICITY].sent_at
        now = sent_at + age_ms

        shorter, longer = told(zone, truth, live, now)

        assert shorter == longer
        today, yesterday = days_at(now, zone)
        on_the_hour = (sent_at + 1) % HOUR_MS and not (today.start % HOUR_MS or yesterday.start % HOUR_MS)
        if defect in (None, "unpriced") and on_the_hour and today.start <= sent_at < today.end:
            use = household.view(USER_ID, a_household(zone), truth, live, now).utilities[ELECTRICITY]
            assert isinstance(use, PlainUse) == (yesterday.start > FIRST)

    @settings(max_examples=300, deadline=None)
    @given(st.data(), st.sampled_from(ZONES), st.integers(FIRST, FIRST + DAYS * DAY_MS))
    def test_come_to_the_same_of_a_meter_that_was_just_born(self, data, zone, now):
        truth, live = data.draw(born(zone, now))

        shorter, longer = told(zone, truth, live, now)

        assert shorter == longer

    def test_have_one_pattern_for_all_meters_of_an_hour(self):
        def told_of(usage: int, extra: int) -> tuple[str, str]:
            meter = Meter(FIRST, [usage] * (DAYS * 24))
            published = meter.truth(FIRST + DAY_MS, FIRST + 2 * DAY_MS)
            rows = tuple(row._replace(month_cost=usage * 10**6) for row in published.rows)
            now = FIRST + 3 * DAY_MS + 5 * HOUR_MS + 1_000 + extra
            truth = dataclasses.replace(published, rows=rows)
            return told("America/New_York", truth, meter.live(now - extra, extra), now)

        before = len(render._PATTERNS)
        for usage, extra in ((7, 3), (0, 0), (123_456, 59_000)):
            shorter, longer = told_of(usage, extra)
            assert shorter == longer
        assert len(render._PATTERNS) == before + 1

    def test_have_patterns_of_their_own_by_age_and_by_how_far_the_truth_goes(self):
        meter = Meter(FIRST, [7] * (DAYS * 24))
        sent_at = FIRST + 3 * DAY_MS + 20 * HOUR_MS + 1_000
        for nights in (1, 2):
            published = meter.truth(*(FIRST + night * DAY_MS for night in range(1, 1 + nights)))
            rows = tuple(row._replace(month_cost=10**6) for row in published.rows)
            truth = dataclasses.replace(published, rows=rows)
            for age_ms in (60_000, 60_001, 60_002):
                shorter, longer = told(ZONES[0], truth, meter.live(sent_at), sent_at + age_ms)
                assert shorter == longer


class TestPlainHours:
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
