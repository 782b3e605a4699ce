"""What is published, what was, and what each night's run changed of what was published before."""

import dataclasses
import datetime
import json
from collections.abc import Iterator, Sequence
from typing import Any

from batch.database_sink import Database
from batch.night import NightRefused
from infra.contracts import nightly
from infra.contracts.utility import UTILITIES

IDS_A_QUERY = 1_000
VERSION_COLUMNS = (*nightly.USAGE_DAYS_COLUMNS, "known_from")


@dataclasses.dataclass(frozen=True)
class Restated:
    """What one night's runs changed of rows that were published, for one reason."""

    reason: str
    users: int
    usage_delta: dict[str, int]  # by utility, in its unit: what was added to usage_total


def published_rows(database: Database, day: datetime.date | None, user_ids: Sequence[int]) -> dict[str, Any]:
    """Return the published rows of some users on one night, the newest by default, as plain values.

    :raises NightRefused: if that night is not published.
    """
    with database.cursor(as_dicts=True) as cursor:
        where, values = ("WHERE night = %s", [day]) if day else ("", [])
        cursor.execute(f"SELECT * FROM nights {where} ORDER BY truth_until DESC LIMIT 1", values)
        night = cursor.fetchone()
        if night is None:
            raise NightRefused(f"night {day} is not published" if day else "no night is published")
        rows: list[dict[str, Any]] = []
        for some in _slices(user_ids):
            cursor.execute(
                f"SELECT {', '.join(nightly.USAGE_DAYS_COLUMNS)} FROM usage_days "
                "WHERE user_id IN %s AND night = %s ORDER BY user_id, utility",
                (some, night["night"]),
            )
            rows += cursor.fetchall()
    plain: dict[str, Any] = json.loads(json.dumps({"night": night, "rows": rows}, default=str))
    return {**plain["night"], "rows": plain["rows"]}


def fingerprints(database: Database, days: Sequence[datetime.date]) -> dict[datetime.date, str]:
    """Return what the archive held when nights were computed, of those that are published.

    :raises NightRefused: if MySQL is away.
    """
    if not days:
        return {}
    with database.cursor() as cursor:
        cursor.execute("SELECT night, archive_fingerprint FROM nights WHERE night IN %s", ([*days],))
        return dict(cursor.fetchall())


def rows_as_known(
    database: Database,
    user_ids: Sequence[int],
    night_from: datetime.date,
    night_to: datetime.date,
    at: datetime.datetime,
) -> list[dict[str, Any]]:
    """Return the rows of users in the nights [night_from, night_to) as they were known at an instant (aware).

    By user, night and utility: the columns of `usage_days`, `known_from`, and `known_until` and `reason`,
    which are None for a version without a successor. Instants are in UTC, without a zone.
    """
    columns = ", ".join(VERSION_COLUMNS)
    where = "WHERE user_id IN %(users)s AND night >= %(first)s AND night < %(end)s AND known_from <= %(at)s"
    instant = at.astimezone(datetime.UTC).replace(tzinfo=None)
    found: list[dict[str, Any]] = []
    with database.cursor(as_dicts=True) as cursor:
        for users in _slices(sorted(user_ids)):
            cursor.execute(
                f"SELECT {columns}, NULL AS known_until, NULL AS reason FROM usage_days {where} UNION ALL "
                f"SELECT {columns}, known_until, reason FROM usage_days_superseded {where} "
                "AND known_until > %(at)s ORDER BY user_id, night, utility",
                {"users": users, "first": night_from, "end": night_to, "at": instant},
            )
            found += cursor.fetchall()
    return found


def restated(database: Database, night_by: datetime.date) -> list[Restated]:
    """Return what the runs of a night changed of what was published: by reason, how many users, by how much.

    A row that went without a successor counts with all of its usage.
    """
    after = "COALESCE(current.usage_total, next.usage_total, 0)"
    sums = ", ".join(
        f"SUM(IF(old.utility = '{utility}', {after} - old.usage_total, 0))" for utility in UTILITIES
    )
    match = " AND ".join(f"{{0}}.{column} = old.{column}" for column in nightly.USAGE_DAYS_COLUMNS[:3])
    match += " AND {0}.known_from = old.known_until"
    with database.cursor() as cursor:
        cursor.execute(
            f"SELECT old.reason, COUNT(DISTINCT old.user_id), {sums} FROM usage_days_superseded AS old "
            f"LEFT JOIN usage_days AS current ON {match.format('current')} "
            f"LEFT JOIN usage_days_superseded AS next ON {match.format('next')} "
            "WHERE old.night_by = %s GROUP BY old.reason ORDER BY old.reason",
            (night_by,),
        )
        rows = cursor.fetchall()
    return [
        Restated(
            reason, users, {str(utility): int(sum_) for utility, sum_ in zip(UTILITIES, deltas, strict=True)}
        )
        for reason, users, *deltas in rows
    ]


def _slices(user_ids: Sequence[int]) -> Iterator[list[int]]:
    for first in range(0, len(user_ids), IDS_A_QUERY):
        yield [*user_ids[first : first + IDS_A_QUERY]]
