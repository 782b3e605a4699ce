"""The country's load over a day, and a forecast by yesterday's course at today's pace."""

import asyncio
import datetime
from collections.abc import Callable

import httpx
import pytest
from serving_builders import ELECTRICITY, InMemoryLive, InMemoryTruth, a_night, instant

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import LOAD_SLOT_MS, RegionUse
from infra.contracts.utility import Utility
from serving.api import shapes_country
from serving.figures.load import Pattern, country_load, forecast
from serving.figures.records import PublishedNight, RegionDay
from serving.figures.regions import Parts
from serving.lookups.load import COPY_MS_MAX, LoadLookup
from serving.lookups.lookup import Lookup
from serving.stores.sources import StoreAway, StoreState

NOW = instant("2026-06-04T10:07:05")
MIDNIGHT = instant("2026-06-04T00:00")
NIGHT = datetime.date(2026, 6, 3)
NEWEST = NOW - NOW % LOAD_SLOT_MS
SINGLY = {ELECTRICITY: Parts(frozenset({"US-NY", "US-CA"}), frozenset())}
TOGETHER = {ELECTRICITY: Parts(frozenset(), frozenset({"US-NY", "US-CA"}))}
HOURS = [1_000 + 100 * hour for hour in range(24)]


def course(rate: Callable[[int], int], until: int = NEWEST) -> dict[Utility, list[tuple[int, int]]]:
    starts = range(until - DAY_MS + LOAD_SLOT_MS, until + 1, LOAD_SLOT_MS)
    return {ELECTRICITY: [(at, rate(at)) for at in starts]}


