"""What a household should be told of."""

from fastapi import APIRouter, Request, Response

from serving.access.policy import OWN_HOUSEHOLD, Owned, guarded
from serving.api import shapes_user
from serving.api.answers import PREFIX, described, tagged_answer
from serving.lookups.user_lists import UserLists
from serving.render import user as render_user


def routes(lists: UserLists) -> APIRouter:
    """Return the route of a household's alerts."""
    router = APIRouter(
        prefix=PREFIX, tags=["households"], responses=described(304, 401, 403, 404, 422, 429, 500, 503)
    )

    @router.get(
        "/households/{user_id}/alerts",
        summary="Leaks, unusual base load, silent meters, and what was corrected",
        description="From what validation found in the last 15 nights, the hours of those nights, and live "
        "state. With a store away there are the alerts that the other tells of, and a note.",
        response_model=shapes_user.Alerts,
        **guarded(OWN_HOUSEHOLD),
    )
    async def alerts(request: Request, user: Owned) -> Response:
        return tagged_answer(request, render_user.alerts(user, await lists.alerts(user)))

    return router
