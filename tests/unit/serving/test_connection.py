"""What the short way answers on a connection is what the framework would have, in the server's own order."""

import asyncio
import gc
import weakref
from collections.abc import Coroutine, Iterable
from typing import Any

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
from wire_client import Answer, Dialogue, ask, read, written

from infra.contracts.durations import DAY_MS
from serving.access.identity import Role
from serving.app import Application, build
from serving.web.connection import Connection
from serving.web.drain import Drain
from serving.web.short_way import ShortWay

START = instant("2026-06-01T00:00")
NOW = instant("2026-06-04T20:30:05")
METER = Meter(START, [100] * 24 * 5)
STRANGER = USER_ID + 1
PATH = f"/api/v1/households/{USER_ID}"
OWN = logged_in(NOW, Role.HOUSEHOLD, USER_ID)


@pytest.fixture
def live() -> InMemoryLive:
    return InMemoryLive({USER_ID: METER.live(NOW - 5_000)})


@pytest.fixture
def truth() -> InMemoryTruth:
    nights = METER.truth(START + DAY_MS, START + 2 * DAY_MS)
    return InMemoryTruth({USER_ID: a_household()}, {USER_ID: nights})


@pytest.fixture
def app(live: InMemoryLive, truth: InMemoryTruth) -> Application:
    return build(live, truth, an_access(lambda: NOW), lambda: NOW)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that the short way answers."""
    paths: list[str] = []
    take = ShortWay.ask

    def ask(self: ShortWay, scope: dict[str, object]) -> "asyncio.Future[bytes] | None":
        found = take(self, scope)
        if found is not None:
            paths.append(str(scope["path"]))
        return found

    monkeypatch.setattr(ShortWay, "ask", ask)
    return paths


def by_the_framework(monkeypatch: pytest.MonkeyPatch, asking: Coroutine[Any, Any, Answer]) -> Answer:
    with monkeypatch.context() as patch:
        patch.setattr(ShortWay, "ask", lambda *_: None)
        return asyncio.run(asking)


async def told(app: Application, parts: Iterable[bytes], answers: int = 1) -> tuple[bytes, bool]:
    """Return what is told on one connection, and whether the server then has ended it."""
    dialogue = Dialogue(app)
    for part in parts:
        dialogue.say(part)
    wire = dialogue.wire
    await dialogue.until(
        lambda: dialogue.answered and (wire.closed or wire.told.count(b"HTTP/1.1 ") == answers)
    )
    answer, closed = bytes(wire.told), wire.closed
    await dialogue.end()
    return answer, closed


class TestAHouseholdThatAsksForItself:
    def test_is_answered_as_by_the_framework(self, app, taken, monkeypatch):
        short = asyncio.run(ask(app, "GET", PATH, OWN))
        assert taken == [PATH]

        assert short == by_the_framework(monkeypatch, ask(app, "GET", PATH, OWN))
        assert (short.status, short.headers["content-type"]) == (200, "application/json")
        assert short.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("away", [("live",), ("truth",), ("live", "truth")])
    def test_is_told_what_is_away_as_by_the_framework(self, request, app, taken, monkeypatch, away):
        for name in away:
            request.getfixturevalue(name).away = True

        short = asyncio.run(ask(app, "GET", PATH, OWN))

        assert taken == [PATH]
        assert short == by_the_framework(monkeypatch, ask(app, "GET", PATH, OWN))
        assert short.status == (503 if len(away) == 2 else 200)
        assert ("retry-after" in short.headers) == (len(away) == 2)

    def test_whom_nobody_knows_is_told_so_as_by_the_framework(self, app, taken, monkeypatch):
        path, own = PATH.replace(str(USER_ID), str(STRANGER)), logged_in(NOW, Role.HOUSEHOLD, STRANGER)

        short = asyncio.run(ask(app, "GET", path, own))

        assert taken == [path]
        assert short == by_the_framework(monkeypatch, ask(app, "GET", path, own))
        assert short.status == 404

    def test_is_told_of_a_fault_of_ours_as_by_the_framework(self, app, live, taken, monkeypatch):
        live.broken = True

        short = asyncio.run(ask(app, "GET", PATH, OWN))

        assert taken == [PATH]
        assert short == by_the_framework(monkeypatch, ask(app, "GET", PATH, OWN))
        assert (short.status, short.headers["content-type"]) == (500, "application/problem+json")

    def test_too_often_is_told_so(self, live, truth, taken):
        app = build(live, truth, an_access(lambda: NOW, per_minute=3), lambda: NOW)

        answers = [asyncio.run(ask(app, "GET", PATH, OWN)) for _ in range(5)]

        # So many as need no question to other processes.
        assert taken == [PATH]
        assert [one.status for one in answers] == [200] * 4 + [429]
        assert "retry-after" in answers[-1].headers

    def test_is_counted_once_whatever_the_answer(self, app):
        stranger = logged_in(NOW, Role.HOUSEHOLD, STRANGER)
        for user_id, headers in ((USER_ID, OWN), (USER_ID, OWN), (STRANGER, stranger), (USER_ID, stranger)):
            asyncio.run(ask(app, "GET", PATH.replace(str(USER_ID), str(user_id)), headers))

        metrics = asyncio.run(ask(app, "GET", "/metrics")).body

        count = (
            'meterbeat_serving_request_seconds_count{route="/api/v1/households/{user_id}",status="%s"} %s.0'
        )
        assert count % (200, 2) in metrics
        assert count % (404, 2) in metrics

    def test_keeps_nobody_waiting_who_does_not_for_stores_that_hang(self, app, live, taken):
        """However many wait for them."""

        async def hang() -> tuple[Answer, list[bool]]:
            live.ping = asyncio.Event().wait
            waiting = [Dialogue(app) for _ in range(100)]
            for one in waiting:
                one.say(written("GET", PATH, OWN))
            await asyncio.sleep(0.05)
            refused = await ask(app, "GET", PATH, {"Authorization": "Bearer none"})
            return refused, [one.answered for one in waiting]

        refused, answered = asyncio.run(hang())

        assert (taken, refused.status, any(answered)) == ([PATH] * 100, 401, False)


class TestAConnection:
    def test_has_its_answers_in_the_order_of_its_requests(self, app):
        requests = [written("GET", path, OWN) for path in (PATH, "/healthz", PATH)]

        answer, closed = asyncio.run(told(app, [b"".join(requests)], answers=3))

        first, second, third = answer.split(b"HTTP/1.1 ")[1:]
        assert first == third
        assert (b'"user_id"' in first, b'"user_id"' in second, closed) == (True, False, False)

    @pytest.mark.parametrize(
        "request_",
        [
            written("GET", PATH, OWN | {"Connection": "close"}),
            written("GET", PATH, OWN).replace(b"1.1", b"1.0", 1),
        ],
    )
    def test_ends_with_the_answer_if_it_is_asked_to(self, app, taken, request_):
        answer, closed = asyncio.run(told(app, [request_]))

        assert taken == [PATH]
        assert closed
        assert (read(answer).status, read(answer).headers["connection"]) == (200, "close")

    @pytest.mark.parametrize(("away", "status"), [(False, 200), (True, 503)])
    def test_ends_with_the_answer_once_the_drain_began(self, live, truth, taken, away, status):
        drain = Drain()
        live.away = truth.away = away
        app = build(live, truth, an_access(lambda: NOW), lambda: NOW, drain)
        drain.begin()

        answer, closed = asyncio.run(told(app, [written("GET", PATH, OWN)]))

        assert (taken, closed, read(answer).status) == ([PATH], True, status)
        assert read(answer).headers["connection"] == "close"

    def test_that_hung_up_is_told_nothing_and_nobody_else_is_the_worse_for_it(self, app):
        async def hang_up() -> bytes:
            gone = Dialogue(app)
            gone.say(written("GET", PATH, OWN))
            gone.connection.connection_lost(None)
            answer, _ = await told(app, [written("GET", PATH, OWN)])
            assert not gone.wire.told
            return answer

        assert read(asyncio.run(hang_up())).status == 200

    def test_is_ended_if_the_process_ends_before_the_answer(self, app, monkeypatch):
        async def end() -> bool:
            answers: list[asyncio.Future[bytes]] = []
            monkeypatch.setattr(ShortWay, "ask", lambda *_: answers.append(asyncio.Future()) or answers[0])
            dialogue = Dialogue(app)
            dialogue.say(written("GET", PATH, OWN))
            answers[0].cancel()
            await asyncio.sleep(0)
            return dialogue.wire.closed and not dialogue.wire.told

        assert asyncio.run(end())

    def test_and_its_requests_do_not_keep_each_other(self, app, taken):
        """Collecting what does stops all requests for a while."""

        async def leave() -> "weakref.ref[Connection]":
            dialogue = Dialogue(app)
            dialogue.say(written("GET", PATH, OWN))
            await dialogue.until(lambda: dialogue.answered)
            await dialogue.end()
            return weakref.ref(dialogue.connection)

        async def left() -> object:
            connection = await leave()
            await asyncio.sleep(0)
            return connection()

        gc.disable()
        try:
            assert asyncio.run(left()) is None
        finally:
            gc.enable()
        assert taken == [PATH]

    def test_whose_answers_are_not_read_is_waited_for(self, app, taken):
        async def wait() -> tuple[int, bytes]:
            dialogue = Dialogue(app)
            dialogue.connection.pause_writing()
            dialogue.say(written("GET", PATH, OWN))
            for _ in range(100):
                await asyncio.sleep(0)
            before = len(dialogue.wire.told)
            dialogue.connection.resume_writing()
            await dialogue.until(lambda: dialogue.answered)
            await dialogue.end()
            return before, bytes(dialogue.wire.told)

        before, answer = asyncio.run(wait())

        assert (before, taken, read(answer).status) == (0, [], 200)
