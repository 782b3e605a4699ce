"""Whose request it is: the balancer says so, and nobody else is believed."""

from starlette.types import ASGIApp, Receive, Scope, Send

FORWARDED_FOR = b"x-forwarded-for"


class ForwardedClients:
    """Puts the client's address into requests that came through the balancer's own socket.

    That socket is a file of ours that no other user can open; whoever connects to it has no address. The
    header of a request that came by TCP is left unread.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its client."""
        if scope["type"] == "http" and scope.get("client") is None:
            told = [value for name, value in scope["headers"] if name == FORWARDED_FOR]
            if told:
                # What came before the last one was said by others.
                address = told[-1].decode("latin-1").rpartition(",")[2].strip()
                # In place: whoever is outside asks this very scope which route was taken.
                scope["client"] = (address, 0)
        await self._app(scope, receive, send)
