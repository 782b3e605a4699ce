"""How a process ends without losing a request: it says so first, and is still there while it is believed."""

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Drain:
    """Whether this process is about to end.

    `began`: it serves on, but wants no new requests. `ending`: what would go on for ever has to end now.
    """

    def __init__(self) -> None:
        self.began = False
        self.ending = asyncio.Event()

    def begin(self) -> None:
        """Ask for no more requests; those that come all the same are served."""
        self.began = True

    def end(self) -> None:
        """End what would go on for ever."""
        self.began = True
        self.ending.set()


class ClosingConnections:
    """Closes every connection after its answer once the drain began: no request comes on it too late."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; the connection of an answer that begins after the drain is closed with it."""

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self._drain.began:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, send_and_close)
