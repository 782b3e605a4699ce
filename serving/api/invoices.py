"""A household's invoices, and what was told of its usage before."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from infra.contracts.utility import Utility
from serving.access.policy import OWN_HOUSEHOLD, Owned, guarded
from serving.api import shapes_user
from serving.api.answers import PREFIX, described, tagged_answer
from serving.api.queries import Cursor, FromNight, ListLimit, ToNight
from serving.lookups.user_lists import UserLists
from serving.render import user as render_user

ITEMS = 50
Number = Annotated[
    str,
    Path(
        pattern="^[0-9]{4}-[0-9]{2}-[1-9][0-9]{7}-[1-9][0-9]{0,5}(-credit)?$",
        description="The number of an invoice or credit.",
        examples=["2026-10-10000042-1"],
    ),
]


def routes(lists: UserLists) -> APIRouter:
    """Return the routes of a household's invoices and revisions."""
    router = APIRouter(prefix=PREFIX, responses=described(304, 401, 403, 404, 422, 429, 500, 503))

    @router.get(
        "/households/{user_id}/invoices",
        summary="All invoices and credits",
        description="The newest month first. What is owed for a month is the sum over all its documents; "
        "the one that `stands` is the invoice that no credit reverses.",
        response_model=shapes_user.Invoices,
        tags=["invoices"],
        **guarded(OWN_HOUSEHOLD),
    )
    async def invoices(
        request: Request, user: Owned, cursor: Cursor = None, limit: ListLimit = ITEMS
    ) -> Response:
        page = await lists.invoices(user, cursor, limit)
        return tagged_answer(request, render_user.invoices(user, page))

    @router.get(
        "/households/{user_id}/invoices/{number}",
        summary="One invoice or credit with its lines",
        description="A number that is another's is as unknown as one that does not exist.",
        response_model=shapes_user.InvoiceDetail,
        tags=["invoices"],
        **guarded(OWN_HOUSEHOLD),
    )
    async def invoice(request: Request, user: Owned, number: Number) -> Response:
        return tagged_answer(request, render_user.invoice(user, *await lists.invoice(user, number)))

    @router.get(
        "/households/{user_id}/usage/{utility}/revisions",
        summary="What was told of usage before, and why it changed",
        description="Each published figure of a UTC day that a later one took the place of, for the days "
        "[`from`, `to`); by default the last 366. At most 10 years.",
        response_model=shapes_user.Revisions,
        tags=["usage"],
        **guarded(OWN_HOUSEHOLD),
    )
    async def revisions(
        request: Request,
        user: Owned,
        utility: Utility,
        start: FromNight = None,
        end: ToNight = None,
        cursor: Cursor = None,
        limit: ListLimit = ITEMS,
    ) -> Response:
        page = await lists.revisions(user, utility, start, end, cursor, limit)
        return tagged_answer(request, render_user.revisions(user, utility, page))

    return router
