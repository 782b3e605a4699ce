"""One household."""

from collections.abc import Callable

from fastapi import APIRouter, Response

from serving.access.policy import OWN_HOUSEHOLD, Owned, guarded
from serving.api import shapes
from serving.api.answers import PREFIX, described, json_answer
from serving.lookups.lookup import HouseholdAnswer, Lookup
from serving.render import household as render


def routes(lookup: Lookup, answered: Callable[[HouseholdAnswer], None]) -> APIRouter:
    """Return the routes of a household; `answered` hears of every one answered for."""
    router = APIRouter(prefix=PREFIX, tags=["households"], responses=described(401, 403, 429, 500, 503))

    @router.get(
        "/households/{user_id}",
        summary="A household now, today and yesterday",
        description="Usage by the lambda equation: nightly truth up to `truth_until`, live state after "
        "it. Days are those of the household's own zone. A figure is null where no two registers prove it; "
        "notes say why.",
        response_model=shapes.HouseholdNow,
        responses=described(404, 422),
        **guarded(OWN_HOUSEHOLD),
    )
    async def household(user: Owned) -> Response:
        answer = await lookup.household(user)
        answered(answer)
        return json_answer(render.household(answer))

    return router
