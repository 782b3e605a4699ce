"""What serving tells Prometheus: routes by their templates, stores by name, callers not at all."""

import asyncio
import re

import httpx
import pytest
from serving_builders import (
    USER_ID,
    InMemoryLive,
    InMemoryTruth,
    Meter,
    a_household,
    an_access,
    instant,
    logged_in,
)
from wire_client import ask

from infra.contracts.durations import DAY_MS
from serving.access.identity import Role
from serving.app import build
from serving.metrics import PATH, STATIC, UNMATCHED
from serving.stores.sources import StoreAway
from tests.support.metrics import assert_fit, samples_of, value, without_values

START = instant("2026-06-01T00:00")
NOW = instant("2026-06-04T20:30:05")
METER = Meter(START, [100] * 24 * 5)
HOUSEHOLD = f"/api/v1/households/{USER_ID}"
TEMPLATE = "/api/v1/households/{user_id}"


@pytest.fixture
def live():
    return InMemoryLive({USER_ID: METER.live(NOW - 5_000)})


@pytest.fixture
def truth():
    return InMemoryTruth({USER_ID: a_household()}, {USER_ID: METER.truth(START + DAY_MS)})


@pytest.fixture
def after(live, truth):
    """Ask for some paths, then return what one scrape tells, as text."""
    app = build(live, truth, an_access(lambda: NOW), lambda: NOW)

    async def ask(*paths):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test", headers=logged_in(NOW)) as client,
        ):
            for path in paths:
                await client.get(path)
            return (await client.get(PATH)).text

    return lambda *paths: asyncio.run(ask(*paths))


def requests(text, route, status):
    return value(samples_of(text), "meterbeat_serving_request_seconds_count", route=route, status=str(status))


class TestRequests:
    def test_are_counted_by_template_and_status(self, after):
        text = after(HOUSEHOLD, HOUSEHOLD, "/api/v1/households/10000043", "/api/v1/households/1")

        assert requests(text, TEMPLATE, 200) == 2
        assert requests(text, TEMPLATE, 404) == 1
        assert requests(text, TEMPLATE, 422) == 1

    @pytest.mark.parametrize("role", [Role.HOUSEHOLD, Role.OPERATOR])
    def test_are_counted_behind_the_balancer_too(self, live, truth, role):
        app = build(live, truth, an_access(lambda: NOW), lambda: NOW)
        headers = logged_in(NOW, role, USER_ID if role is Role.HOUSEHOLD else None)

        async def scraped():
            # Whoever comes by the balancer's socket has no address but what it says.
            forwarded = {**headers, "X-Forwarded-For": "203.0.113.9"}
            assert (await ask(app, "GET", HOUSEHOLD, forwarded, client=None)).status == 200
            return (await ask(app, "GET", PATH)).body

        assert requests(asyncio.run(scraped()), TEMPLATE, 200) == 1

    def test_that_fail_by_a_fault_of_ours_are_counted(self, after, live):
        live.broken = True

        assert requests(after(HOUSEHOLD), TEMPLATE, 500) == 1

    def test_of_any_other_path_share_one_series(self, after):
        text = after("/nowhere/1", "/nowhere/2", "/pages/any/none.js", "/pages/any/style.css")

        assert requests(text, UNMATCHED, 404) == 2
        assert requests(text, STATIC, 404) == 1
        assert requests(text, STATIC, 200) == 1

    def test_leave_no_trace_of_who_was_asked_for(self, after):
        text = after(HOUSEHOLD, "/household/10000042", "/api/v1/households/10000043", "/nowhere/10000044")

        assert not re.search(r"1000004\d", without_values(text))
        assert "user_id=" not in text
        assert_fit(samples_of(text))


class TestLookups:
    def test_are_timed_by_store(self, after):
        samples = samples_of(after(HOUSEHOLD))

        for store in ("redis", "mysql"):
            asked = {"store": store, "question": "user"}
            assert value(samples, "meterbeat_serving_lookup_seconds_count", **asked) == 1
            assert value(samples, "meterbeat_serving_lookup_failures_total", **asked) == 0

    def test_of_one_store_do_not_last_as_long_as_the_other_s(self, after, truth):
        quick = truth.truth

        async def slow(user, since_ms):
            await asyncio.sleep(0.3)
            return await quick(user, since_ms)

        truth.truth = slow

        samples = samples_of(after(HOUSEHOLD))

        redis_s, mysql_s = (
            value(samples, "meterbeat_serving_lookup_seconds_sum", store=store, question="user")
            for store in ("redis", "mysql")
        )
        assert redis_s < 0.2 < mysql_s

    def test_that_find_a_store_away_are_failures(self, after, truth):
        truth.away = True

        samples = samples_of(after(HOUSEHOLD))

        asked = {"store": "mysql", "question": "user"}
        assert value(samples, "meterbeat_serving_lookup_failures_total", **asked) == 1
        assert value(samples, "meterbeat_serving_lookup_seconds_count", **asked) == 0

    def test_that_cannot_tell_of_one_user_are_failures(self, after, live):
        async def unreadable(users):
            return [StoreAway("malformed") for _ in users]

        live.live_state_of_each = unreadable

        samples = samples_of(after(HOUSEHOLD))

        asked = {"store": "redis", "question": "user"}
        assert value(samples, "meterbeat_serving_lookup_failures_total", **asked) == 1


class TestAnswers:
    def test_are_counted_by_the_stores_they_rest_on(self, after, live, truth):
        both = samples_of(after(HOUSEHOLD))
        truth.away = True
        redis_only = samples_of(after(HOUSEHOLD))
        truth.away, live.away = False, True
        mysql_only = samples_of(after(HOUSEHOLD))

        counted = [
            [value(samples, "meterbeat_serving_answers_total", sources=sources) for samples in found]
            for sources, found in (
                ("both", [both]),
                ("redis", [both, redis_only]),
                ("mysql", [redis_only, mysql_only]),
            )
        ]
        assert counted == [[1], [0, 1], [0, 1]]


class TestEndpoint:
    def test_is_no_part_of_the_public_api(self, live, truth):
        assert PATH not in build(live, truth, an_access(lambda: NOW), lambda: NOW).openapi()["paths"]
