"""Asks an ASGI application by the very path given, which clients over HTTP would tidy first."""

import asyncio
import dataclasses
import urllib.parse
from collections.abc import Mapping
from typing import Any

ASKED_S_MAX = 20
STREAM = "text/event-stream"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back; the body of a stream is left out."""

    status: int
    headers: Mapping[str, str]
    body: str


async def ask(
    app: Any,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    client: str | None = "192.0.2.1",
) -> Answer:
    """Ask for `target`, a raw path with its query."""
    path, _, query = target.partition("?")
    fields = {"host": "test", **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": urllib.parse.unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()],
        "client": client and (client, 50_000),
        "server": ("test", 80),
        "state": {},
    }
    start: dict[str, Any] = {}
    parts: list[bytes] = []
    streaming, sent = asyncio.Event(), False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            if STREAM in dict(message["headers"]).get(b"content-type", b"").decode():
                streaming.set()
        else:
            parts.append(message.get("body", b""))

    answering = asyncio.create_task(app(scope, receive, send))
    begun = asyncio.create_task(streaming.wait())
    await asyncio.wait({answering, begun}, timeout=ASKED_S_MAX, return_when=asyncio.FIRST_COMPLETED)
    begun.cancel()
    if streaming.is_set():
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
    else:
        assert answering.done(), f"{method} {target} hangs"
        # The application answers a fault of ours before it passes it on.
        answering.exception()
    found = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], found, b"".join(parts).decode(errors="replace"))
