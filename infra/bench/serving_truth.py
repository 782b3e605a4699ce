"""Published nights for many users, made by MySQL itself: what `stream load` holds goes on from them.

No batch has run: the rows are what batch would publish for meters that are heard every HOURS_BETWEEN hours,
as the live state's are, so that registers of both meet at every hour. Serving cannot tell the difference.
"""

import datetime
from typing import Any

import pymysql

from infra.contracts.heartbeat import USER_ID_MIN
from infra.contracts.nightly import (
    HOUR_COLUMNS,
    HOUSEHOLDS_TABLE,
    NIGHTS_TABLE,
    REGIONS_TABLE,
    USAGE_DAYS_TABLE,
)
from infra.contracts.utility import UTILITIES
from infra.settings import Settings

METERS_A_STATEMENT = 150_000
ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
REGION = "US-NY"
# As stream/live_state_load.py has them: a meter's register at its first hour, and what it uses an hour.
REGISTER = "40000000 + meter % 1000003"
USAGE = "(meter % 3000)"
HOURS_BETWEEN = 6  # a divisor of a day's
PRICE_STEPS = "'0:25000'"


def publish(
    settings: Settings, first: int, users: int, nights: list[datetime.date], live_since: datetime.date
) -> int:
    """Publish nights for users from the first on, whose live state begins with a UTC day; return the rows.

    Only a fresh server of the bench's own is written.
    """
    with pymysql.connect(
        host=settings.mysql_host,
        port=settings.mysql_port,
        user="root",
        database=settings.mysql_database,
        autocommit=True,
    ) as connection:
        cursor = connection.cursor()
        _insert(
            cursor, REGIONS_TABLE, {"region": f"'{REGION}'", "name": "'New York'", "zone": f"'{ZONES[0]}'"}
        )
        for low, high in _parts(first, first + users):
            _insert(
                cursor, HOUSEHOLDS_TABLE, _household(), f"(SELECT seq AS user FROM seq_{low}_to_{high}) AS u"
            )
        meters = (first * len(UTILITIES), (first + users) * len(UTILITIES))
        rows = 0
        for night in nights:
            days_before = (live_since - night).days
            for low, high in _parts(*meters):
                rows += _insert(
                    cursor,
                    USAGE_DAYS_TABLE,
                    _usage_day(night, days_before),
                    f"(SELECT seq AS meter FROM seq_{low}_to_{high}) AS m",
                )
            _insert(cursor, NIGHTS_TABLE, _night(night, users))
        return rows


def _household() -> dict[str, str]:
    zones = ", ".join(f"'{zone}'" for zone in ZONES)
    return {
        "user_id": f"{USER_ID_MIN} + user",
        "kind": "'home'",
        "name": "CONCAT('Household ', user)",
        "address": "CONCAT(user, ' Main Street')",
        "region": f"'{REGION}'",
        "zone": f"ELT(1 + user % {len(ZONES)}, {zones})",
        "currency": "'USD'",
    }


def _usage_day(night: datetime.date, days_before: int) -> dict[str, str]:
    """Return a row's columns as SQL over `meter`; `days_before`: from the night's start to live state's."""
    # The day's first heartbeat is the one of its first instant, so the register before is of one earlier.
    start = f"{REGISTER} - {24 * days_before + HOURS_BETWEEN} * {USAGE}"
    utilities = ", ".join(f"'{utility}'" for utility in UTILITIES)
    end_ms = (
        round(datetime.datetime.combine(night, datetime.time(), datetime.UTC).timestamp() + 86_400) * 1_000
    )
    return {
        "user_id": f"{USER_ID_MIN} + meter DIV {len(UTILITIES)}",
        "night": f"'{night}'",
        "utility": f"ELT(1 + meter % {len(UTILITIES)}, {utilities})",
        "register_start": start,
        "register_end": f"{start} + 24 * {USAGE}",
        "register_offset": "0",
        "first_sent_at": "NULL",
        "last_sent_at": str(end_ms - 1_000),
        "heartbeats": "17280",
        "usage_total": f"24 * {USAGE}",
        "usage_estimated": "0",
        "quality": f"'{'M' * len(HOUR_COLUMNS)}'",
        "cost": f"24 * {USAGE} * 25000",
        "month_usage": f"24 * {USAGE}",
        "month_cost": f"24 * {USAGE} * 25000",
        "price_steps": PRICE_STEPS,
        "known_from": "UTC_TIMESTAMP(3)",
        "published_by": f"'{night}'",
        **{
            column: f"{HOURS_BETWEEN} * {USAGE}" if hour % HOURS_BETWEEN == 0 else "0"
            for hour, column in enumerate(HOUR_COLUMNS)
        },
    }


def _night(night: datetime.date, users: int) -> dict[str, str]:
    return {
        "night": f"'{night}'",
        "truth_until": f"'{night + datetime.timedelta(days=1)}'",
        "published_at": "UTC_TIMESTAMP(3)",
        "users": str(users),
        "heartbeats": "0",
        "electricity_wh": "0",
        "gas_litres": "0",
        "water_litres": "0",
        "rows_checksum": "0",
        "restated_from": f"'{night}'",
    }


def _insert(cursor: Any, table: str, columns: dict[str, str], source: str = "") -> int:
    """Insert what SQL expressions come to over a source; columns that the table has not are left out."""
    cursor.execute(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name = %s",
        (table,),
    )
    there = {name for (name,) in cursor.fetchall()}
    kept = {name: sql for name, sql in columns.items() if name in there}
    of = f"FROM {source}" if source else ""
    written: int = cursor.execute(
        f"INSERT INTO {table} ({', '.join(kept)}) SELECT {', '.join(kept.values())} {of}"
    )
    return written


def _parts(start: int, end: int) -> list[tuple[int, int]]:
    """Return [start, end) in parts with both ends included."""
    return [(low, min(low + METERS_A_STATEMENT, end) - 1) for low in range(start, end, METERS_A_STATEMENT)]
