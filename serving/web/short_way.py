"""A way past the framework for the one question that nearly every request asks: a household for itself, now.

The framework finds a route, looks through its dependencies and answers by it in more time than a household's
figures take. Here the same token, limit and answer are asked for at once. What is not plainly allowed goes
on, and the framework finds the words for it.
"""

from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Message, Receive, Scope, Send

from serving.access.identity import OwnedUser
from serving.access.policy import OWN_HOUSEHOLD, own_household, policy_of, policy_taken
from serving.access.session import Access
from serving.web.headers import Headers
from serving.web.written_headers import WrittenHeaders

Answer = Callable[[OwnedUser], Awaitable[bytes]]
Handler = Callable[[Request, Exception], Awaitable[Response]]


class ShortWay:
    """Takes GETs of a household's route by that household; all else goes on to `headers` and what is behind.

    What a handler of the application makes of an error is the answer, as in the framework.
    """

    def __init__(
        self,
        headers: Headers,
        application: FastAPI,
        route: BaseRoute,
        answer: Answer,
        own_headers: dict[str, str],
    ) -> None:
        """`route` has a path that ends in the user's id; `own_headers` are its answer's."""
        assert isinstance(route, APIRoute) and policy_of(route) is OWN_HOUSEHOLD
        self._prefix, _, rest = route.path.partition("{user_id}")
        assert not rest, "the user's id is the last of the path"
        self._headers, self._application, self._route, self._answer = headers, application, route, answer
        self._own = [(name.lower().encode(), value.encode()) for name, value in own_headers.items()]
        self._dressed: WrittenHeaders | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(self._prefix):
            await self._headers(scope, receive, send)
            return
        access = cast(Access, self._application.state.access)
        found = own_household(access, scope, scope["path"][len(self._prefix) :])
        if found is None:
            await self._headers(scope, receive, send)
            return
        identity, user = found
        assert policy_taken(scope) is OWN_HOUSEHOLD, (
            "this answer does not pass the door that looks for a policy"
        )
        scope["app"], scope["route"], scope["endpoint"] = self._application, self._route, self._route.endpoint
        try:
            await access.limits.asked(identity)
            body = await self._answer(user)
        except Exception as error:
            response = await self._handled(Request(scope, receive), error)
            await self._headers.passed(response)(scope, receive, send)
            return
        headers = self._always(scope).of_body(len(body))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _always(self, scope: Scope) -> WrittenHeaders:
        """Return the headers that all these answers have; they are those of any answer to a household."""
        if self._dressed is None:
            start: Message = {"type": "http.response.start", "status": 200, "headers": self._own}
            self._headers.dress(start, scope)
            self._dressed = WrittenHeaders(start["headers"])
        return self._dressed

    async def _handled(self, request: Request, error: Exception) -> Response:
        handlers = self._application.exception_handlers
        kind = next(kind for kind in type(error).__mro__ if kind in handlers)
        # Ours are all of this form; see `problems.install`, which has one for faults of ours too.
        return await cast(Handler, handlers[kind])(request, error)
