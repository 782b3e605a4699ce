"""What a caller gets over HTTP, from sources in memory."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from serving_builders import ELECTRICITY, USER_ID, InMemoryLive, InMemoryTruth, Meter, a_household, instant

from infra.contracts.live_state import RegionUse
from serving import shapes
from serving.app import build
from serving.headers import HEADERS
from serving.regions import RegionMaster
from serving.registers import DAY_MS

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
    return InMemoryTruth({USER_ID: a_household()}, {USER_ID: nights}, masters)


@pytest.fixture
def get(live: InMemoryLive, truth: InMemoryTruth) -> Get:
    """Ask the application, started once, as a client over HTTP would."""
    app = build(live, truth, lambda: NOW)

    async def ask(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
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


class TestOpenApi:
    def test_refers_to_schemas_it_holds(self, get: Get) -> None:
        answer = get("/api/v1/openapi.json")

        schemas = answer.json()["components"]["schemas"]
        referred = {part.split('"')[0] for part in answer.text.split("#/components/schemas/")[1:]}
        assert referred <= set(schemas)

    def test_describes_every_route(self, get: Get) -> None:
        for path, methods in get("/api/v1/openapi.json").json()["paths"].items():
            for route in methods.values():
                assert route["summary"], path
                assert route["description"], path


class TestPages:
    @pytest.mark.parametrize("path", ["/", "/household/10000042"])
    def test_hold_no_inline_script_or_style(self, get: Get, path: str) -> None:
        page = get(path).text

        assert "<style" not in page
        assert " style=" not in page
        assert "<script>" not in page
        assert "http://" not in page
        assert "https://" not in page
