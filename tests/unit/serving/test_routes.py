"""What a caller gets over HTTP, from sources in memory."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any, get_args

import httpx
import pytest
from serving_builders import (
    ELECTRICITY,
    USER_ID,
    InMemoryLive,
    InMemoryTruth,
    Meter,
    a_household,
    an_access,
    instant,
    logged_in,
)

from infra.contracts.durations import DAY_MS
from infra.contracts.live_state import RegionUse
from infra.contracts.quality import Quality
from infra.contracts.utility import UTILITIES
from serving.api import shapes
from serving.app import build
from serving.figures.household import MIXED
from serving.figures.regions import RegionMaster
from serving.figures.truth import Revision
from serving.lookups.lookup import Lookup
from serving.stores.sources import StoreState
from serving.web.headers import HEADERS

START = instant("2026-06-01T00:00")
NOW = instant("2026-06-04T20:30:05")
METER = Meter(START, [100] * 24 * 5)
LIVE = METER.live(NOW - 5_000, extra=7)
HOUSEHOLD = f"/api/v1/households/{USER_ID}"
Get = Callable[[str], httpx.Response]


@pytest.fixture
def live() -> InMemoryLive:
    use = RegionUse(NOW - 4_000, 9_000, 12, 1, 15)
    old = RegionUse(NOW - 61_000, 500, 3, 1, 3)
    return InMemoryLive({USER_ID: LIVE}, {"US-NY": {ELECTRICITY: use}, "US-MT": {ELECTRICITY: old}})


@pytest.fixture
def truth() -> InMemoryTruth:
    nights = METER.truth(START + DAY_MS, START + 2 * DAY_MS)
    masters = {"US-NY": RegionMaster("New York", "America/New_York")}
    truth = InMemoryTruth({USER_ID: a_household()}, {USER_ID: nights}, masters)
    truth.users = {code: dict.fromkeys(UTILITIES, users) for code, users in (("US-NY", 40), ("US-MT", 30))}
    return truth


@pytest.fixture
def get(live: InMemoryLive, truth: InMemoryTruth) -> Get:
    """Ask the application, started once, as a client over HTTP would."""
    app = build(live, truth, an_access(lambda: NOW), lambda: NOW)

    async def ask(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test", headers=logged_in(NOW)) as client,
        ):
            return await client.get(path)

    return lambda path: asyncio.run(ask(path))


def problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    document = shapes.Problem.model_validate_json(answer.content)
    assert document.status == answer.status_code
    assert "Traceback" not in answer.text
    return document.model_dump()


class TestHousehold:
    def test_has_the_documented_shape(self, get: Get) -> None:
        answer = get(HOUSEHOLD)

        document = shapes.HouseholdNow.model_validate_json(answer.content)
        electricity = document.utilities.electricity
        assert answer.status_code == 200
        assert electricity.today.usage == 16 * 100 + 7
        assert electricity.today.from_ == "2026-06-04T00:00:00-04:00"
        assert electricity.now is not None
        assert electricity.now.sent_at == "2026-06-04T20:30:00.000Z"
        assert electricity.now.age_s == 5
        assert document.truth_until == "2026-06-04T00:00:00.000Z"
        assert document.sources.model_dump() == {"redis": "ok", "mysql": "ok"}

    def test_tells_what_is_not_measured_what_it_costs_and_what_was_revised(
        self, get: Get, truth: InMemoryTruth
    ) -> None:
        nights = truth.truths[USER_ID]
        newest = nights.rows[-1]._replace(
            quality="E" * 10 + "M" * 14,
            month_cost=38_205_000_000,
            revision=Revision(NOW - DAY_MS, "late data"),
        )
        truth.truths = {USER_ID: dataclasses.replace(nights, rows=(*nights.rows[:-1], newest))}

        document = shapes.HouseholdNow.model_validate_json(get(HOUSEHOLD).content)

        electricity = document.utilities.electricity
        assert (document.quality, electricity.today.quality) == ("mixed", "measured")
        assert [hour.quality for hour in electricity.yesterday.hours[:7]] == ["estimated"] * 6 + ["measured"]
        assert (electricity.yesterday.quality, electricity.yesterday.usage_estimated) == ("mixed", 600)
        assert electricity.month_cost == 38_205
        assert electricity.yesterday.revised_at == "2026-06-03T20:30:05.000Z"
        assert electricity.yesterday.revised_reason == "late data"

    def test_has_a_word_for_each_quality(self) -> None:
        words = {quality.word for quality in Quality}

        assert set(get_args(shapes.HourQuality)) == words
        assert set(get_args(shapes.FigureQuality)) == {*words, MIXED}

    def test_of_an_unknown_user_is_404(self, get: Get) -> None:
        assert problem(get("/api/v1/households/10000043"))["status"] == 404

    @pytest.mark.parametrize("user_id", ["abc", "1", "100000420", "1e7", "-10000042", "10000042.0", "%00"])
    def test_of_a_malformed_id_is_422(self, get: Get, user_id: str) -> None:
        assert problem(get(f"/api/v1/households/{user_id}"))["status"] == 422

    def test_is_answered_by_redis_while_mysql_is_away(self, get: Get, truth: InMemoryTruth) -> None:
        truth.away = True

        document = get(HOUSEHOLD).json()

        assert document["sources"] == {"redis": "ok", "mysql": "away"}
        assert document["household"]["zone"] == "UTC"
        assert document["truth_until"] is None
        assert document["utilities"]["electricity"]["today"]["usage"] == 20 * 100 + 7
        assert any("away" in note for note in document["notes"])

    def test_is_answered_by_mysql_while_redis_is_away(self, get: Get, live: InMemoryLive) -> None:
        live.away = True

        document = get(HOUSEHOLD).json()

        assert document["sources"] == {"redis": "away", "mysql": "ok"}
        assert document["utilities"]["electricity"]["now"] is None
        assert document["utilities"]["electricity"]["yesterday"]["usage"] == 20 * 100

    def test_is_503_while_both_are_away(self, get: Get, live: InMemoryLive, truth: InMemoryTruth) -> None:
        live.away = truth.away = True

        answer = get(HOUSEHOLD)

        assert problem(answer)["status"] == 503
        assert int(answer.headers["retry-after"]) > 0

    def test_is_503_where_the_store_that_may_know_the_user_is_away(
        self, get: Get, truth: InMemoryTruth
    ) -> None:
        truth.away = True

        assert problem(get("/api/v1/households/10000043"))["status"] == 503

    def test_without_master_data_has_the_zone_of_its_region(self, get: Get, truth: InMemoryTruth) -> None:
        truth.households = {}

        document = get(HOUSEHOLD).json()

        assert document["household"]["zone"] == "America/New_York"
        assert "taken from its region" in document["notes"][0]


class TestRegions:
    def test_sums_the_regions_that_are_not_stale(self, get: Get) -> None:
        document = shapes.RegionsNow.model_validate_json(get("/api/v1/regions").content)

        stale = {region.region: region.utilities.electricity for region in document.regions}
        assert stale["US-MT"] is not None
        assert stale["US-MT"].stale
        assert document.country.electricity.rate == 9_000
        assert document.country.electricity.active_meters == 12
        assert document.country.electricity.silent_meters == 3
        assert document.country.electricity.regions_stale == 1
        assert document.country.gas.rate is None

    def test_of_the_country_are_their_sum(self, get: Get) -> None:
        document = shapes.CountryNow.model_validate_json(get("/api/v1/country").content)

        assert document.country.electricity.rate == 9_000

    def test_are_503_while_redis_is_away(self, get: Get, live: InMemoryLive) -> None:
        live.away = True

        assert problem(get("/api/v1/regions"))["status"] == 503


class TestEveryAnswer:
    @pytest.mark.parametrize(
        "path", [HOUSEHOLD, "/api/v1/regions", "/", "/household/1", "/healthz", "/nowhere"]
    )
    def test_forbids_content_from_elsewhere(self, get: Get, path: str) -> None:
        assert get(path).headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()

    def test_to_an_unknown_path_is_a_problem(self, get: Get) -> None:
        assert problem(get("/api/v1/nowhere"))["detail"] == "nothing answers GET /api/v1/nowhere"

    def test_to_a_fault_of_ours_is_a_problem(self, get: Get, live: InMemoryLive) -> None:
        live.broken = True

        answer = get(HOUSEHOLD)

        assert problem(answer)["status"] == 500
        assert "a fault of ours" in problem(answer)["detail"]
        assert answer.headers["content-security-policy"]


class TestHealth:
    def test_is_ready_while_one_store_answers(self, get: Get, truth: InMemoryTruth) -> None:
        truth.away = True

        assert get("/readyz").json()["sources"] == {"redis": "ok", "mysql": "away"}
        assert get("/healthz").json() == {"status": "ok"}

    def test_is_not_ready_while_both_are_away(
        self, get: Get, live: InMemoryLive, truth: InMemoryTruth
    ) -> None:
        live.away = truth.away = True

        assert problem(get("/readyz"))["status"] == 503

    def test_asked_at_once_is_one_question_to_each_store(self, live, truth):
        asked = 0

        async def slow_ping() -> None:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0.01)

        live.ping = slow_ping
        lookup = Lookup(live, truth, lambda: NOW)

        async def many() -> list[dict[str, StoreState]]:
            return await asyncio.gather(*(lookup.states() for _ in range(50)))

        answers = asyncio.run(many())

        assert asked == 1
        assert answers == [{"redis": "ok", "mysql": "ok"}] * 50


class TestOpenApi:
    def test_refers_to_schemas_it_holds(self, get: Get) -> None:
        answer = get("/api/v1/openapi.json")

        schemas = answer.json()["components"]["schemas"]
        referred = {part.split('"')[0] for part in answer.text.split("#/components/schemas/")[1:]}
        assert referred <= set(schemas)

    def test_describes_every_parameter_and_every_error(self, get: Get) -> None:
        for path, methods in get("/api/v1/openapi.json").json()["paths"].items():
            for route in methods.values():
                for parameter in route.get("parameters", []):
                    assert parameter.get("description") or "$ref" in parameter["schema"], (path, parameter)
                errors = {status: told for status, told in route["responses"].items() if status >= "400"}
                assert path in ("/healthz", "/api/v1/openapi.json") or errors, path
                assert all("application/problem+json" in told["content"] for told in errors.values()), path
                if route["x-policy"]["scoped"]:
                    assert {"401", "403", "404", "422", "429", "503"} <= set(errors), path

    def test_has_an_example_of_every_text_and_number(self, get: Get) -> None:
        schemas = get("/api/v1/openapi.json").json()["components"]["schemas"]
        said_by_itself = {"boolean", "null", "array", "object"}

        bare = [
            (name, member)
            for name, schema in schemas.items()
            for member, shape in schema.get("properties", {}).items()
            for kind in shape.get("anyOf", [shape])
            if kind.get("type", "object") not in said_by_itself
            and not {"examples", "enum", "const", "$ref", "example"} & {*shape, *kind}
        ]

        assert bare == []

    def test_describes_every_route(self, get: Get) -> None:
        for path, methods in get("/api/v1/openapi.json").json()["paths"].items():
            for route in methods.values():
                assert route["summary"], path
                assert route["description"], path


class TestPages:
    @pytest.mark.parametrize("path", ["/", "/household/10000042", "/login"])
    def test_hold_no_inline_script_or_style(self, get: Get, path: str) -> None:
        page = get(path).text

        assert "<style" not in page
        assert " style=" not in page
        assert "<script>" not in page
        assert "http://" not in page
        assert "https://" not in page
