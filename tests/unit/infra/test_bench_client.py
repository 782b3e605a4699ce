"""The bench's client: a rate that does not wait for answers, and a stall that everybody is charged for."""

import asyncio
import time

import uvloop

from infra.bench import client as client_module
from infra.bench.client import Client

STALL_S = 0.3
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def asked(rps: int, seconds: float, serve, run=uvloop.run) -> Client:
    """Run a plan against a server whose connections `serve` answers."""

    async def story() -> Client:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = Client(
            {
                "url": f"http://127.0.0.1:{port}",
                "rps": rps,
                "seconds": seconds,
                "connections_max": 4,
                "requests": [["one", "/one", "t"], ["other", "/other", "t"]],
            }
        )
        try:
            async with asyncio.timeout(10):
                await client.run()
        finally:
            server.close()
        return client

    return run(story())


def answering(before):
    """Return a server that waits as `before` says, then answers."""

    async def serve(reader, writer):
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                assert b"Authorization: Bearer t\r\n" in request
                await before()
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return serve


class TestClient:
    def test_asks_each_in_turn_at_its_rate(self):
        async def at_once():
            pass

        began = time.monotonic()
        client = asked(200, 0.5, answering(at_once))

        assert time.monotonic() - began >= 0.5
        assert {route: len(times_s) for route, times_s in client.times_s.items()} == {"one": 50, "other": 50}
        assert not client.errors["unanswered"]
        assert client.statuses == {200: 100}

    def test_a_stall_is_charged_to_all_who_would_have_come_meanwhile(self):
        stalled = []

        async def once():
            if not stalled:
                stalled.append(True)
                time.sleep(STALL_S)  # the whole server stands still

        client = asked(100, 0.8, answering(once))

        slow = [one for times_s in client.times_s.values() for one in times_s if one > 0.05]
        # A client that waited for its answers would have seen one slow request, or one a connection.
        assert len(slow) >= 0.6 * STALL_S * 100
        assert max(slow) >= 0.9 * STALL_S

    def test_a_connection_that_was_idle_for_long_is_not_used_again(self, monkeypatch):
        monkeypatch.setattr(client_module, "IDLE_S_MAX", 0.0)
        connections = []

        async def serve(reader, writer):
            connections.append(writer)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)

        client = asked(50, 0.4, serve)

        assert client.statuses == {200: 20}
        assert len(connections) == 20

    def test_what_an_idle_connection_says_as_it_is_closed_is_no_answer(self):
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
            await asyncio.sleep(0.01)
            writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
            writer.close()

        client = asked(20, 0.4, serve)

        assert client.statuses == {200: 8}
        assert not sum(client.errors.values())

    def test_a_connection_that_breaks_is_an_error(self):
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

        client = asked(50, 0.4, serve)

        assert client.errors["one"] + client.errors["other"] == 20
        assert not client.statuses
