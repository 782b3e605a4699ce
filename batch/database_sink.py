"""One MySQL database, and the right to do something alone in it; its refusals are said in one line."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pymysql
import pymysql.cursors

from batch.night import NightRefused

CONNECT_S_MAX = 3
LOCK_WAIT_S_MAX = 30
AWAY_CODES = (2002, 2003, 2006, 2013)
LOCK_WAIT_CODES = (1205,)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class LockedOut(NightRefused):
    """Another connection held a lock on what was to be changed for longer than batch waits."""


@dataclasses.dataclass(frozen=True)
class Database:
    """One database, where it is and as whom to use it."""

    host: str
    port: int
    name: str
    user: str
    password: str = dataclasses.field(repr=False)
    lock_wait_s_max: int = LOCK_WAIT_S_MAX  # for what another connection holds

    @property
    def staging(self) -> str:
        """The database beside it in which a night is staged; nobody but batch reads there."""
        return f"{self.name}_staging"

    def connect(self) -> Any:
        """Return a connection in UTC.

        :raises NightRefused: if MySQL is away or refuses the user.
        """
        with self.refusals():
            return pymysql.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                database=self.name,
                charset="utf8mb4",
                connect_timeout=CONNECT_S_MAX,
                local_infile=True,
                # Nobody listens between a process and its own machine; ciphers take half of a load's time.
                ssl_disabled=self.host in LOOPBACK,
                init_command="SET time_zone = '+00:00', lock_wait_timeout = "
                f"{self.lock_wait_s_max}, innodb_lock_wait_timeout = {self.lock_wait_s_max}",
            )

    @contextlib.contextmanager
    def cursor(self, *, as_dicts: bool = False) -> Iterator[Any]:
        """Give a cursor that sees one snapshot, on a connection of its own; rows are tuples or dicts.

        :raises NightRefused: for every error of MySQL.
        """
        kind = pymysql.cursors.DictCursor if as_dicts else pymysql.cursors.Cursor
        with contextlib.closing(self.connect()) as connection, self.refusals():
            yield connection.cursor(kind)

    @contextlib.contextmanager
    def refusals(self) -> Iterator[None]:
        """Say what MySQL answers in one line.

        :raises NightRefused: for every error of MySQL; LockedOut if a lock was not to be had in time.
        """
        try:
            yield
        except pymysql.MySQLError as error:
            where = f"MySQL at {self.host}:{self.port}"
            code, *rest = error.args or (0,)
            if code in AWAY_CODES:
                raise NightRefused(f"{where} is away; start it with `meterbeat up`") from None
            said = " ".join(str(part) for part in rest) or type(error).__name__
            refusal = LockedOut if code in LOCK_WAIT_CODES else NightRefused
            raise refusal(f"{where} refuses: {said} ({code})") from None


class Lock:
    """The right to do something alone, held on one connection until closed.

    :raises NightRefused: with `refusal` if another process holds it, or if MySQL is away.
    """

    def __init__(self, database: Database, what: str, refusal: str) -> None:
        self._database = database
        self._name = f"{database.name}.{what}"
        self._connection = database.connect()
        self._connection.autocommit(True)
        [[held]] = self._query("SELECT GET_LOCK(%s, 0)", self._name)
        if held != 1:
            self.close()
            raise NightRefused(refusal)

    def close(self) -> None:
        """Give the right back, at once. The server does so too when this process dies."""
        # A server that is only told goodbye lets go a moment later.
        with contextlib.suppress(NightRefused):
            self._query("SELECT RELEASE_LOCK(%s)", self._name)
        with contextlib.suppress(pymysql.MySQLError):
            self._connection.close()

    def check(self) -> None:
        """Make sure that the right is still held.

        :raises NightRefused: if MySQL has taken it back.
        """
        [[held]] = self._query("SELECT IS_USED_LOCK(%s) = CONNECTION_ID()", self._name)
        if held != 1:
            raise NightRefused(f"MySQL took back the lock {self._name}; try again")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Do all of it or nothing.

        :raises LockedOut: naming the connections that held what this one waited for.
        """
        with self._database.refusals():
            self._connection.begin()
        try:
            yield
            with self._database.refusals():
                self._connection.commit()
        except BaseException as error:
            with contextlib.suppress(pymysql.MySQLError):
                self._connection.rollback()
            if isinstance(error, LockedOut):
                raise LockedOut(self._locked_out()) from None
            raise

    def _locked_out(self) -> str:
        """Return whom this connection waited for, and what to do about it."""
        rows: list[tuple[Any, ...]] = []
        with contextlib.suppress(NightRefused):
            rows = self._query("CALL lock_holders()")
        held = [
            f"connection {number} of {user}@{host}, {seconds} s old" for number, user, host, seconds in rows
        ]
        blame = ", ".join(held) or "a connection with LOCK TABLES (SHOW FULL PROCESSLIST has it)"
        return (
            f"MySQL at {self._database.host}:{self._database.port}: nothing was changed, for "
            f"{self._database.lock_wait_s_max} s tables were locked by {blame}; end it (KILL) and try again"
        )

    def _query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._database.refusals(), self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def _change(self, sql: str, values: Mapping[str, Any]) -> int:
        """Run a statement with parameters by name and return how many rows it touched."""
        with self._database.refusals(), self._connection.cursor() as cursor:
            return int(cursor.execute(sql, values or None))


def compaction_lock(database: Database) -> Lock:
    """Return the right to compact, which no other process then has.

    :raises NightRefused: if another process has it, or MySQL is away.
    """
    refusal = f"another compaction is under way for {database.name}; try again once it is done"
    return Lock(database, "compaction", refusal)
