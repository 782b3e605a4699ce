"""HTTP to look-ups and back; no rule lives here."""

from collections.abc import Callable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Response

from infra.contracts.heartbeat import USER_ID_MAX, USER_ID_MIN
from serving import problems, render, shapes
from serving.lookup import HouseholdAnswer, Lookup
from serving.sources import StoreAway, StoreState

UserId = Annotated[
    str,
    Path(
        pattern="^[1-9][0-9]{7}$",
        description=f"The user, {USER_ID_MIN} to {USER_ID_MAX}.",
        examples=["10000042"],
    ),
]


def api(lookup: Lookup, answered: Callable[[HouseholdAnswer], None]) -> APIRouter:
    """Return the routes under /api/v1; `answered` hears of every household answered for."""
    router = APIRouter(prefix="/api/v1", responses={**_problems(500, 503)})

    @router.get(
        "/households/{user_id}",
        summary="A household now, today and yesterday",
        description="Usage by the lambda equation: nightly truth up to `truth_until`, live state after "
        "it. Days are those of the household's own zone. A figure is null where no two registers prove it; "
        "notes say why.",
        response_model=shapes.HouseholdNow,
        responses=_problems(404, 422),
        tags=["households"],
    )
    async def household(user_id: UserId) -> Response:
        answer = await lookup.household(int(user_id))
        answered(answer)
        return _json(render.household(answer))

    @router.get(
        "/regions",
        summary="Usage now of every region",
        description="The summed rate, the meters heard and those silent in each region's newest window, and "
        "the country's sum over the regions that are not stale.",
        response_model=shapes.RegionsNow,
        tags=["country"],
    )
    async def regions() -> Response:
        return _json(render.regions(await lookup.regions()))

    @router.get(
        "/country",
        summary="Usage now of the country",
        description="The sum over all regions whose newest window ended at most 60 s ago.",
        response_model=shapes.CountryNow,
        tags=["country"],
    )
    async def country() -> Response:
        return _json(render.country(await lookup.regions()))

    return router


def health(lookup: Lookup) -> APIRouter:
    """Return the routes a load balancer asks."""
    router = APIRouter(tags=["health"])

    @router.get(
        "/healthz",
        summary="The process lives",
        description="Asks no store.",
        response_model=shapes.Health,
        response_model_exclude_none=True,
    )
    async def healthz() -> Response:
        return _json({"status": "ok"})

    @router.get(
        "/readyz",
        summary="The process can answer for households",
        description="Ready while at least one store answers.",
        response_model=shapes.Health,
        responses=_problems(503),
    )
    async def readyz() -> Response:
        states = await lookup.states()
        if StoreState.OK not in states.values():
            raise StoreAway("Redis and MySQL are away")
        return _json({"status": "ok", "sources": states})

    return router


def _json(document: render.Json) -> Response:
    return Response(
        orjson.dumps(document), headers={"Cache-Control": "no-store"}, media_type="application/json"
    )


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of the errors of a route."""
    titles = {
        404: "No store knows the user",
        422: "The request is malformed",
        500: "A fault of ours",
        503: "The stores that could answer are away; see Retry-After",
    }
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": titles[status], "content": {problems.MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }
