"""How well each night is known."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from serving.access.policy import COUNTRY, guarded
from serving.api import shapes_country
from serving.api.answers import PREFIX, described, tagged_answer
from serving.api.queries import Cursor, IsoDate, ListLimit
from serving.lookups.country import CountryLookup
from serving.render import country as render_country

ITEMS = 50


def routes(lookup: CountryLookup, now: Callable[[], int]) -> APIRouter:
    """Return the routes of nights; `now` tells ms since 1970."""
    router = APIRouter(
        prefix=PREFIX, tags=["quality"], responses=described(304, 401, 403, 422, 429, 500, 503)
    )

    @router.get(
        "/quality",
        summary="What validation and reconciliation came to in a night",
        description="Of the UTC day `night`, by default the newest that is published. No user is told of.",
        response_model=shapes_country.Quality,
        responses=described(404),
        **guarded(COUNTRY),
    )
    async def quality(
        request: Request,
        night: Annotated[IsoDate | None, Query(description="A UTC day.", examples=["2026-03-08"])] = None,
    ) -> Response:
        found, counts = await lookup.quality(night)
        return tagged_answer(request, render_country.quality(found, counts, now()))

    @router.get(
        "/quality/nights",
        summary="All published nights",
        description="The newest first.",
        response_model=shapes_country.Nights,
        **guarded(COUNTRY),
    )
    async def nights(request: Request, cursor: Cursor = None, limit: ListLimit = ITEMS) -> Response:
        return tagged_answer(request, render_country.nights(*await lookup.nights(cursor, limit), now()))

    return router
