"""Asks an application over HTTP as the server reads and writes it, by the very path given; no socket."""

import asyncio
import dataclasses
from collections.abc import Callable, Mapping

import httptools
import uvicorn
from uvicorn.server import ServerState

from serving.app import Application
from serving.web.connection import Connection

ASKED_S_MAX = 20
STREAM = "text/event-stream"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back; the body of a stream is left out."""

    status: int
    headers: Mapping[str, str]
    body: str


class Wire(asyncio.Transport):
    """What the server writes to; its other end is the test."""

    def __init__(self, client: str | None) -> None:
        super().__init__({"peername": client and (client, 50_000), "sockname": ("test", 80)})
        self.told = bytearray()
        self.news = asyncio.Event()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take a part of an answer."""
        assert not self.closed, "the server writes to a connection that it has ended"
        self.told += data
        self.news.set()

    def close(self) -> None:
        """Note that the server has ended the connection."""
        self.closed = True
        self.news.set()

    abort = close

    def is_closing(self) -> bool:
        """Return whether the server has ended the connection."""
        return self.closed

    def pause_reading(self) -> None:
        """Do nothing: all has been read."""

    resume_reading = pause_reading


class Dialogue:
    """One connection to an application."""

    def __init__(self, app: Application, client: str | None = "192.0.2.1") -> None:
        config = uvicorn.Config(
            app, ws="none", lifespan="off", access_log=False, log_config=None, proxy_headers=False
        )
        config.load()
        self.state, self.wire = ServerState(), Wire(client)
        self.connection = Connection(
            config=config, server_state=self.state, app_state={}, short_way=app.short_way
        )
        self.connection.connection_made(self.wire)

    def say(self, data: bytes) -> None:
        """Send a part of a request, or several."""
        self.connection.data_received(data)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the server's telling something brings about."""
        async with asyncio.timeout(ASKED_S_MAX):
            while not condition():
                await self.wire.news.wait()
                self.wire.news.clear()

    async def end(self) -> None:
        """Hang up, and end what still goes on."""
        for task in self.state.tasks:
            task.cancel()
        await asyncio.gather(*self.state.tasks, return_exceptions=True)
        self.connection.connection_lost(None)

    @property
    def answered(self) -> bool:
        """Whether all that was asked is answered, or the server has ended the connection."""
        cycle = self.connection.cycle
        return self.wire.closed or (cycle is not None and cycle.response_complete)


def written(method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """Return a request as it goes over the wire; `target` is a raw path with its query."""
    told = {name.lower(): value for name, value in (headers or {}).items()}
    length = {"content-length": str(len(body))}
    if told.get("transfer-encoding") == "chunked":
        length, body = {}, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    fields = {"host": "test", **(length if body else {}), **told}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def ask(
    app: Application,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    client: str | None = "192.0.2.1",
) -> Answer:
    """Ask for `target`; a stream is left once it has begun."""
    dialogue = Dialogue(app, client)
    dialogue.say(written(method, target, headers, body))
    try:
        await dialogue.until(lambda: dialogue.answered or _streams(dialogue.wire.told))
    finally:
        await dialogue.end()
    return read(bytes(dialogue.wire.told))


def read(told: bytes) -> Answer:
    """Return the first answer of what was told on a connection."""
    headers: dict[str, str] = {}
    parts: list[bytes] = []

    class Reader:
        def on_header(self, name: bytes, value: bytes) -> None:
            headers[name.decode().lower()] = value.decode("latin-1")

        def on_body(self, part: bytes) -> None:
            parts.append(part)

    parser = httptools.HttpResponseParser(Reader())
    parser.feed_data(told)
    body = b"" if headers.get("content-type", "").startswith(STREAM) else b"".join(parts)
    return Answer(parser.get_status_code(), headers, body.decode(errors="replace"))


def _streams(told: bytearray) -> bool:
    head, end, _ = bytes(told).partition(b"\r\n\r\n")
    return bool(end) and b"content-type: " + STREAM.encode() in head.lower()
