"""Drops a day's hours from live state once batch has published them: MySQL has them then.

First the instant is kept in Redis, which makes the fold drop what it comes by; then a sweep goes over all
users, in calls so short and so far apart that Redis stays free for others. Repeating it changes nothing.
"""

import dataclasses
import datetime
import time
from collections.abc import Callable

from stream.redis_sink import LiveStore, told_when_away

USERS_PER_CALL = 500  # about 2 ms of Redis' time
SHARE_MAX = 0.25  # of Redis' time that a sweep takes
INSTANT = "ISO 8601 instant with Z or offset, or ms since 1970."


class InstantError(ValueError):
    """An instant that cannot be one up to which batch has published: names it and what it must be."""


@dataclasses.dataclass(frozen=True)
class Expired:
    """A sweep: up to which instant (ms), over how many users, and how many of them had older hours."""

    until_ms: int
    users: int
    users_changed: int

    def __str__(self) -> str:
        return f"{self.users_changed} of {self.users} users had hours from before {self.until_ms} ms"


def instant_ms(text: str, now_ms: int) -> int:
    """Return ms since 1970 of an ISO 8601 time with an offset, or of a number of ms.

    :raises InstantError: if it is neither, or after now, when batch has published nothing yet.
    """
    try:
        at = int(text) if text.isdecimal() else _parsed(text)
    except ValueError:
        raise InstantError(
            f"instant is {text!r}, not an ISO 8601 time with an offset such as 2026-03-30T00:00Z, nor ms"
        ) from None
    if not 0 < at <= now_ms:
        raise InstantError(
            f"instant is {text!r}, not one of the past; give the one up to which batch has published"
        )
    return at


def _parsed(text: str) -> int:
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return int(moment.timestamp()) * 1000


def expire(url: str, until_ms: int, pause: Callable[[float], None] = time.sleep) -> Expired:
    """Keep the instant and drop every user's hours from before it; an earlier one than was kept is ignored.

    :raises RedisAwayError: if Redis does not answer; what was dropped stays dropped, and it can be repeated.
    """
    with told_when_away(url):
        store = LiveStore(url)
        until_ms = store.publish(until_ms)
        cursor, users, users_changed = 0, 0, 0
        while True:
            began = time.monotonic()
            cursor, seen, changed = store.drop_published(cursor, USERS_PER_CALL)
            users, users_changed = users + seen, users_changed + changed
            if not cursor:
                return Expired(until_ms, users, users_changed)
            pause((time.monotonic() - began) * (1 / SHARE_MAX - 1))
