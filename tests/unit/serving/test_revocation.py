"""A token that was taken back is nobody's, on every process, whatever becomes of the list they share."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from serving_builders import (
    USER_ID,
    InMemoryLive,
    InMemoryTruth,
    Meter,
    OneList,
    an_access,
    instant,
    logged_in,
)
from wire_client import ask

from serving.access import revocation
from serving.access.identity import Identity, Role
from serving.access.revocation import NEWS_MAX, Revocations, Revoked
from serving.app import build

NOW = instant("2026-06-04T20:30:05")
SESSION = "/api/v1/session"
ENDS_S = NOW // 1000 + 3_600


def identity(token_id: str) -> Identity:
    return Identity(f"user:{USER_ID}", Role.HOUSEHOLD, USER_ID, token_id, ENDS_S)


@pytest.fixture
def shared() -> OneList:
    return OneList()


@contextlib.asynccontextmanager
async def process(shared: OneList) -> AsyncIterator[FastAPI]:
    """An application that follows the list, as each process does."""
    live = InMemoryLive({USER_ID: Meter(NOW - NOW % 86_400_000, [1] * 24).live(NOW - 5_000)})
    app = build(live, InMemoryTruth(), an_access(lambda: NOW, shared=shared), lambda: NOW)
    async with app.router.lifespan_context(app):
        yield app


async def status(app: FastAPI, headers: dict[str, str], path: str = SESSION) -> int:
    return (await ask(app, "GET", path, headers)).status


class TestLoggingOut:
    def test_takes_the_token_back_in_every_process(
        self, shared: OneList, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(revocation, "REFRESH_S", 0.01)

        async def asked() -> None:
            leaves, stays = (logged_in(NOW, Role.HOUSEHOLD, USER_ID) for _ in range(2))
            async with process(shared) as one, process(shared) as another:
                assert [await status(app, leaves) for app in (one, another)] == [200, 200]
                assert (await ask(one, "DELETE", SESSION, leaves)).status == 204
                assert await status(one, leaves) == 401
                await asyncio.sleep(0.1)
                answer = await ask(another, "GET", SESSION, leaves)
                assert (answer.status, json.loads(answer.body)["type"].rpartition(":")[2]) == (
                    401,
                    "token-revoked",
                )
                assert await status(another, stays) == 200
            # One that starts later knows before it answers.
            async with process(shared) as later:
                assert await status(later, leaves) == 401

        asyncio.run(asked())

    def test_takes_the_cookies_token_back_for_the_next_log_in(self, shared: OneList) -> None:
        token = logged_in(NOW, Role.HOUSEHOLD, USER_ID)["Authorization"].removeprefix("Bearer ")
        cookie = {"Cookie": f"meterbeat_session={token}", "Sec-Fetch-Site": "same-origin"}

        async def asked() -> None:
            async with process(shared) as app:
                assert (await ask(app, "DELETE", SESSION, cookie)).status == 204
                body = json.dumps({"token": token}).encode()
                told = {"Content-Type": "application/json"}
                assert (await ask(app, "POST", SESSION, told, body)).status == 401

        asyncio.run(asked())

    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer not.a.token"}])
    def test_of_nobody_takes_nothing_back(self, shared: OneList, headers: dict[str, str]) -> None:
        async def asked() -> None:
            async with process(shared) as app:
                assert (await ask(app, "DELETE", SESSION, headers)).status == 204

        asyncio.run(asked())

        assert shared.held == []

    def test_from_another_sites_page_takes_nothing_back(self, shared: OneList) -> None:
        token = logged_in(NOW, Role.HOUSEHOLD, USER_ID)["Authorization"].removeprefix("Bearer ")
        cookie = {"Cookie": f"meterbeat_session={token}", "Sec-Fetch-Site": "cross-site"}

        async def asked() -> None:
            async with process(shared) as app:
                assert (await ask(app, "DELETE", SESSION, cookie)).status == 403

        asyncio.run(asked())

        assert shared.held == []

    def test_ends_the_live_updates_of_that_token(self, shared: OneList) -> None:
        leaves = logged_in(NOW, Role.HOUSEHOLD, USER_ID)

        async def asked() -> None:
            async with process(shared) as app:
                sent: list[bytes] = []
                done = asyncio.create_task(stream(app, f"/api/v1/households/{USER_ID}/live", leaves, sent))
                while not sent:
                    await asyncio.sleep(0.01)
                await ask(app, "DELETE", SESSION, leaves)
                # Within the second in which the process looks at the list, not the next ping.
                await asyncio.wait_for(done, 5)

        asyncio.run(asked())


class TestTheCopy:
    def test_holds_while_the_list_is_away_and_tells_it_later(self, shared: OneList) -> None:
        async def asked() -> None:
            here, there = (Revocations(shared, lambda: NOW) for _ in range(2))
            await here.revoke(Revoked("a" * 16, ENDS_S))
            await there.refresh()
            shared.away = True
            await here.revoke(Revoked("b" * 16, ENDS_S))
            with pytest.raises(revocation.RevocationsAway):
                await there.refresh()
            assert here.hold(identity("b" * 16))
            assert there.hold(identity("a" * 16))
            shared.away = False
            await here.refresh()
            await there.refresh()
            assert there.hold(identity("b" * 16))

        asyncio.run(asked())

    def test_makes_a_lost_list_anew(self, shared: OneList) -> None:
        async def asked() -> None:
            here = Revocations(shared, lambda: NOW)
            await here.revoke(Revoked("a" * 16, ENDS_S))
            await here.refresh()
            shared.held.clear()
            await here.refresh()
            await here.refresh()

        asyncio.run(asked())

        assert shared.held == [Revoked("a" * 16, ENDS_S)]

    def test_reads_a_long_list_whole(self, shared: OneList) -> None:
        many = [Revoked(f"{number:016}", ENDS_S) for number in range(2 * NEWS_MAX + 7)]

        async def asked() -> None:
            await shared.revoke(many)
            here = Revocations(shared, lambda: NOW)
            assert await here.refresh()
            assert all(here.hold(identity(one.token_id)) for one in many)
            assert not await here.refresh()

        asyncio.run(asked())

    def test_forgets_a_token_that_has_ended_by_itself(self, shared: OneList) -> None:
        now = NOW

        async def asked() -> None:
            nonlocal now
            here = Revocations(shared, lambda: now)
            await here.revoke(Revoked("a" * 16, ENDS_S))
            now = ENDS_S * 1000 + 60_000
            await here.refresh()
            assert not here.hold(identity("a" * 16))

        asyncio.run(asked())

    def test_is_bounded(self, shared: OneList, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(revocation, "REVOKED_MAX", 2)

        async def asked() -> None:
            here = Revocations(shared, lambda: NOW)
            for token_id, ends_s in (("a" * 16, ENDS_S + 2), ("b" * 16, ENDS_S), ("c" * 16, ENDS_S + 1)):
                await here.revoke(Revoked(token_id, ends_s))
            held = [here.hold(identity(letter * 16)) for letter in "abc"]
            assert held == [True, False, True]

        asyncio.run(asked())


async def stream(app: FastAPI, path: str, headers: dict[str, str], sent: list[bytes]) -> None:
    """Ask for a stream and collect what it sends until it ends."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("192.0.2.1", 50_000),
        "server": ("test", 80),
        "state": {},
    }
    asked = False

    async def receive() -> dict[str, object]:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        if message["type"] == "http.response.body":
            sent.append(message.get("body", b""))

    await app(scope, receive, send)
