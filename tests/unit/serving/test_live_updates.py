"""Live updates over real connections: resumed after a break, nothing twice, nothing left behind."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import uvicorn
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

from infra.contracts.live_state import LiveState, RegionUse
from infra.contracts.utility import Utility
from serving import live_feed
from serving.access.identity import Role
from serving.api import live as live_routes
from serving.app import build
from serving.web.drain import Drain

START = instant("2026-06-01T00:00")
NOW = instant("2026-06-04T20:30:05")
METER = Meter(START, [100] * 24 * 5)
URL = f"/api/v1/households/{USER_ID}/live"
WITHIN_S = 5


class Live(InMemoryLive):
    """Live state that counts how often it is asked."""

    asked = 0

    async def live_state(self, user):
        self.asked += 1
        return await super().live_state(user)

    def beat(self, sent_at: int, **others: int) -> None:
        meters = {
            Utility(utility): METER.live(at).meters[ELECTRICITY]
            for utility, at in {ELECTRICITY: sent_at, **others}.items()
        }
        self.states = {USER_ID: LiveState("US-NY", meters)}


class Served:
    """A running server, and what it is made of."""

    def __init__(self, url: str, live: Live, drain: Drain) -> None:
        self.url, self.live, self.drain, self.now = url, live, drain, NOW

    @contextlib.asynccontextmanager
    async def listen(
        self, path: str = URL, last_id: str | None = None, role: Role = Role.HOUSEHOLD
    ) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
        headers = logged_in(NOW, role, USER_ID if role is Role.HOUSEHOLD else None)
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=WITHIN_S) as client,
            client.stream("GET", path, headers=headers) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-accel-buffering"] == "no"
            yield events(answer)

    async def status(self, path: str = URL, role: Role = Role.HOUSEHOLD, user_id: int = USER_ID) -> int:
        headers = logged_in(NOW, role, user_id if role is Role.HOUSEHOLD else None)
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=WITHIN_S) as client,
            client.stream("GET", path, headers=headers) as answer,
        ):
            return answer.status_code


async def events(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """Yield events as a browser reads them: fields up to an empty line; pings as the event `ping`."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line.startswith(":"):
            yield {"event": "ping"}
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields.keys() - {"retry"}:
            yield fields
            fields = {}
        else:
            assert fields in ({"retry": "2000"}, {})
            fields = {}


async def next_of(stream: AsyncIterator[dict[str, str]]) -> dict[str, str]:
    """Return the next event that is no ping."""
    async with asyncio.timeout(WITHIN_S):
        while (event := await anext(stream))["event"] == "ping":
            pass
        return event


def newest_of(event: dict[str, str]) -> int:
    """Return the instant that an event's id begins with."""
    return int(event["id"].partition("-")[0])


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not true():
            await asyncio.sleep(0.01)


def polls() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("poll ")]


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[Served]:
    use = RegionUse(NOW - 4_000, 9_000, 12, 1, 15)
    live = Live({USER_ID: METER.live(NOW - 5_000)}, {"US-NY": {ELECTRICITY: use}})
    truth = InMemoryTruth({USER_ID: a_household()}, {}, {})
    drain = Drain()
    box: list[Served] = []
    clock = lambda: box[0].now if box else NOW  # noqa: E731
    app = build(live, truth, an_access(clock), clock, drain)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=WITHIN_S, lifespan="on")
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve())
    try:
        await until(lambda: server.started or task.done())
        [port] = [one.getsockname()[1] for one in server.servers[0].sockets]
        box.append(Served(f"http://127.0.0.1:{port}", live, drain))
        yield box[0]
    finally:
        drain.end()
        server.should_exit = True
        async with asyncio.timeout(WITHIN_S):
            await task
        assert polls() == []


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_routes, "HOUSEHOLD_EVERY_S", 0.02)
    monkeypatch.setattr(live_routes, "REGIONS_EVERY_S", 0.02)
    monkeypatch.setattr(live_feed, "PING_S", 0.1)