def by_hour(at: int) -> int:
    return 2 * HOURS[at % DAY_MS // HOUR_MS]


class TestLoad:
    def test_sums_the_regions_over_a_day_up_to_now(self) -> None:
        points = country_load(
            {"US-NY": course(lambda at: 5), "US-CA": course(lambda at: at % 1_000)}, SINGLY, NOW
        )

        assert len(points) == 288
        assert (points[0].start, points[-1].start) == (NEWEST - DAY_MS + LOAD_SLOT_MS, NEWEST)
        assert all(point.rates[ELECTRICITY] == 5 + point.start % 1_000 for point in points)
        assert points[0].rates[Utility.GAS] is None

    def test_takes_the_last_5_minutes_for_those_that_have_just_begun(self) -> None:
        points = country_load(
            {"US-NY": course(lambda at: 5), "US-CA": course(lambda at: 7, NEWEST - LOAD_SLOT_MS)}, SINGLY, NOW
        )

        assert points[-1].rates[ELECTRICITY] == 12

    def test_ends_where_a_region_does(self) -> None:
        points = country_load({"US-NY": course(lambda at: 7, NEWEST - HOUR_MS)}, SINGLY, NOW)

        known = [point.start for point in points if point.rates[ELECTRICITY] is not None]
        assert known[-1] == NEWEST - HOUR_MS + LOAD_SLOT_MS

    def test_of_others_hides_which_of_them_fell_silent(self) -> None:
        courses = {"US-NY": course(lambda at: 5), "US-CA": course(lambda at: 7, NEWEST - HOUR_MS)}

        points = country_load(courses, TOGETHER, NOW)

        assert {point.rates[ELECTRICITY] for point in points} == {12}

    def test_of_others_is_not_told_before_all_of_them_are_heard(self) -> None:
        begun = {
            ELECTRICITY: [one for one in course(lambda at: 7)[ELECTRICITY] if one[0] >= NEWEST - HOUR_MS]
        }

        points = country_load({"US-NY": course(lambda at: 5), "US-CA": begun}, TOGETHER, NOW)

        rates = [point.rates[ELECTRICITY] for point in points]
        assert rates == [None] * (288 - 13) + [12] * 13

    def test_without_regions_is_not_known(self) -> None:
        assert {point.rates[ELECTRICITY] for point in country_load({}, SINGLY, NOW)} == {None}


class TestForecast:
    def test_is_the_nights_course_at_todays_pace(self) -> None:
        points = country_load({"US-NY": course(by_hour)}, SINGLY, NOW)

        hours = forecast(points, Pattern(NIGHT, {ELECTRICITY: HOURS}), NOW)

        assert [hour.start for hour in hours] == list(range(MIDNIGHT, MIDNIGHT + DAY_MS, HOUR_MS))
        assert [hour.rates[ELECTRICITY] for hour in hours] == [2 * usage for usage in HOURS]
        assert hours[0].rates[Utility.WATER] is None

    def test_in_the_first_hour_is_the_nights_course(self) -> None:
        now = MIDNIGHT + 60_000

        hours = forecast(
            country_load({"US-NY": course(by_hour)}, SINGLY, now), Pattern(NIGHT, {ELECTRICITY: HOURS}), now
        )

        assert [hour.rates[ELECTRICITY] for hour in hours] == HOURS


class TestRoute:
    @pytest.fixture
    def live(self) -> InMemoryLive:
        live = InMemoryLive({}, {"US-NY": {ELECTRICITY: RegionUse(NOW - 4_000, 20, 20, 1, 20)}})
        live.courses = {"US-NY": course(by_hour)}
        return live

    @pytest.fixture
    def truth(self) -> InMemoryTruth:
        truth = InMemoryTruth()
        truth.published = [a_night(NIGHT)]
        truth.days = [RegionDay(NIGHT, "US-NY", 20, 0, sum(HOURS), 0, tuple(HOURS))]
        return truth

    def test_tells_both(
        self, asking: Callable[..., Callable[..., httpx.Response]], live: InMemoryLive, truth: InMemoryTruth
    ) -> None:
        answer = asking(live, truth, NOW)("/api/v1/country/load")

        document = shapes_country.CountryLoad.model_validate_json(answer.content)
        assert (len(document.items), len(document.forecast)) == (288, 24)
        assert document.forecast_from == "2026-06-03"
        assert document.forecast[12].electricity == 2 * HOURS[12]

    def test_has_no_forecast_while_mysql_is_away_and_is_503_while_redis_is(
        self, asking: Callable[..., Callable[..., httpx.Response]], live: InMemoryLive, truth: InMemoryTruth
    ) -> None:
        truth.away = True
        document = asking(live, truth, NOW)("/api/v1/country/load").json()

        assert (document["forecast"], document["forecast_from"]) == ([], None)
        assert document["notes"][-1] == "the nightly truth is away; there is no forecast"

        live.away = True
        assert asking(live, truth, NOW)("/api/v1/country/load").status_code == 503

    def test_is_not_told_of_few_users(
        self, asking: Callable[..., Callable[..., httpx.Response]], live: InMemoryLive, truth: InMemoryTruth
    ) -> None:
        live.region_uses = {"US-NY": {ELECTRICITY: RegionUse(NOW - 4_000, 14, 14, 1, 14)}}
        truth.days = [RegionDay(NIGHT, "US-NY", 14, 0, sum(HOURS), 0, tuple(HOURS))]

        document = asking(live, truth, NOW)("/api/v1/country/load").json()

        told = {item[utility] for item in (*document["items"], *document["forecast"]) for utility in Utility}
        assert told == {None}
        assert "fewer than 15 users" in document["notes"][0]


class TestManyWhoAsk:
    """Stores that take their time are asked once, and nobody waits for somebody else's answer."""

    @pytest.fixture
    def live(self) -> InMemoryLive:
        return InMemoryLive({}, {"US-NY": {ELECTRICITY: RegionUse(NOW - 4_000, 20, 20, 1, 20)}})

    def test_wait_for_one_answer_and_no_longer(self, live: InMemoryLive) -> None:
        async def asked() -> list[object]:
            loads = LoadLookup(Lookup(live, InMemoryTruth(), lambda: NOW), live, InMemoryTruth())
            live.loads_take = lambda: asyncio.sleep(0.1)
            live.away = True
            async with asyncio.timeout(0.5):
                return await asyncio.gather(*(loads.load() for _ in range(20)), return_exceptions=True)

        answers = asyncio.run(asked())

        assert live.loads_asked == 1
        assert {type(answer) for answer in answers} == {StoreAway}

    def test_are_given_the_last_answer_while_a_newer_one_is_asked_for(self, live: InMemoryLive) -> None:
        now = NOW

        async def asked() -> None:
            nonlocal now
            loads = LoadLookup(Lookup(live, InMemoryTruth(), lambda: now), live, InMemoryTruth())
            first = await loads.load()
            now += COPY_MS_MAX + 1
            go = asyncio.Event()
            live.loads_take = go.wait
            asks = asyncio.create_task(loads.load())
            await asyncio.sleep(0)
            assert await asyncio.wait_for(loads.load(), 1) is first
            go.set()
            assert (await asks).now_ms == now

        asyncio.run(asked())

    def test_one_who_leaves_does_not_end_it_for_the_others(self, live: InMemoryLive) -> None:
        async def asked() -> None:
            loads = LoadLookup(Lookup(live, InMemoryTruth(), lambda: NOW), live, InMemoryTruth())
            live.loads_take = lambda: asyncio.sleep(0.05)
            leaves, stays = (asyncio.create_task(loads.load()) for _ in range(2))
            await asyncio.sleep(0)
            leaves.cancel()
            assert (await stays).now_ms == NOW

        asyncio.run(asked())

    def test_are_told_without_a_forecast_what_mysql_is_too_slow_for(
        self, live: InMemoryLive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("serving.lookups.load.PATTERN_S_MAX", 0.05)

        class Slow(InMemoryTruth):
            async def nights(self, before: datetime.date | None, limit: int) -> list[PublishedNight]:
                await asyncio.sleep(10)
                return []

        answer = asyncio.run(LoadLookup(Lookup(live, Slow(), lambda: NOW), live, Slow()).load())

        assert (answer.mysql, answer.forecast) == (StoreState.AWAY, ())
