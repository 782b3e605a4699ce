"""Regions and the country over time."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from infra.contracts.utility import Utility
from serving.access.policy import COUNTRY, guarded
from serving.api import shapes_country
from serving.api.answers import PREFIX, described, json_answer, tagged_answer
from serving.api.queries import Cursor, FromNight, ToNight
from serving.figures.usage_range import By
from serving.lookups.country import AskedUsage, CountryLookup, RegionUsageAnswer
from serving.lookups.load import LoadLookup
from serving.lookups.usage import ITEMS_INLINE_MAX
from serving.render import country as render_country

ITEMS = 744
ITEMS_MAX = 8_784
Code = Annotated[
    str,
    Path(
        pattern="^([A-Z]{2}-[A-Z0-9]{1,3}|other)$",
        description="ISO 3166-2, or `other` for the regions that are not shown singly.",
        examples=["US-NY"],
    ),
]
RANGE = (
    "Published usage of the UTC days [`from`, `to`), up to `truth_until`. At most 366 days by hour, 10 years "
    "by day; by default the last 7 or 31 days. "
)


async def _asked(
    utility: Annotated[Utility, Query(description="Whose usage.")],
    by: Annotated[str, Query(pattern="^(hour|day)$", description="hour or day.", examples=["day"])] = "day",
    start: FromNight = None,
    end: ToNight = None,
    cursor: Cursor = None,
    limit: Annotated[
        int, Query(ge=1, le=ITEMS_MAX, description="How many items a page has at most.")
    ] = ITEMS,
) -> AskedUsage:
    return AskedUsage(utility, By(by), start, end, cursor, limit)


Asked = Annotated[AskedUsage, Depends(_asked)]


def routes(lookup: CountryLookup, loads: LoadLookup) -> APIRouter:
    """Return the routes of one region, and of regions and the country over time."""
    router = APIRouter(prefix=PREFIX, tags=["country"], responses=described(401, 403, 422, 429, 500, 503))

    @router.get(
        "/regions/{code}",
        summary="Usage now of one region",
        description="As `/regions` tells it. A region that is not shown singly is a 404 of its own kind.",
        response_model=shapes_country.RegionNow,
        responses=described(404),
        **guarded(COUNTRY),
    )
    async def region(code: Code) -> Response:
        return json_answer(render_country.region_now(await lookup.region(code), code))

    @router.get(
        "/regions/{code}/usage",
        summary="Usage of one region by hour or day",
        description=RANGE
        + "Days on which the region was not shown singly have no figure, and a note; a page "
        "reads at most 124 days.",
        response_model=shapes_country.RegionUsage,
        responses=described(304, 404),
        **guarded(COUNTRY),
    )
    async def region_usage(request: Request, code: Code, asked: Asked) -> Response:
        return await _answered(request, await lookup.usage(code, asked))

    @router.get(
        "/country/usage",
        summary="Usage of the country by hour or day",
        description=RANGE + "A page reads at most 366 days.",
        response_model=shapes_country.CountryUsage,
        responses=described(304),
        **guarded(COUNTRY),
    )
    async def country_usage(request: Request, asked: Asked) -> Response:
        return await _answered(request, await lookup.usage(None, asked))

    @router.get(
        "/country/load",
        summary="The country's load over the last day, and today's forecast",
        description="The summed rate of all regions by 5 minutes, for 24 hours up to now, from live state; "
        "at most 15 s old, or a minute while a newer one is asked for. `forecast` has each hour of today: "
        "what the newest published night, "
        "`forecast_from`, used in that hour, scaled by today's finished hours against the same ones of it.",
        response_model=shapes_country.CountryLoad,
        **guarded(COUNTRY),
    )
    async def country_load() -> Response:
        return json_answer(render_country.load(await loads.load()))

    return router


async def _answered(request: Request, answer: RegionUsageAnswer) -> Response:
    if len(answer.items) > ITEMS_INLINE_MAX:
        document = await asyncio.to_thread(render_country.usage, answer)
    else:
        document = render_country.usage(answer)
    return tagged_answer(request, document) if answer.past else json_answer(document)
