"""MySQL's connections for questions about a user: on the event loop, as a thread costs more than its answer.

Few rows come, so reading them holds nobody up. What may bring many is asked in threads (mysql_source.py).
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import asyncmy
from asyncmy.errors import MySQLError

from serving.stores.queries import Rows
from serving.stores.sources import Guard

# A connection idle for longer is tried before it is used: the server may have closed it.
IDLE_MS_MAX = 5_000
# So many statements a connection keeps prepared: what is asked again, the server need not read again.
STATEMENTS_MAX = 32


class UserConnections:
    """At most so many connections, and a time limit on every question."""

    def __init__(
        self, options: Mapping[str, Any], connections_max: int, timeout_ms: int, now: Callable[[], int]
    ) -> None:
        """`options` are pymysql's, which asyncmy shares but for TLS."""
        plain = options["ssl_disabled"]
        self._options = {name: value for name, value in options.items() if name != "ssl_disabled"}
        self._options["ssl"] = None if plain else _preferred_tls()
        self._options["connect_timeout"] = timeout_ms / 1000
        self._options["stmt_cache_size"] = STATEMENTS_MAX
        self._places = asyncio.Semaphore(connections_max)
        self._idle: list[tuple[int, Any]] = []
        self._now = now
        self._guard = Guard("MySQL", timeout_ms, now, (MySQLError,))

    async def close(self) -> None:
        """Close all connections that nobody uses; those in use are closed by whoever does."""
        while self._idle:
            _, connection = self._idle.pop()
            with contextlib.suppress(MySQLError, OSError):
                await connection.ensure_closed()

    async def ask(self, sql: str, parameters: tuple[object, ...]) -> Rows:
        """Return the rows of one statement.

        :raises StoreAway: where MySQL did not answer in time.
        """
        return await self._guard.ask(lambda: self._ask(sql, parameters))

    async def _ask(self, sql: str, parameters: tuple[object, ...]) -> Rows:
        """Run one statement on a pooled connection; one that failed, or was given up, is closed."""
        async with self._places:
            connection = await self._connection()
            try:
                async with connection.cursor() as cursor:
                    await cursor.execute(sql, parameters)
                    rows: Rows = await cursor.fetchall()
            except BaseException:
                connection.close()
                raise
            self._idle.append((self._now(), connection))
            return rows

    async def _connection(self) -> Any:
        """Return an idle connection that is alive, else a new one."""
        while self._idle:
            used_at, connection = self._idle.pop()
            if self._now() - used_at <= IDLE_MS_MAX:
                return connection
            try:
                await connection.ping(reconnect=False)
            except (MySQLError, OSError):
                connection.close()
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        return await asyncmy.connect(**self._options)


def _preferred_tls() -> ssl.SSLContext:
    """Return TLS as pymysql has it unless told otherwise: used where the server has it, without its name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
