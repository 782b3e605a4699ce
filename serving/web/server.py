"""The HTTP server of one process: it drains before it ends, and hears a balancer on a socket of its own."""

import functools
import gc
import os
import pathlib
import signal
import socket
import sys
import time
from types import FrameType
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from serving.threads import keep_loop_to
from serving.web.connection import Connection
from serving.web.drain import Drain
from serving.web.short_way import ShortWay

GRACE_S = 10  # a request in flight at shutdown may take this long
# Longer than the balancer keeps a connection that it does not use: it closes first, so no request meets a
# connection that is just being closed.
KEEP_ALIVE_S = 75
BACKLOG = 1_024
SWITCH_S = 0.001
GC_OBJECTS = 20_000


class Server(uvicorn.Server):
    """Ends on SIGTERM after a drain of `drain_s`, on SIGINT at once; in both cases requests are answered."""

    def __init__(
        self,
        app: FastAPI,
        short_way: ShortWay,
        drain: Drain,
        drain_s: float,
        forwarded_by: str,
        core: int | None = None,
    ) -> None:
        """`forwarded_by`: with commas, other machines' proxies whose X-Forwarded-For is believed.

        `core`: where the event loop stays; None: wherever there is room.
        """
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=cast(Any, functools.partial(Connection, short_way=short_way)),
                ws="none",
                log_level="warning",
                access_log=False,
                server_header=False,
                # What the local balancer says is read by serving/web/clients.py.
                proxy_headers=bool(forwarded_by),
                forwarded_allow_ips=forwarded_by,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
                backlog=BACKLOG,
            )
        )
        self._drain, self._drain_s, self._core = drain, drain_s, core
        self._asked_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take note of a request to end; a second one is not waited for."""
        if sig == signal.SIGTERM and self._asked_at is None and self._drain_s > 0:
            self._asked_at = time.monotonic()
            return
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and leave what is there from the start to itself: looking through it would stop requests."""
        # A thread that reads rows would else keep the event loop waiting for 5 ms at a time.
        sys.setswitchinterval(SWITCH_S)
        if self._core is not None:
            keep_loop_to(self._core)
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        # A request's objects go with it; cycles are few, and looking for them each 700 objects costs more.
        gc.set_threshold(GC_OBJECTS)

    async def on_tick(self, counter: int) -> bool:
        """Begin the drain and end it in its time; return whether to shut down."""
        if self._asked_at is not None and not self.should_exit:
            self._drain.begin()
            self.should_exit = time.monotonic() - self._asked_at >= self._drain_s
        if self.should_exit:
            self._drain.end()
        return await super().on_tick(counter)


def unix_listener(path: pathlib.Path) -> socket.socket:
    """Return a socket that listens at a path and that only this user can open."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    return listener
