"""The regions and the country."""

from fastapi import APIRouter, Response

from serving.access.policy import COUNTRY, guarded
from serving.api import shapes
from serving.api.answers import PREFIX, described, json_answer
from serving.lookups.lookup import Lookup
from serving.render import household as render


def routes(lookup: Lookup) -> APIRouter:
    """Return the routes of the regions and the country."""
    router = APIRouter(prefix=PREFIX, tags=["country"], responses=described(401, 403, 429, 500, 503))

    @router.get(
        "/regions",
        summary="Usage now of every region",
        description="The summed rate, the meters heard and those silent in each region's newest window, and "
        "the country's sum over the regions that are not stale.",
        response_model=shapes.RegionsNow,
        **guarded(COUNTRY),
    )
    async def regions() -> Response:
        return json_answer(render.regions(await lookup.regions()))

    @router.get(
        "/country",
        summary="Usage now of the country",
        description="The sum over all regions whose newest window ended at most 60 s ago.",
        response_model=shapes.CountryNow,
        **guarded(COUNTRY),
    )
    async def country() -> Response:
        return json_answer(render.country(await lookup.regions()))

    return router
