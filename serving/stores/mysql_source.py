"""MySQL as one source: what is asked is in the modules of queries, users' connections in another.

What is asked over all users or regions, or over years of one user, has a pool and a limit of its own: no
household waits behind it, and MySQL is not thought to be away because that took too long.
"""

import asyncio
import contextlib
import queue
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pymysql

from serving.access.identity import OwnedUser
from serving.figures.household import Household
from serving.figures.truth import Truth
from serving.stores import near_truth
from serving.stores.alert_queries import AlertQueries
from serving.stores.country_queries import CountryQueries
from serving.stores.invoice_queries import InvoiceQueries
from serving.stores.mysql_user_source import IDLE_MS_MAX, UserConnections
from serving.stores.quality_queries import QualityQueries
from serving.stores.queries import Rows, night_of_ms
from serving.stores.sources import Guard
from serving.stores.usage_queries import UsageQueries
from serving.threads import Threads
from serving.together import each

CONNECTIONS_MAX = 4
WIDE_CONNECTIONS_MAX = 2
WIDE_TIMES = 4  # as long as one user's may take
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class MysqlSource(UsageQueries, AlertQueries, InvoiceQueries, CountryQueries, QualityQueries):
    """Reads truth and master data."""

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
        options = {
            "host": host,
            "port": port,
            "database": database,
            "user": user,
            "password": password,
            "charset": "utf8mb4",
            "autocommit": True,
            # Nobody listens between a process and its own machine.
            "ssl_disabled": host in LOOPBACK,
        }
        self._users = UserConnections(options, CONNECTIONS_MAX, timeout_ms, now)
        self._wide = _WideConnections(options, WIDE_CONNECTIONS_MAX, WIDE_TIMES * timeout_ms, now)

    async def ping(self) -> None:
        """See `TruthSource.ping`."""
        await self.ask("SELECT 1", ())

    async def close(self) -> None:
        """See `TruthSource.close`."""
        await asyncio.gather(self._users.close(), self._wide.close())

    async def truth(self, user: OwnedUser, since_ms: int) -> tuple[Household | None, Truth]:
        """See `TruthSource.truth`."""
        [told] = await self._told([user], since_ms)
        return near_truth.truth(told)

    async def truth_of_each(
        self, users: Sequence[OwnedUser], since_ms: int
    ) -> list[tuple[Household | None, Truth] | Exception]:
        """See `TruthSource.truth_of_each`."""
        return each(near_truth.truth, await self._told(users, since_ms))

    async def _told(self, users: Sequence[OwnedUser], since_ms: int) -> list[near_truth.Told]:
        user_ids, since = list(dict.fromkeys(user.user_id for user in users)), night_of_ms(since_ms)
        rows = await self.ask(*near_truth.question(user_ids, since))
        told = dict(zip(user_ids, near_truth.by_user(user_ids, since, rows), strict=True))
        return [told[user.user_id] for user in users]

    async def ask(self, sql: str, parameters: tuple[object, ...]) -> Rows:
        """See `Queries.ask`."""
        return await self._users.ask(sql, parameters)

    async def ask_wide(self, sql: str, parameters: tuple[object, ...]) -> Rows:
        """See `Queries.ask_wide`."""
        return await self._wide.ask(sql, parameters)


class _WideConnections:
    """At most so many connections, one thread each, and a time limit on every question."""

    def __init__(
        self, options: Mapping[str, Any], connections_max: int, timeout_ms: int, now: Callable[[], int]
    ) -> None:
        # The driver counts whole seconds at connect only; the guard holds the exact limit.
        self._options = {
            **options,
            "connect_timeout": max(1, timeout_ms // 1000),
            "read_timeout": timeout_ms / 1000,
            "write_timeout": timeout_ms / 1000,
        }
        self._idle: queue.LifoQueue[tuple[int, Any]] = queue.LifoQueue(connections_max)
        self._threads = Threads(connections_max, "mysql")
        self._now = now
        self._guard = Guard("MySQL", timeout_ms, now, (pymysql.MySQLError,))

    async def close(self) -> None:
        """Wait for what is being asked, and close all connections."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        with contextlib.suppress(queue.Empty):
            while True:
                _close(self._idle.get_nowait()[1])

    async def ask(self, sql: str, parameters: tuple[object, ...]) -> Rows:
        """Return the rows of one statement.

        :raises StoreAway: where MySQL did not answer in time.
        """
        loop = asyncio.get_running_loop()
        return await self._guard.ask(
            lambda: loop.run_in_executor(self._threads, self._query, sql, parameters)
        )

    def _query(self, sql: str, parameters: tuple[object, ...]) -> Rows:
        """Run one statement on a pooled connection; one that failed is closed, not given back."""
        connection = self._connection()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                rows: Rows = cursor.fetchall()
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


def _close(connection: Any) -> None:
    with contextlib.suppress(pymysql.MySQLError, OSError):
        connection.close()
