"""A way past the framework for the one route that nearly every request takes.

The framework finds a route, looks through its dependencies and answers by it in more time than a household's
figures take. Here the same guard is asked and the same answer made, by the route as it is declared.
"""

from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.access.identity import USER_ID, OwnedUser
from serving.access.policy import Guard, policy_of

Answer = Callable[[OwnedUser], Awaitable[Response]]
Handler = Callable[[Request, Exception], Awaitable[Response]]


class ShortWay:
    """Takes GETs of a user's route whose path is that of the route to the letter; all else goes on.

    `route` has a scoped policy, a path that ends in the user's id and an endpoint that takes the user alone.
    """

    def __init__(self, app: ASGIApp, *, route: BaseRoute, application: FastAPI) -> None:
        assert isinstance(route, APIRoute)
        policy = policy_of(route)
        assert policy is not None and policy.scoped, "only what is a user's own is taken by a short way"
        self._app = app
        self._route = route
        self._prefix, _, rest = route.path.partition("{user_id}")
        assert not rest, "the user's id is the last of the path"
        self._guard = Guard(policy)
        self._answer: Answer = route.endpoint
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        user_id = self._user_id(scope)
        if user_id is None:
            await self._app(scope, receive, send)
            return
        scope["route"], scope["endpoint"] = self._route, self._route.endpoint
        scope["path_params"] = {"user_id": user_id}
        request = Request(scope, receive)
        try:
            await self._guard(request)
            response = await self._answer(request.state.owned)
        except Exception as error:
            handler = self._handler(error)
            if handler is None:
                raise
            response = await handler(request, error)
        await response(scope, receive, send)

    def _handler(self, error: Exception) -> Handler | None:
        """Return what answers an error, None for a fault of ours, which the framework answers and logs."""
        handlers = self._application.exception_handlers
        kinds = (kind for kind in type(error).__mro__ if kind is not Exception and kind in handlers)
        kind = next(kinds, None)
        # Ours are all of this form; see `problems.install`.
        return cast(Handler, handlers[kind]) if kind else None

    def _user_id(self, scope: Scope) -> str | None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(self._prefix):
            return None
        user_id: str = scope["path"][len(self._prefix) :]
        return user_id if USER_ID.fullmatch(user_id) else None
