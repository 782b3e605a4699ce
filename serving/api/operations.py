"""How the platform does, for operators."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from serving.access.policy import OPERATIONS, Caller, guarded
from serving.api import shapes_operations
from serving.api.answers import PREFIX, described, json_answer
from serving.api.queries import Cursor
from serving.lookups.operations import OperationsLookup
from serving.render import operations as render_operations

ITEMS, ITEMS_MAX = 20, 100


def routes(lookup: OperationsLookup) -> APIRouter:
    """Return the routes of operations."""
    router = APIRouter(prefix=PREFIX, tags=["operations"], responses=described(401, 403, 429, 500))

    @router.get(
        "/operations",
        summary="The stream, the stores and the last nights",
        description="Read from the metrics of the stream's watch and of Flink, and from MySQL. What is away "
        "is null, and a note; the answer waits for none of them longer than the time limit.",
        response_model=shapes_operations.Operations,
        **guarded(OPERATIONS),
    )
    async def operations() -> Response:
        return json_answer(render_operations.operations(await lookup.operations()))

    @router.get(
        "/operations/dead-letters",
        summary="Messages that were no heartbeats",
        description="The newest first, each with where it came from, why it is one, and its first bytes.",
        response_model=shapes_operations.DeadLetters,
        responses=described(422, 503),
        **guarded(OPERATIONS),
    )
    async def dead_letters(
        cursor: Cursor = None,
        limit: Annotated[
            int, Query(ge=1, le=ITEMS_MAX, description="How many items a page has at most.")
        ] = ITEMS,
    ) -> Response:
        return json_answer(render_operations.letters(*await lookup.letters(cursor, limit)))

    @router.post(
        "/operations/dead-letters/replay",
        summary="Put a dead letter back on its topic",
        description="Its own bytes, on the topic and partition that they came from, if they are a heartbeat "
        "now: one that was ahead of the clock, or that an older version could not read. Put back twice it is "
        "doubled, which does no harm. Who did it is logged.",
        response_model=shapes_operations.Replayed,
        responses=described(404, 409, 422, 503),
        **guarded(OPERATIONS),
    )
    async def replay(asked: shapes_operations.Replay, caller: Caller) -> Response:
        letter = await lookup.replay(asked.place, asked.topic, asked.partition, asked.offset, caller.subject)
        return json_answer(render_operations.replayed(letter, lookup.now()))

    return router
