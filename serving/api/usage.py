"""One household's usage over any range."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from infra.contracts.utility import Utility
from serving.access.policy import OWN_HOUSEHOLD, Owned, guarded
from serving.api import shapes_usage
from serving.api.answers import PREFIX, described, json_answer, tagged_answer
from serving.api.queries import Cursor, FromDate, ToDate
from serving.figures.usage_range import By
from serving.lookups.usage import ITEMS_INLINE_MAX, UsageLookup
from serving.render import usage as render_usage

ITEMS_MAX = 8_784  # a leap year of hours
ITEMS = 744  # a month of hours


def routes(lookup: UsageLookup) -> APIRouter:
    """Return the routes of usage over a range."""
    router = APIRouter(prefix=PREFIX, tags=["usage"], responses=described(401, 403, 429, 500, 503))

    @router.get(
        "/households/{user_id}/usage",
        summary="Usage by hour, day or month over any range",
        description="One utility's usage of the local dates [`from`, `to`), by the household's own calendar: "
        "days have 23, 24 or 25 hours. Nightly truth up to `truth_until`, live state after it. At most 366 "
        "days by hour, 10 years by day or month; by default the last 7 days, 31 days or 13 months. A page "
        "holds at most `limit` items and three years; go on with `next`. A range that is published whole has "
        "an ETag.",
        response_model=shapes_usage.UsageRange,
        responses=described(304, 404, 422),
        **guarded(OWN_HOUSEHOLD),
    )
    async def usage(
        request: Request,
        user: Owned,
        utility: Annotated[Utility, Query(description="Whose meter.")],
        by: Annotated[By, Query(description="What the range is divided into.")] = By.DAY,
        start: FromDate = None,
        end: ToDate = None,
        cursor: Cursor = None,
        limit: Annotated[
            int, Query(ge=1, le=ITEMS_MAX, description="How many items a page has at most.")
        ] = ITEMS,
    ) -> Response:
        answer = await lookup.usage(user, utility, by, start, end, cursor, limit)
        if len(answer.items) > ITEMS_INLINE_MAX:
            document = await asyncio.to_thread(render_usage.usage, answer)
        else:
            document = render_usage.usage(answer)
        return tagged_answer(request, document) if answer.past else json_answer(document)

    @router.get(
        "/households/{user_id}/summary",
        summary="The month so far with its forecast, and today beside yesterday and a week ago",
        description="Beside what `/households/{user_id}` tells every few seconds, this changes by the hour: "
        "ask when the page opens and now and then. Days and months are the household's own.",
        response_model=shapes_usage.HouseholdSummary,
        responses=described(404, 422),
        **guarded(OWN_HOUSEHOLD),
    )
    async def summary(user: Owned) -> Response:
        return json_answer(render_usage.summary(await lookup.summary(user)))

    return router
