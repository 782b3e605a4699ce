"""Asking the application, started once, as a client over HTTP would."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from serving_builders import InMemoryLive, InMemoryTruth, an_access, logged_in

from serving.app import build

Ask = Callable[..., httpx.Response]


@pytest.fixture
def asking() -> Iterator[Callable[..., Ask]]:
    """Return a way to ask for a path of an application over two sources, at an instant, as an operator.

    To build an application takes longer than it takes to answer: it answers until the test ends.
    """
    with contextlib.ExitStack() as ended:

        def over(live: InMemoryLive, truth: InMemoryTruth, now: int, **parts: Any) -> Ask:
            loop = ended.enter_context(asyncio.Runner())
            client, close = loop.run(
                _started(build(live, truth, an_access(lambda: now), lambda: now, **parts), now)
            )
            ended.callback(lambda: loop.run(close()))

            def ask(
                path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: Any = None
            ) -> httpx.Response:
                return loop.run(client.request(method, path, headers=dict(headers or {}), json=body))

            return ask

        yield over


async def _started(app: FastAPI, now: int) -> tuple[httpx.AsyncClient, Callable[[], Awaitable[None]]]:
    """Return a client of an application that was started, and what ends both."""
    async with contextlib.AsyncExitStack() as ended:
        await ended.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://test", headers=logged_in(now))
        await ended.enter_async_context(client)
        return client, ended.pop_all().aclose
