"""What a load balancer and a scraper ask."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from serving.access.policy import PUBLIC, guarded
from serving.access.refusal import Refusal
from serving.api import shapes
from serving.api.answers import described, json_answer
from serving.lookups.lookup import Lookup
from serving.metrics import PATH
from serving.stores.sources import StoreAway, StoreState
from serving.web.drain import Drain


def routes(lookup: Lookup, drain: Drain, show_metrics: Callable[[Request], Awaitable[Response]]) -> APIRouter:
    """Return the routes that tell how the process is; none tells of a user."""
    router = APIRouter(tags=["health"])

    @router.get(
        "/healthz",
        summary="The process lives",
        description="Asks no store.",
        response_model=shapes.Health,
        response_model_exclude_none=True,
        **guarded(PUBLIC),
    )
    async def healthz() -> Response:
        return json_answer({"status": "ok"})

    @router.get(
        "/readyz",
        summary="The process can answer for households",
        description="Ready while at least one store answers, until the process is about to end: then 503 "
        "`draining`, while requests are still served.",
        response_model=shapes.Health,
        responses=described(503),
        **guarded(PUBLIC),
    )
    async def readyz() -> Response:
        if drain.began:
            raise Refusal(503, "draining", "About to end", "this process is about to end; ask another one")
        states = await lookup.states()
        if StoreState.OK not in states.values():
            raise StoreAway("Redis and MySQL are away")
        return json_answer({"status": "ok", "sources": states})

    @router.get(PATH, include_in_schema=False, **guarded(PUBLIC))
    async def metrics(request: Request) -> Response:
        return await show_metrics(request)

    return router
