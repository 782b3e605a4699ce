"""The newest truth of several users in one statement, hence one snapshot and one T for all of it.

Each row is one text that begins with its kind: the driver and the server spend their time on columns, not on
bytes. Four plain questions in a row are planned faster than one that joins all.
"""

import datetime
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from infra.contracts.durations import DAY_MS
from infra.contracts.nightly import (
    HOUR_COLUMNS,
    HOUSEHOLDS_TABLE,
    NIGHTS_TABLE,
    REGIONS_TABLE,
    SUPERSEDED_TABLE,
    USAGE_DAYS_TABLE,
)
from infra.contracts.utility import UTILITIES
from serving.figures.household import Household
from serving.figures.truth import Revision, Truth, UsageDay
from serving.stores.queries import Rows

_UTILITIES = {utility.value: utility for utility in UTILITIES}
_HOURS = ", ".join(f"u.{column}" for column in HOUR_COLUMNS)
_HOURS_END = 7 + len(HOUR_COLUMNS)


def _day(column: str) -> str:
    return f"DATEDIFF({column}, '1970-01-01')"


def _ms(column: str) -> str:
    return f"TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {column}) DIV 1000"


_SQL = f"""
    SELECT CONCAT('T,', COALESCE({_ms("MAX(truth_until)")}, '')) FROM {NIGHTS_TABLE}
    UNION ALL
    SELECT CONCAT('n,', {_day("night")}) FROM {NIGHTS_TABLE} WHERE night >= %s
    UNION ALL
    SELECT CONCAT('h', JSON_ARRAY(h.user_id, h.kind, h.name, h.region, r.name, h.zone, h.currency))
    FROM {HOUSEHOLDS_TABLE} AS h LEFT JOIN {REGIONS_TABLE} AS r ON r.region = h.region
    WHERE h.user_id IN ({{users}})
    UNION ALL
    SELECT CONCAT_WS(',', 'u', u.user_id, {_day("u.night")}, u.utility, u.register_start, u.register_end,
        COALESCE(u.first_sent_at, ''), {_HOURS}, u.quality, u.register_offset, COALESCE(u.month_cost, ''),
        u.price_steps)
    FROM ({{asked}}) AS asked
    STRAIGHT_JOIN {NIGHTS_TABLE} AS n ON n.night >= %s
    STRAIGHT_JOIN {USAGE_DAYS_TABLE} AS u ON u.night = n.night AND u.user_id = asked.user_id
    UNION ALL
    SELECT CONCAT_WS(',', 's', s.user_id, {_day("s.night")}, s.utility, {_ms("s.known_until")}, s.reason)
    FROM {SUPERSEDED_TABLE} AS s WHERE s.user_id IN ({{users}}) AND s.night >= %s
"""


class Told(NamedTuple):
    """What a statement told of one user, as it came; T and nights are the same for all of them."""

    truth_until: int | None
    nights: frozenset[int]
    household: str | None
    rows: Sequence[str]
    superseded: Sequence[str]


def question(users: Sequence[int], since: datetime.date) -> tuple[str, tuple[object, ...]]:
    """Return the statement that asks for users' nights from a UTC day on, and its parameters."""
    asked = "SELECT %s AS user_id" + " UNION ALL SELECT %s" * (len(users) - 1)
    sql = _SQL.format(users=", ".join(["%s"] * len(users)), asked=asked)
    return sql, (since, *users, *users, since, *users, since)


def by_user(users: Sequence[int], rows: Rows) -> list[Told]:
    """Return what a statement's rows tell of each user."""
    truth_until: int | None = None
    nights = []
    households: dict[int, str] = {}
    days: dict[int, list[str]] = {user: [] for user in users}
    superseded: dict[int, list[str]] = {}
    for (text,) in rows:
        kind = text[0]
        if kind == "u":
            days[int(text[2 : text.index(",", 2)])].append(text)
        elif kind == "h":
            households[int(text[2 : text.index(",", 2)])] = text[1:]
        elif kind == "n":
            nights.append(int(text[2:]) * DAY_MS)
        elif kind == "T":
            truth_until = int(text[2:]) if len(text) > 2 else None
        else:
            superseded.setdefault(int(text[2 : text.index(",", 2)]), []).append(text)
    known = frozenset(nights)
    return [
        Told(truth_until, known, households.get(user), days[user], superseded.get(user, ())) for user in users
    ]


def truth(told: Told) -> tuple[Household | None, Truth]:
    """Return a user's household and truth of what a statement told."""
    revisions = _revisions(told.superseded) if told.superseded else {}
    rows = tuple(_usage_day(text, revisions) for text in told.rows)
    household = Household(*orjson.loads(told.household)[1:]) if told.household else None
    return household, Truth(told.truth_until, told.nights, rows)


def _usage_day(text: str, revisions: dict[tuple[str, str], Revision]) -> UsageDay:
    values = text.split(",")
    _, _, day, utility, start, end, first = values[:7]
    quality, offset, month_cost, price_steps = values[_HOURS_END:]
    return UsageDay(
        int(day) * DAY_MS,
        _UTILITIES[utility],
        int(start),
        int(end),
        int(first) if first else None,
        tuple(map(int, values[7:_HOURS_END])),
        quality,
        int(offset),
        int(month_cost) if month_cost else None,
        revisions.get((day, utility)),
        price_steps,
    )


def _revisions(superseded: Iterable[str]) -> dict[tuple[str, str], Revision]:
    """Return the newest predecessor's end and reason, by night and utility."""
    newest: dict[tuple[str, str], Revision] = {}
    for text in superseded:
        _, _, day, utility, known_until, reason = text.split(",", 5)
        revision = Revision(int(known_until), reason)
        before = newest.get((day, utility))
        if before is None or revision.at > before.at:
            newest[day, utility] = revision
    return newest
