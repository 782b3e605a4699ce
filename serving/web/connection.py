"""A connection whose requests are offered to the short way before the application gets a task for each."""

import asyncio
import functools
import time
from typing import Any, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from serving.web.http_limits import BoundedHttp
from serving.web.short_way import ShortWay


class Connection(BoundedHttp):
    """Answers by the short way what that takes, in the server's own order and by its own bookkeeping."""

    def __init__(self, *args: Any, short_way: ShortWay, **named: Any) -> None:
        super().__init__(*args, **named)
        self._short_way = short_way

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begin to answer a request whose turn it is."""
        answer = None
        # The long way waits for who does not read their answers; another `app` is the server's own refusal.
        if app is self.app and not self.flow.write_paused:
            answer = self._short_way.ask(cast(Scope, cycle.scope))
        if answer is None:
            super()._start_asgi_task(cycle, app)
        else:
            answer.add_done_callback(functools.partial(self._answered, cycle, time.perf_counter()))

    def _answered(self, cycle: RequestResponseCycle, began: float, answer: asyncio.Future[bytes]) -> None:
        if answer.cancelled():  # the process ends
            self.transport.close()
            return
        error = answer.exception()
        if isinstance(error, Exception):
            instead: Any = self._short_way.failed(error, began)
            super()._start_asgi_task(cycle, instead)
            return
        try:
            self._write(cycle, self._short_way.head(cast(Scope, cycle.scope)), answer.result())
        except Exception:
            self.transport.close()  # nobody else would
            raise
        self._short_way.count(200, began)

    def _write(self, cycle: RequestResponseCycle, head: bytes, body: bytes) -> None:
        """Write a whole answer in one piece, and end the request as the server does; it is logged nowhere."""
        cycle.response_started = cycle.response_complete = True
        if not cycle.disconnected:
            cycle.keep_alive = cycle.keep_alive and not self._short_way.draining
            lines = [b"%s: %s\r\n" % header for header in cycle.default_headers]
            lines += [head, b"content-length: %d\r\n" % len(body)]
            if not cycle.keep_alive:
                lines.append(b"connection: close\r\n")
            self.transport.write(b"".join([STATUS_LINE[200], *lines, b"\r\n", body]))
            if not cycle.keep_alive:
                self.transport.close()
            cycle.on_response()
        # The server does so as well: else a connection and its last request would keep each other.
        cycle.on_response = _nothing


def _nothing() -> None:
    """Do nothing."""
