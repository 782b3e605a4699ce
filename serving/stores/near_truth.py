"""The newest truth of several users in one statement, hence one snapshot and one T for all of it.

Each row is one text, a letter for its kind and JSON: the driver and the server spend their time on columns,
not on bytes. Plain questions in a row are planned faster than one that joins all.
"""

import datetime
import functools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

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
from serving.stores.queries import Rows, ms_of_night

Row = list[Any]
_UTILITIES = {utility.value: utility for utility in UTILITIES}
_HOURS = ", ".join(f"u.{column}" for column in HOUR_COLUMNS)


def _day(column: str) -> str:
    return f"DATEDIFF({column}, '1970-01-01')"


def _text(column: str) -> str:
    return f"""CONCAT('"', {column}, '"')"""


def _ms(column: str) -> str:
    return f"TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {column}) DIV 1000"


# Of a usage day all is digits or words of ours, which JSON_ARRAY takes twice as long to put together. After
# the user come the fields of `UsageDay`; the revision is another row's.
_SQL = f"""
    SELECT CONCAT('u[', CONCAT_WS(',', u.user_id, {_day("u.night")}, {_text("u.utility")}, u.register_start,
        u.register_end, COALESCE(u.first_sent_at, 'null')), ',[', CONCAT_WS(',', {_HOURS}), '],',
        CONCAT_WS(',', {_text("u.quality")}, u.register_offset, COALESCE(u.month_cost, 'null'), 'null',
        {_text("u.price_steps")}), ']')
    FROM {USAGE_DAYS_TABLE} AS u WHERE u.user_id IN ({{users}}) AND u.night >= %s
    UNION ALL
    SELECT CONCAT('h', JSON_ARRAY(h.user_id, h.kind, h.name, h.region, r.name, h.zone, h.currency))
    FROM {HOUSEHOLDS_TABLE} AS h LEFT JOIN {REGIONS_TABLE} AS r ON r.region = h.region
    WHERE h.user_id IN ({{users}})
    UNION ALL
    SELECT CONCAT('n', JSON_ARRAY({_day("night")}, {_ms("truth_until")})) FROM {NIGHTS_TABLE}
    WHERE night >= LEAST(%s, (SELECT MAX(night) FROM {NIGHTS_TABLE}))
    UNION ALL
    SELECT CONCAT('s', JSON_ARRAY(s.user_id, {_day("s.night")}, s.utility, {_ms("s.known_until")}, s.reason))
    FROM {SUPERSEDED_TABLE} AS s WHERE s.user_id IN ({{users}}) AND s.night >= %s
"""


class Told(NamedTuple):
    """What a statement told of one user, as it came; T and nights are the same for all of them."""

    truth_until: int | None
    nights: frozenset[int]
    household: str | None
    days: Sequence[str]
    superseded: Sequence[str]


def question(users: Sequence[int], since: datetime.date) -> tuple[str, tuple[object, ...]]:
    """Return the statement that asks for users' nights from a UTC day on, and its parameters.

    It has places for a power of two of users, so that a connection knows few statements: in those left over
    the last user is named again.
    """
    places = 1 << (len(users) - 1).bit_length()
    asked = [*users, *[users[-1]] * (places - len(users))]
    return _statement(places), (*asked, since, *asked, since, *asked, since)


@functools.cache
def _statement(users: int) -> str:
    return _SQL.format(users=", ".join(["%s"] * users))


def by_user(users: Sequence[int], since: datetime.date, rows: Rows) -> list[Told]:
    """Return what a statement's rows tell of each user."""
    # Whose a row is tells its first number; what else it says is read where it is one user's alone.
    nights: list[Row] = []
    households: dict[int, str] = {}
    days: dict[int, list[str]] = {user: [] for user in users}
    superseded: dict[int, list[str]] = {user: [] for user in users}
    for (text,) in rows:
        kind, told = text[0], text[1:]
        if kind == "n":
            nights.append(orjson.loads(told))
            continue
        user = int(told[1 : told.index(",")])
        if kind == "h":
            households[user] = told
        else:
            (days if kind == "u" else superseded)[user].append(told)
    # Where no night is as new as asked for, the newest is told for its T alone.
    truth_until = max((until for _, until in nights), default=None)
    since_ms = ms_of_night(since)
    known = frozenset(day * DAY_MS for day, _ in nights if day * DAY_MS >= since_ms)
    return [Told(truth_until, known, households.get(user), days[user], superseded[user]) for user in users]


def truth(told: Told) -> tuple[Household | None, Truth]:
    """Return a user's household and truth of what a statement told."""
    revisions = _revisions(map(orjson.loads, told.superseded)) if told.superseded else {}
    rows = tuple(_usage_day(row, revisions) for row in orjson.loads(f"[{','.join(told.days)}]"))
    household = Household(*orjson.loads(told.household)[1:]) if told.household else None
    return household, Truth(told.truth_until, told.nights, rows)


def _usage_day(row: Row, revisions: dict[tuple[int, str], Revision]) -> UsageDay:
    _, day, utility, start, end, first, hours, *rest = row
    told = UsageDay(day * DAY_MS, _UTILITIES[utility], start, end, first, tuple(hours), *rest)
    return told._replace(revision=revisions.get((day, utility))) if revisions else told


def _revisions(superseded: Iterable[Row]) -> dict[tuple[int, str], Revision]:
    """Return the newest predecessor's end and reason, by night and utility."""
    newest: dict[tuple[int, str], Revision] = {}
    for _, day, utility, known_until, reason in superseded:
        revision = Revision(known_until, reason)
        before = newest.get((day, utility))
        if before is None or revision.at > before.at:
            newest[day, utility] = revision
    return newest
