"""A way past the framework for the one question that nearly every request asks: a household for itself, now.

The framework finds a route, looks through its dependencies and answers by it, in a task of its own and by a
message for each part, in more time than a household's figures take. Here the same token, limit and answer are
asked for without any of that. What is not plainly allowed goes on, and the framework finds the words for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access.identity import OwnedUser
from serving.access.policy import OWN_HOUSEHOLD, own_household, policy_of, policy_taken
from serving.access.session import Access
from serving.web.drain import ClosingConnections, Drain
from serving.web.headers import Headers

Answer = Callable[[OwnedUser], asyncio.Future[bytes]]
Handler = Callable[[Request, Exception], Awaitable[Response]]


class ShortWay:
    """Answers GETs of a household's route by that household; all else is for the framework.

    What a handler of the application makes of an error is the answer, as in the framework.
    """

    def __init__(
        self,
        application: FastAPI,
        headers: Headers,
        drain: Drain,
        route: BaseRoute,
        answer: Answer,
        own_headers: dict[str, str],
        requested: Callable[[str, int, float], None],
    ) -> None:
        """`route` has a path that ends in the user's id; `own_headers` are its answer's.

        `requested` is told of each answer's route, status and seconds.
        """
        assert isinstance(route, APIRoute) and policy_of(route) is OWN_HOUSEHOLD
        self._prefix, _, rest = route.path.partition("{user_id}")
        assert not rest, "the user's id is the last of the path"
        self._application, self._headers, self._drain = application, headers, drain
        self._route, self._answer, self._requested = route, answer, requested
        self._own = [(name.lower().encode(), value.encode()) for name, value in own_headers.items()]
        self._head: bytes | None = None

    def ask(self, scope: Scope) -> asyncio.Future[bytes] | None:
        """Return the body that will answer a request, which is counted; None where the framework answers."""
        path: str = scope["path"]
        if scope["method"] != "GET" or not path.startswith(self._prefix):
            return None
        access = cast(Access, self._application.state.access)
        found = own_household(access, scope, path[len(self._prefix) :])
        if found is None or not access.limits.asked_at_once(found[0]):
            return None
        return self._answer(found[1])

    def head(self, scope: Scope) -> bytes:
        """Return the header lines of an answer that `ask` gave.

        All these answers have the same, those of any answer to a household, and they are put together once.
        """
        assert policy_taken(scope) is OWN_HOUSEHOLD, (
            "this answer does not pass the door that looks for a policy"
        )
        if self._head is None:
            start: Message = {"type": "http.response.start", "status": 200, "headers": self._own}
            self._headers.dress(start, scope)
            self._head = b"".join(b"%s: %s\r\n" % header for header in start["headers"])
        return self._head

    def count(self, status: int, began: float) -> None:
        """Count a request that `began` then, by the performance counter, and has been answered now."""
        self._requested(self._route.path, status, time.perf_counter() - began)

    def failed(self, error: Exception, began: float) -> ASGIApp:
        """Return what answers a request that ended in an error."""

        async def tell(scope: Scope, receive: Receive, send: Send) -> None:
            scope["app"], scope["route"] = self._application, self._route
            response = await self._handled(Request(scope, receive), error)
            await response(scope, receive, send)
            self.count(response.status_code, began)

        return ClosingConnections(self._headers.passed(tell), self._drain)

    @property
    def draining(self) -> bool:
        """Whether the connection of each answer is to be closed with it."""
        return self._drain.began

    async def _handled(self, request: Request, error: Exception) -> Response:
        handlers = self._application.exception_handlers
        kind = next(kind for kind in type(error).__mro__ if kind in handlers)
        # Ours are all of this form; see `problems.install`, which has one for faults of ours too.
        return await cast(Handler, handlers[kind])(request, error)
