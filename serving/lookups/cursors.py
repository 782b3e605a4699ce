"""Cursors: where the next page of a list begins, as an opaque text. Pure.

A cursor names a place in a list, never whose list it is: that is the path's to say and the token's to allow.
"""

import base64
import binascii
import datetime
from collections.abc import Sequence

import orjson

TEXT_MAX = 200
Part = str | int


class CursorRefused(ValueError):  # noqa: N818 - the name says it
    """A cursor that none of our answers gave out, or one of another list."""

    def __init__(self, why: str = "cursor is not one of this list; leave it out to begin again") -> None:
        super().__init__(why)


def cursor(kind: str, *parts: Part) -> str:
    """Return the text of a place in the list of a kind."""
    return base64.urlsafe_b64encode(orjson.dumps([kind, *parts])).rstrip(b"=").decode()


def place(kind: str, text: str, types: Sequence[type[Part]]) -> list[Part]:
    """Return the parts of a cursor.

    :raises CursorRefused: if it is not one of this kind with parts of these types.
    """
    refused = CursorRefused()
    if len(text) > TEXT_MAX:
        raise refused
    try:
        parts = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise refused from None
    if not isinstance(parts, list) or [type(part) for part in parts] != [str, *types] or parts[0] != kind:
        raise refused
    return parts[1:]


def date_of(text: str) -> datetime.date:
    """Return the date that a cursor holds.

    :raises CursorRefused: if it is none.
    """
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise CursorRefused() from None
