"""One household."""

from collections.abc import Callable, Sequence

import orjson
from fastapi import APIRouter, Response

from serving.access.identity import OwnedUser
from serving.access.policy import OWN_HOUSEHOLD, Owned, guarded
from serving.api import shapes
from serving.api.answers import JSON, NOT_KEPT, PREFIX, described
from serving.lookups.lookup import HouseholdAnswer, Lookup
from serving.render import household as render
from serving.together import APART_S, Together, each
from serving.web.short_way import Answer

USERS_TOGETHER_MAX = 32
ANSWERS_UNDER_WAY_MAX = 2
HEADERS = {**NOT_KEPT, "Content-Type": JSON}


def answer(lookup: Lookup, answered: Callable[[HouseholdAnswer], None]) -> Answer:
    """Return what answers for a household, as JSON, together with those who ask at about the same time.

    `answered` hears of every one answered for.
    """

    def body(found: HouseholdAnswer) -> bytes:
        answered(found)
        return orjson.dumps(render.household(found))

    async def of_households(users: Sequence[OwnedUser]) -> list[bytes | Exception]:
        return each(body, await lookup.households(users))

    return Together(of_households, USERS_TOGETHER_MAX, ANSWERS_UNDER_WAY_MAX, APART_S).ask


def routes(answer: Answer) -> APIRouter:
    """Return the routes of a household."""
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
        return Response(await answer(user), headers=HEADERS)

    return router
