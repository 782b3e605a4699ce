"""Nightly truth out of MySQL: one statement a user, hence one snapshot and one T for all its rows."""

import asyncio
import concurrent.futures
import contextlib
import datetime
import queue
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pymysql

from infra.contracts.nightly import (
    HOUR_COLUMNS,
    HOUSEHOLDS_TABLE,
    NIGHTS_TABLE,
    REGIONS_TABLE,
    USAGE_DAYS_TABLE,
)
from infra.contracts.utility import Utility
from serving.household import Household
from serving.regions import RegionMaster
from serving.registers import Truth, UsageDay
from serving.sources import Guard

CONNECTIONS_MAX = 4
# A connection idle for longer is tried before it is used: the server may have closed it.
IDLE_MS_MAX = 5_000
LOOPBACK = ("127.0.0.1", "::1", "localhost")

# The hours travel as one text: the driver spends its time on columns, not on bytes.
_HOURS = f"CONCAT_WS(',', {', '.join(f'u.{column}' for column in HOUR_COLUMNS)})"
# Tables and columns are constants of the contract; what comes from outside is a parameter.
_TRUTH_SQL = f"""
    SELECT (SELECT MAX(truth_until) FROM {NIGHTS_TABLE}),
           h.user_id, h.kind, h.name, h.region, r.name, h.zone,
           n.night, u.utility, u.register_start, u.register_end, u.first_sent_at, {_HOURS}
    FROM (SELECT %s AS user_id) AS asked
    LEFT JOIN {HOUSEHOLDS_TABLE} AS h ON h.user_id = asked.user_id
    LEFT JOIN {REGIONS_TABLE} AS r ON r.region = h.region
    LEFT JOIN {NIGHTS_TABLE} AS n ON n.night >= %s
    LEFT JOIN {USAGE_DAYS_TABLE} AS u ON u.user_id = asked.user_id AND u.night = n.night
"""
_REGIONS_SQL = f"SELECT region, name, zone FROM {REGIONS_TABLE}"

_Rows = Sequence[Sequence[Any]]


class MysqlSource:
    """Reads truth and master data over a pool of CONNECTIONS_MAX connections, one thread each."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        database: str,
        user: str,
        password: str,
        timeout_ms: int,
        now: Callable[[], int],
    ) -> None:
        # The driver counts whole seconds at connect only; the guard holds the exact limit.
        self._options = {
            "host": host,
            "port": port,
            "database": database,
            "user": user,
            "password": password,
            "charset": "utf8mb4",
            "autocommit": True,
            # Nobody listens between a process and its own machine.
            "ssl_disabled": host in LOOPBACK,
            "connect_timeout": max(1, timeout_ms // 1000),
            "read_timeout": timeout_ms / 1000,
            "write_timeout": timeout_ms / 1000,
        }
        self._idle: queue.LifoQueue[tuple[int, Any]] = queue.LifoQueue(CONNECTIONS_MAX)
        self._threads = concurrent.futures.ThreadPoolExecutor(CONNECTIONS_MAX, "mysql")
        self._now = now
        self._guard = Guard("MySQL", timeout_ms, now, (pymysql.MySQLError,))

    async def truth(self, user_id: int, since_ms: int) -> tuple[Household | None, Truth]:
        """See `TruthSource.truth`."""
        since = datetime.datetime.fromtimestamp(since_ms / 1000, datetime.UTC).date()
        rows = await self._ask(_TRUTH_SQL, (user_id, since))
        return _household(rows[0]), _truth(rows)

    async def regions(self) -> Mapping[str, RegionMaster]:
        """See `TruthSource.regions`."""
        rows = await self._ask(_REGIONS_SQL, ())
        return {code: RegionMaster(name, zone) for code, name, zone in rows}

    async def ping(self) -> None:
        """See `TruthSource.ping`."""
        await self._ask("SELECT 1", ())

    async def close(self) -> None:
        """See `TruthSource.close`."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        with contextlib.suppress(queue.Empty):
            while True:
                _close(self._idle.get_nowait()[1])

    async def _ask(self, sql: str, parameters: tuple[object, ...]) -> _Rows:
        loop = asyncio.get_running_loop()
        return await self._guard.ask(
            lambda: loop.run_in_executor(self._threads, self._query, sql, parameters)
        )

    def _query(self, sql: str, parameters: tuple[object, ...]) -> _Rows:
        """Run one statement on a pooled connection; one that failed is closed, not given back."""
        connection = self._connection()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                rows: _Rows = cursor.fetchall()
        except BaseException:
            _close(connection)
            raise
        self._idle.put_nowait((self._now(), connection))
        return rows

    def _connection(self) -> Any:
        """Return an idle connection that is alive, else a new one."""
        while True:
            try:
                used_at, connection = self._idle.get_nowait()
            except queue.Empty:
                return pymysql.connect(**self._options)
            if self._now() - used_at <= IDLE_MS_MAX:
                return connection
            try:
                connection.ping(reconnect=False)
            except (pymysql.MySQLError, OSError):
                _close(connection)
            else:
                return connection


def _household(row: Sequence[Any]) -> Household | None:
    _, user_id, kind, name, region, region_name, zone = row[:7]
    return None if user_id is None else Household(kind, name, region, region_name, zone)


def _truth(rows: _Rows) -> Truth:
    until = rows[0][0]
    nights = frozenset(_ms_of_night(row[7]) for row in rows if row[7] is not None)
    return Truth(
        truth_until=None if until is None else _ms(until),
        nights=nights,
        rows=tuple(_usage_day(row) for row in rows if row[8] is not None),
    )


def _usage_day(row: Sequence[Any]) -> UsageDay:
    night, utility, register_start, register_end, first_sent_at, hours = row[7:]
    return UsageDay(
        night_ms=_ms_of_night(night),
        utility=Utility(utility),
        register_start=register_start,
        register_end=register_end,
        first_sent_at=first_sent_at,
        hours=tuple(map(int, hours.split(","))),
    )


def _ms_of_night(night: datetime.date) -> int:
    return _ms(datetime.datetime.combine(night, datetime.time()))


def _ms(utc: datetime.datetime) -> int:
    return round(utc.replace(tzinfo=datetime.UTC).timestamp() * 1000)


def _close(connection: Any) -> None:
    with contextlib.suppress(pymysql.MySQLError, OSError):
        connection.close()
