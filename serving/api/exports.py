"""A household's hours as a file."""

import collections
import contextlib
import enum
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from infra.contracts.utility import UTILITIES, Utility
from serving.access.identity import OwnedUser
from serving.access.policy import OWN_HOUSEHOLD, Owned, guarded
from serving.access.refusal import Refusal
from serving.api.answers import PREFIX, described
from serving.api.held_stream import HeldStream
from serving.api.queries import FromDate, ToDate
from serving.exports import csv_file, espi, parquet_file
from serving.exports.hours import Export, Writer
from serving.lookups.exports import ExportLookup

UNDER_WAY_MAX = 4  # of a process: each reads years
UNDER_WAY_A_USER_MAX = 2  # one who asks and does not read keeps nobody else from theirs
RETRY_AFTER_S = 5


class Format(enum.StrEnum):
    """How the hours are written."""

    CSV = "csv"
    PARQUET = "parquet"
    ESPI = "espi"


# Format -> writer, media type, what the file's name ends with.
FORMATS: dict[Format, tuple[Callable[[Export], Writer], str, str]] = {
    Format.CSV: (csv_file.CsvWriter, csv_file.MEDIA_TYPE, "csv"),
    Format.PARQUET: (parquet_file.ParquetWriter, parquet_file.MEDIA_TYPE, "parquet"),
    Format.ESPI: (espi.EspiWriter, espi.MEDIA_TYPE, "xml"),
}


class Places:
    """How many exports may be under way."""

    def __init__(self) -> None:
        self._taken = 0
        self._by_user: collections.Counter[int] = collections.Counter()

    @contextlib.asynccontextmanager
    async def place(self, user: OwnedUser) -> AsyncIterator[None]:
        """Hold a place for an export of a user's hours.

        :raises Refusal: where none is free.
        """
        if self._by_user[user.user_id] >= UNDER_WAY_A_USER_MAX:
            raise Refusal(
                429,
                "too-many-exports",
                "Too many exports",
                f"{UNDER_WAY_A_USER_MAX} exports of user {user.user_id} are under way; wait for one to end",
                {"Retry-After": str(RETRY_AFTER_S)},
            )
        if self._taken >= UNDER_WAY_MAX:
            raise Refusal(
                503,
                "exports-full",
                "Too many exports",
                f"{UNDER_WAY_MAX} exports are under way here; try again soon",
                {"Retry-After": str(RETRY_AFTER_S)},
            )
        self._taken += 1
        self._by_user[user.user_id] += 1
        try:
            yield
        finally:
            self._taken -= 1
            self._by_user[user.user_id] -= 1
            self._by_user += collections.Counter()  # forgets those of none


def routes(lookup: ExportLookup) -> APIRouter:
    """Return the route of exports."""
    router = APIRouter(prefix=PREFIX, tags=["usage"], responses=described(401, 403, 429, 500, 503))
    places = Places()

    @router.get(
        "/households/{user_id}/export",
        summary="A household's hours as CSV, Parquet or Green Button",
        description="Usage, quality and cost of every hour of the local dates [`from`, `to`), at most 10 "
        "years, by default the last 31 days; of one utility, or one after the other. `espi` is Green Button: "
        "an Atom feed of ESPI resources (NAESB REQ.21). A file is whole, or it is cut off where a store goes "
        "away: then the connection ends before the answer does.",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "The file",
                "content": {
                    media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
                    for _, media_type, _ in FORMATS.values()
                },
            },
            **described(404, 422),
        },
        **guarded(OWN_HOUSEHOLD),
    )
    async def export(
        user: Owned,
        kind: Annotated[Format, Query(alias="format", description="How the hours are written.")],
        utility: Annotated[Utility | None, Query(description="Whose meter; by default all.")] = None,
        start: FromDate = None,
        end: ToDate = None,
    ) -> Response:
        utilities = UTILITIES if utility is None else (utility,)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(places.place(user))
            asked = await lookup.range(user, utilities[0], start, end)
            writer, media_type, ending = FORMATS[kind]
            name = f"meterbeat-{user.user_id}-{asked.start}-{asked.end}.{ending}"
            headers = {
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
            parts = lookup.file(user, utilities, asked, writer(asked.export))
            return HeldStream(stack.pop_all(), parts, media_type, headers)
        raise AssertionError("the stack hides no error")

    return router