class TestHousehold:
    def test_is_told_at_once_and_whenever_a_meter_beats(self):
        async def story() -> None:
            async with served() as on, on.listen() as stream:
                first = await next_of(stream)
                on.live.beat(NOW)
                second = await next_of(stream)

            assert (first["event"], newest_of(first)) == ("state", NOW - 5_000)
            assert newest_of(second) == NOW
            electricity = json.loads(second["data"])["utilities"]["electricity"]
            assert electricity["sent_at"] == "2026-06-04T20:30:05.000Z"
            assert (electricity["rate"], electricity["rate_unit"], electricity["stale"]) == (700, "W", False)

        asyncio.run(with_limit(story()))

    def test_a_client_that_comes_back_hears_what_it_missed_and_nothing_twice(self):
        async def story() -> None:
            heard: list[dict[str, str]] = []
            async with served() as on:
                async with on.listen() as stream:
                    heard.append(await next_of(stream))
                for beat in range(1, 4):
                    on.live.beat(NOW + beat * 5_000)
                    async with on.listen(last_id=heard[-1]["id"]) as stream:
                        heard.append(await next_of(stream))
                    async with on.listen(last_id=heard[-1]["id"]) as stream, asyncio.timeout(WITHIN_S):
                        assert [(await anext(stream))["event"] for _ in range(3)] == ["ping"] * 3

            assert list(map(newest_of, heard)) == [NOW - 5_000, NOW + 5_000, NOW + 10_000, NOW + 15_000]

        asyncio.run(with_limit(story()))

    def test_a_client_that_comes_back_hears_of_what_is_older_than_the_newest_it_knew(self):
        async def story() -> None:
            async with served() as on:
                async with on.listen() as stream:
                    known = await next_of(stream)
                on.live.beat(NOW - 5_000, gas=NOW - 9_000)
                async with on.listen(last_id=known["id"]) as stream:
                    missed = await next_of(stream)
                on.now = NOW + 600_000
                async with on.listen(last_id=missed["id"]) as stream:
                    silent = await next_of(stream)

            assert newest_of(known) == newest_of(missed) == newest_of(silent) == NOW - 5_000
            assert "gas" in json.loads(missed["data"])["utilities"]
            assert json.loads(silent["data"])["utilities"]["gas"]["stale"]

        asyncio.run(with_limit(story()))

    def test_a_meter_that_falls_silent_is_told_of_and_whoever_comes_later_hears_how_old_it_is(self):
        async def story() -> None:
            async with served() as on, on.listen() as stream:
                assert json.loads((await next_of(stream))["data"])["utilities"]["electricity"]["age_s"] == 5
                on.now = NOW + 600_000
                told = json.loads((await next_of(stream))["data"])
                on.now = NOW + 900_000
                asked = on.live.asked
                await until(lambda: on.live.asked >= asked + 2)
                async with on.listen() as later:
                    joined = json.loads((await next_of(later))["data"])

            silent = [one["utilities"]["electricity"] for one in (told, joined)]
            assert [(meter["age_s"], meter["stale"]) for meter in silent] == [(605, True), (905, True)]
            assert joined["as_of"] == "2026-06-04T20:45:05.000Z"

        asyncio.run(with_limit(story()))

    def test_many_listeners_are_one_poll(self):
        async def story() -> None:
            async with served() as on, contextlib.AsyncExitStack() as stack:
                streams = [await stack.enter_async_context(on.listen()) for _ in range(8)]
                for stream in streams:
                    await next_of(stream)
                assert polls() == [f"poll {USER_ID}"]

                on.live.beat(NOW)
                assert {newest_of(await next_of(stream)) for stream in streams} == {NOW}

        asyncio.run(with_limit(story()))

    def test_nobody_is_polled_for_once_the_last_one_has_gone(self):
        async def story() -> None:
            async with served() as on:
                async with on.listen() as stream:
                    await next_of(stream)
                await until(lambda: polls() == [])
                asked = on.live.asked
                await asyncio.sleep(0.1)
                assert on.live.asked == asked

        asyncio.run(with_limit(story()))

    def test_trouble_is_told_and_the_state_again_when_it_is_over(self):
        async def story() -> None:
            async with served() as on, on.listen() as stream:
                await next_of(stream)
                on.live.away = True
                trouble = await next_of(stream)
                on.live.away = False
                state = await next_of(stream)

            assert (trouble["event"], "id" in trouble) == ("trouble", False)
            assert json.loads(trouble["data"])["detail"] == "Redis is away"
            assert state["event"] == "state"

        asyncio.run(with_limit(story()))

    def test_a_fault_of_ours_does_not_end_the_stream(self):
        async def story() -> None:
            async with served() as on, on.listen() as stream:
                await next_of(stream)
                on.live.broken = True
                assert (await next_of(stream))["event"] == "trouble"
                on.live.broken = False
                assert (await next_of(stream))["event"] == "state"

        asyncio.run(with_limit(story()))

    def test_ends_with_the_token(self):
        async def story() -> None:
            async with served() as on, on.listen() as stream:
                await next_of(stream)
                on.now = NOW + 25 * 3_600_000
                async with asyncio.timeout(WITHIN_S):
                    rest = [event async for event in stream]
                assert {event["event"] for event in rest} <= {"ping"}

        asyncio.run(with_limit(story()))

    def test_ends_when_the_process_does(self):
        async def story() -> None:
            async with served() as on, on.listen() as stream:
                await next_of(stream)
                on.drain.end()
                async with asyncio.timeout(WITHIN_S):
                    rest = [event async for event in stream]
                assert {event["event"] for event in rest} <= {"ping"}
                assert await on.status() == 503

        asyncio.run(with_limit(story()))

    def test_one_subject_has_only_so_many(self, monkeypatch):
        async def story() -> None:
            monkeypatch.setattr(live_feed, "LISTENERS_A_SUBJECT_MAX", 2)
            async with served() as on, contextlib.AsyncExitStack() as stack:
                for _ in range(2):
                    await stack.enter_async_context(on.listen())
                assert await on.status() == 429
                assert await on.status(role=Role.OPERATOR) == 200

        asyncio.run(with_limit(story()))

    def test_a_process_has_only_so_many(self, monkeypatch):
        async def story() -> None:
            monkeypatch.setattr(live_feed, "LISTENERS_MAX", 1)
            async with served() as on:
                async with on.listen():
                    assert await on.status(role=Role.OPERATOR) == 503
                await until(lambda: polls() == [])
                assert await on.status(role=Role.OPERATOR) == 200

        asyncio.run(with_limit(story()))

    def test_another_one_and_one_who_is_not_are_unknown_alike(self):
        async def story() -> None:
            async with served() as on:
                other = f"/api/v1/households/{USER_ID + 1}/live"
                assert await on.status(other) == 404
                assert await on.status(other, Role.OPERATOR) == 404
                assert polls() == []

        asyncio.run(with_limit(story()))

    def test_one_who_has_no_live_state_yet_hears_of_it_when_it_comes(self):
        async def story() -> None:
            async with served() as on:
                on.live.states = {}
                async with on.listen() as stream:
                    nothing = await next_of(stream)
                    on.live.beat(NOW)
                    state = await next_of(stream)
                assert json.loads(nothing["data"])["utilities"] == {}
                assert newest_of(state) == NOW

        asyncio.run(with_limit(story()))

    def test_ends_though_the_process_did_while_a_listener_was_told(self):
        async def story() -> None:
            ending = asyncio.Event()
            feed = live_feed.Feed(never, 1)
            feed.latest, feed.version = live_feed.Snapshot(1, 1, {}), 1
            feed_news = live_feed.Feeds(ending).news(feed, None, lambda: 60.0)
            assert (await anext(feed_news)).snapshot == feed.latest
            ending.set()
            feed.wake()
            async with asyncio.timeout(live_feed.PING_S / 2):
                assert [news async for news in feed_news] == []

        asyncio.run(with_limit(story()))


