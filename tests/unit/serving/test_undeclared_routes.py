"""Routes that somebody forgot to guard answer nobody; malformed bodies tell nobody who may not send one."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from serving_builders import USER_ID, InMemoryLive, InMemoryTruth, an_access, instant, logged_in
from starlette.routing import Route
from wire_client import Answer, ask

from serving.access.identity import Role
from serving.access.policy import OPERATIONS, guarded, policy_of
from serving.app import build

NOW = instant("2026-06-04T20:30:05")
JSON = {"Content-Type": "application/json"}


def application() -> FastAPI:
    return build(InMemoryLive(), InMemoryTruth(), an_access(lambda: NOW), lambda: NOW)


def kind(answer: Answer) -> str:
    return str(json.loads(answer.body)["type"]).removeprefix("urn:meterbeat:problem:")


class TestRoutesWithoutAPolicy:
    @pytest.fixture
    def careless(self) -> FastAPI:
        """An application with routes of every kind that somebody forgot to guard."""
        app = application()

        async def secret(*_: Any) -> dict[str, str]:
            return {"secret": "a household's"}

        async def raw(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"x-secret", b"yes")]})
            await send({"type": "http.response.body", "body": b"a household's ", "more_body": True})
            await send({"type": "http.response.body", "body": b"secret"})

        app.add_api_route("/forgotten", secret)
        app.add_api_route("/forgotten", secret, methods=["POST"])
        app.mount("/forgotten-files", raw)
        app.router.routes.append(_plain_route("/forgotten-plain", raw))
        return app

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/forgotten"),
            ("POST", "/forgotten"),
            ("GET", "/forgotten-files/x"),
            ("GET", "/forgotten-plain"),
        ],
    )
    def test_answer_nobody(self, careless: FastAPI, method: str, path: str) -> None:
        for headers in ({}, logged_in(NOW), logged_in(NOW, Role.HOUSEHOLD, USER_ID)):
            answer = asyncio.run(ask(careless, method, path, headers))

            assert (answer.status, kind(answer)) == (403, "no-policy")
            assert "secret" not in answer.body
            assert "x-secret" not in answer.headers

    def test_are_found_by_the_test_of_all_routes(self, careless: FastAPI) -> None:
        assert {"/forgotten", "/forgotten-files", "/forgotten-plain"} == without_policy(careless)

    def test_are_none_of_ours(self) -> None:
        assert without_policy(application()) == set()

    def test_web_sockets_are_refused(self) -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "root_path": ""}
        asyncio.run(application()(scope, receive, send))

        assert [message["type"] for message in sent] == ["websocket.close"]


class TestMalformedBodies:
    @pytest.mark.parametrize(
        ("headers", "path", "status"),
        [
            ({}, "/guarded", 401),
            (logged_in(NOW, Role.ANALYST), "/guarded", 403),
            (logged_in(NOW), "/guarded", 422),
            (logged_in(NOW), "/forgotten", 403),
        ],
    )
    def test_are_told_of_to_who_may_send_one(self, headers: dict[str, str], path: str, status: int) -> None:
        app = application()

        async def take(body: dict[str, str]) -> dict[str, str]:
            return body

        app.add_api_route("/guarded", take, methods=["POST"], **guarded(OPERATIONS))
        app.add_api_route("/forgotten", take, methods=["POST"])

        answer = asyncio.run(ask(app, "POST", path, {**JSON, **headers}, b"{"))

        assert answer.status == status


def _plain_route(path: str, app: Any) -> Any:
    route = Route(path, lambda _: None)
    route.app = app
    return route


def without_policy(app: FastAPI) -> set[str]:
    return {str(one.path) for one in iter_route_contexts(app.routes) if policy_of(one.original_route) is None}
