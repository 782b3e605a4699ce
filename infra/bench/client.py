"""python -m infra.bench.client PLAN: asks at a constant rate, however long answers take, and tells how long.

Open loop: a request has an instant at which it is due, and its time counts from then, sent or not. A server
that stalls is thus charged for everybody who would have come meanwhile. The client's own timer wakes at whole
milliseconds, which is in the times as well. The loop's clock is not used: it stands still within a turn.

PLAN is a JSON file: {url, rps, seconds, connections_max, requests: [[route, path, token], ...]}; requests are
taken in order and, once all were, from the start again. The answer is one JSON object on standard output.
"""

import asyncio
import collections
import json
import pathlib
import sys
import time
import urllib.parse
from typing import Any, cast

import uvloop

from infra.bench.latencies import summary

ANSWER_S_MAX = 10.0
TICK_S = 0.001
IDLE_S_MAX = 2.5  # the balancer closes one on which nothing came after twice as long


class Connection(asyncio.Protocol):
    """One connection, kept open; one request at a time."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._answer = bytearray()
        self._whole = 0
        self._route, self._due_s = "", 0.0
        self.busy = self.gone = False
        self.answered_s = time.perf_counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # The event loop's own kind of transport is no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    @property
    def closing(self) -> bool:
        """Whether the balancer has closed it, which `connection_lost` tells a moment later."""
        return self._transport is None or self._transport.is_closing()

    def ask(self, route: str, request: bytes, due_s: float) -> None:
        """Send a request that was due at an instant, by the performance counter."""
        assert self._transport is not None
        self._route, self._due_s, self.busy, self._whole = route, due_s, True, 0
        self._answer.clear()
        self._transport.write(request)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer; once it is whole, note its time."""
        if not self.busy:  # said as it is closed, of its own accord
            self.close()
            return
        self._answer += data
        if not self._whole:
            head = self._answer.find(b"\r\n\r\n")
            if head < 0:
                return
            at = self._answer.find(b"content-length: ", 0, head)
            length = int(self._answer[at + 16 : self._answer.index(b"\r", at)]) if at >= 0 else 0
            self._whole = head + 4 + length
        if len(self._answer) >= self._whole:
            self.busy, self.answered_s = False, time.perf_counter()
            self._client.answered(self._route, int(self._answer[9:12]), self._due_s)
            self._client.free(self)

    def connection_lost(self, _: Exception | None) -> None:
        """Note a request that got no answer."""
        self.gone = True
        if self.busy:
            self.busy = False
            self._client.failed(self._route)
        self._client.lost(self)


class Client:
    """Asks what a plan says, at its rate."""

    def __init__(self, plan: dict[str, Any]) -> None:
        address = urllib.parse.urlsplit(plan["url"])
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        self._gap_s, self._count = 1 / plan["rps"], round(plan["rps"] * plan["seconds"])
        self._connections_max = plan["connections_max"]
        self._requests = [(route, self._written(path, token)) for route, path, token in plan["requests"]]
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._ended = False
        self._open = 0
        self._waiting: collections.deque[tuple[str, bytes, float]] = collections.deque()
        self.times_s: dict[str, list[float]] = collections.defaultdict(list)
        self.statuses: collections.Counter[int] = collections.Counter()
        self.errors: collections.Counter[str] = collections.Counter()
        self.late_s_max = 0.0
        self._left = self._count

    async def run(self) -> None:
        """Ask everything, and wait for the last answers."""
        began_s, number = time.perf_counter() + 0.2, 0
        while number < self._count:
            now_s = time.perf_counter()
            while number < self._count and (due_s := began_s + number * self._gap_s) <= now_s:
                self.late_s_max = max(self.late_s_max, now_s - due_s)
                route, request = self._requests[number % len(self._requests)]
                self._ask(route, request, due_s)
                number += 1
            # A shorter sleep would be none at all, and the loop would turn until the time has come.
            await asyncio.sleep(max(TICK_S, began_s + number * self._gap_s - time.perf_counter()))
        deadline_s = time.perf_counter() + ANSWER_S_MAX
        while self._left > 0 and time.perf_counter() < deadline_s:
            await asyncio.sleep(0.01)
        # What is still under way has taken too long for anybody.
        self.errors["unanswered"] += self._left
        self._ended = True
        for connection in list(self._all):
            connection.close()
        while self._all and time.perf_counter() < deadline_s + ANSWER_S_MAX:
            await asyncio.sleep(0.001)

    def answered(self, route: str, status: int, due_s: float) -> None:
        """Note an answer."""
        self._left -= 1
        self.statuses[status] += 1
        if status == 200:
            self.times_s[route].append(time.perf_counter() - due_s)
        else:
            self.errors[route] += 1

    def failed(self, route: str) -> None:
        """Note a request that nobody answered."""
        if not self._ended:
            self._left -= 1
            self.errors[route] += 1

    def free(self, connection: Connection) -> None:
        """Give a connection the next request that waits, else keep it."""
        if self._waiting and not self._ended:
            connection.ask(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open -= 1
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _ask(self, route: str, request: bytes, due_s: float) -> None:
        while self._idle:
            connection = self._idle.pop()
            if connection.closing or due_s - connection.answered_s > IDLE_S_MAX:
                connection.close()
                continue
            connection.ask(route, request, due_s)
            return
        self._waiting.append((route, request, due_s))
        if self._open < self._connections_max:
            self._open += 1
            self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self), self._host, self._port
            )
        except OSError:
            self._open -= 1
            if self._waiting:
                self.failed(self._waiting.popleft()[0])
            return
        if not connection.gone:
            self._all.add(connection)
            self.free(connection)
        elif self._waiting:
            self.failed(self._waiting.popleft()[0])

    def _written(self, path: str, token: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def main() -> None:
    """Run the plan that the command line names."""
    plan = json.loads(pathlib.Path(sys.argv[1]).read_text())
    before_s = time.process_time()

    async def run() -> Client:
        client = Client(plan)
        await client.run()
        return client

    client = uvloop.run(run())
    everything = [one for times_s in client.times_s.values() for one in times_s]
    answer = {
        "rps": plan["rps"],
        "seconds": plan["seconds"],
        "requests": round(plan["rps"] * plan["seconds"]),
        "errors": sum(client.errors.values()),
        **summary(everything),
        "routes": {
            route: {"requests": len(times_s) + client.errors[route], "errors": client.errors[route]}
            | summary(times_s)
            for route, times_s in sorted(client.times_s.items())
        },
        "statuses": {str(status): count for status, count in sorted(client.statuses.items())},
        "unanswered": client.errors["unanswered"],
        "client_late_ms_max": round(client.late_s_max * 1_000, 2),
        "client_cpu_s": round(time.process_time() - before_s, 2),
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
