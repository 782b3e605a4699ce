"""Query parameters that several routes share."""

import datetime
import re
from typing import Annotated

from fastapi import Query
from pydantic import BeforeValidator


def _iso_date(value: object) -> object:
    """Take dates as YYYY-MM-DD alone: a number is not a date here."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("a date is YYYY-MM-DD")
    return value


IsoDate = Annotated[datetime.date, BeforeValidator(_iso_date)]
FromDate = Annotated[
    IsoDate | None, Query(alias="from", description="The first local date.", examples=["2026-03-01"])
]
ToDate = Annotated[
    IsoDate | None, Query(alias="to", description="The local date after the last.", examples=["2026-04-01"])
]
FromNight = Annotated[
    IsoDate | None, Query(alias="from", description="The first UTC day.", examples=["2026-03-01"])
]
ToNight = Annotated[
    IsoDate | None, Query(alias="to", description="The UTC day after the last.", examples=["2026-04-01"])
]
Cursor = Annotated[
    str | None,
    Query(
        max_length=200,
        description="`next` of the page before; it holds the range, so `from` and `to` are not looked at.",
    ),
]
ListLimit = Annotated[int, Query(ge=1, le=200, description="How many items a page has at most.")]