class TestRegions:
    def test_which_all_fall_silent_are_told_of(self):
        async def story() -> None:
            async with served() as on, on.listen("/api/v1/regions/live", role=Role.ANALYST) as stream:
                rates = [json.loads((await next_of(stream))["data"])["country"]["electricity"]["rate"]]
                on.now = NOW + 600_000
                rates.append(json.loads((await next_of(stream))["data"])["country"]["electricity"]["rate"])

            assert rates == [9_000, None]

        asyncio.run(with_limit(story()))

    def test_are_told_as_the_regions_route_tells_them(self):
        async def story() -> None:
            async with served() as on, on.listen("/api/v1/regions/live", role=Role.ANALYST) as stream:
                state = await next_of(stream)

            assert newest_of(state) == NOW - 4_000
            data = json.loads(state["data"])
            assert data.keys() >= {"as_of", "country", "regions"}

        asyncio.run(with_limit(story()))

    def test_are_not_for_a_household(self):
        async def story() -> None:
            async with served() as on:
                assert await on.status("/api/v1/regions/live") == 403

        asyncio.run(with_limit(story()))


class TestReadiness:
    def test_a_draining_process_still_serves_and_says_so(self):
        async def story() -> None:
            async with served() as on, httpx.AsyncClient(base_url=on.url) as client:
                assert (await client.get("/readyz")).status_code == 200
                on.drain.begin()
                ready = await client.get("/readyz")
                household = await client.get(
                    f"/api/v1/households/{USER_ID}", headers=logged_in(NOW, Role.HOUSEHOLD, USER_ID)
                )
            assert ready.status_code == 503
            assert ready.json()["type"] == "urn:meterbeat:problem:draining"
            assert household.status_code == 200
            assert household.headers["connection"] == "close"

        asyncio.run(with_limit(story()))


async def never() -> live_feed.Snapshot:
    raise AssertionError("nobody polls here")


async def with_limit(story) -> None:
    async with asyncio.timeout(4 * WITHIN_S):
        await story
