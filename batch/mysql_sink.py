"""MySQL: a night is loaded beside the truth, verified there, and switched in by one transaction.

Staging tables are keyed as the real ones and loaded by REPLACE, so that a repeated task doubles
nothing. A named lock is held on the very connection that switches: whoever loses it cannot publish.
"""

import contextlib
import dataclasses
import datetime
import json
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pymysql
import pymysql.cursors
from pyspark.sql import DataFrame

from batch.conservation import USERS_NAMED_MAX
from batch.night import Night, NightRefused
from infra.contracts import master_data, nightly
from infra.contracts.utility import UTILITIES

CONNECT_S_MAX = 3
LOCK_WAIT_S_MAX = 30
IDS_A_QUERY = 1_000
AWAY_CODES = (2002, 2003, 2006, 2013)
TABLES = {
    nightly.USAGE_DAYS_TABLE: nightly.USAGE_DAYS_COLUMNS,
    nightly.HOUSEHOLDS_TABLE: tuple(master_data.USERS_COLUMNS),
    nightly.REGIONS_TABLE: tuple(master_data.REGIONS_COLUMNS),
}
KEYS = {nightly.HOUSEHOLDS_TABLE: "user_id", nightly.REGIONS_TABLE: "region"}
NULLABLE = ("first_sent_at",)
# MySQL assigns from left to right: published_at is judged before the checksum changes.
UPSERT_NIGHT = """
    INSERT INTO nights
        (night, truth_until, published_at, users, heartbeats,
         electricity_wh, gas_litres, water_litres, rows_checksum)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON DUPLICATE KEY UPDATE
        published_at = IF(rows_checksum = VALUES(rows_checksum), published_at, VALUES(published_at)),
        users = VALUES(users), heartbeats = VALUES(heartbeats), electricity_wh = VALUES(electricity_wh),
        gas_litres = VALUES(gas_litres), water_litres = VALUES(water_litres),
        rows_checksum = VALUES(rows_checksum)
"""


@dataclasses.dataclass(frozen=True)
class Database:
    """One database, where it is and as whom to use it."""

    host: str
    port: int
    name: str
    user: str
    password: str = dataclasses.field(repr=False)

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
                init_command="SET time_zone = '+00:00', lock_wait_timeout = "
                f"{LOCK_WAIT_S_MAX}, innodb_lock_wait_timeout = {LOCK_WAIT_S_MAX}",
            )

    @contextlib.contextmanager
    def refusals(self) -> Iterator[None]:
        """Say what MySQL answers in one line."""
        try:
            yield
        except pymysql.MySQLError as error:
            where = f"MySQL at {self.host}:{self.port}"
            code, *rest = error.args or (0,)
            if code in AWAY_CODES:
                raise NightRefused(f"{where} is away; start it with `meterbeat up`") from None
            said = " ".join(str(part) for part in rest) or type(error).__name__
            raise NightRefused(f"{where} refuses: {said} ({code})") from None


@dataclasses.dataclass(frozen=True)
class NightRow:
    """What the `nights` table says of a night."""

    users: int
    heartbeats: int
    usage_total: dict[str, int]  # by utility, in its unit
    rows_checksum: int


class Lock:
    """The right to do something alone, held on one connection until closed.

    :raises NightRefused: with `refusal` if another process holds it, or if MySQL is away.
    """

    def __init__(self, database: Database, what: str, refusal: str) -> None:
        self._database = database
        self._name = f"{database.name}.{what}"
        self._connection = database.connect()
        [[held]] = self._query("SELECT GET_LOCK(%s, 0)", self._name)
        if held != 1:
            self.close()
            raise NightRefused(refusal)

    def close(self) -> None:
        """Give the right back. The server does so too when this process dies."""
        with contextlib.suppress(pymysql.MySQLError):
            self._connection.close()

    def check(self) -> None:
        """Make sure that the right is still held.

        :raises NightRefused: if MySQL has taken it back.
        """
        [[held]] = self._query("SELECT IS_USED_LOCK(%s) = CONNECTION_ID()", self._name)
        if held != 1:
            raise NightRefused(f"MySQL took back the lock {self._name}; try again")

    def _query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._database.refusals(), self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())


def compaction_lock(database: Database) -> Lock:
    """Return the right to compact, which no other process then has.

    :raises NightRefused: if another process has it, or MySQL is away.
    """
    refusal = f"another compaction is under way for {database.name}; try again once it is done"
    return Lock(database, "compaction", refusal)


class Publication(Lock):
    """The right to publish, held on one connection until closed."""

    def __init__(self, database: Database) -> None:
        refusal = f"another night is being published into {database.name}; try again once it is done"
        super().__init__(database, "night", refusal)

    def has(self, night: Night) -> bool:
        """Whether a night is published."""
        return bool(self._query("SELECT 1 FROM nights WHERE night = %s", night.day))

    def has_before(self, night: Night) -> bool:
        """Whether any earlier night is published."""
        return bool(self._query("SELECT 1 FROM nights WHERE night < %s LIMIT 1", night.day))

    def prepare(self) -> None:
        """Make empty staging tables shaped as the real ones."""
        for table in TABLES:
            self._query(f"DROP TABLE IF EXISTS {_staging(table)}")
            self._query(f"CREATE TABLE {_staging(table)} LIKE {table}")

    def verify(self, table: str, rows: int, checksum: int) -> None:
        """Hold what MySQL staged against what Spark sent.

        :raises NightRefused: if a row is missing or any figure differs.
        """
        columns = TABLES[table]
        staged = self._query(
            f"SELECT COUNT(*), COALESCE({_checksum(columns, 'UNSIGNED')}, 0) FROM {_staging(table)}"
        )
        if staged[0] != (rows, checksum):
            raise NightRefused(
                f"{table} as staged differs from what was sent: {staged[0][0]} of {rows} rows, "
                f"checksum {staged[0][1]} not {checksum}"
            )

    def switch(self, night: Night, row: NightRow, published_at: datetime.datetime) -> None:
        """Replace the night's rows, its `nights` row and the master data, for every reader at once.

        A rerun that publishes the same rows leaves `published_at` as it was.
        """
        with self._database.refusals():
            self._connection.begin()
            self._query("DELETE FROM usage_days WHERE night = %s", night.day)
            columns = ", ".join(nightly.USAGE_DAYS_COLUMNS)
            self._query(f"INSERT INTO usage_days ({columns}) SELECT {columns} FROM {_staging('usage_days')}")
            self._query(
                UPSERT_NIGHT,
                night.day,
                night.truth_until.replace(tzinfo=None),
                published_at.astimezone(datetime.UTC).replace(tzinfo=None),
                row.users,
                row.heartbeats,
                *(row.usage_total.get(utility, 0) for utility in UTILITIES),
                row.rows_checksum,
            )
            for table, key in KEYS.items():
                self._replace_master(table, key)
            self._connection.commit()

    def differing_users(self, night: Night) -> tuple[int, list[int]]:
        """Return how many users have other rows staged than published for a night, and the first ids."""
        keys = " AND ".join(f"other.{column} = one.{column}" for column in nightly.USAGE_DAYS_COLUMNS[:3])
        same = " AND ".join(f"other.{column} <=> one.{column}" for column in nightly.USAGE_DAYS_COLUMNS[3:])
        staged, published = _staging("usage_days"), "usage_days"
        differing = f"""
            SELECT user_id FROM {staged} AS one WHERE NOT EXISTS
                (SELECT 1 FROM {published} AS other WHERE {keys} AND {same})
            UNION SELECT user_id FROM {published} AS one WHERE night = %s AND NOT EXISTS
                (SELECT 1 FROM {staged} AS other WHERE {keys})"""
        [[count]] = self._query(f"SELECT COUNT(*) FROM ({differing}) AS found", night.day)
        rows = self._query(f"{differing} ORDER BY user_id LIMIT {USERS_NAMED_MAX}", night.day)
        return count, [user_id for [user_id] in rows]

    def clear(self) -> None:
        """Drop the staging tables."""
        for table in TABLES:
            self._query(f"DROP TABLE IF EXISTS {_staging(table)}")

    def _replace_master(self, table: str, key: str) -> None:
        """Make a master table equal its staged one, touching only rows that differ."""
        columns = TABLES[table]
        updates = ", ".join(f"{column} = VALUES({column})" for column in columns if column != key)
        names = ", ".join(columns)
        self._query(f"DELETE FROM {table} WHERE {key} NOT IN (SELECT {key} FROM {_staging(table)})")
        self._query(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {_staging(table)} "
            f"ON DUPLICATE KEY UPDATE {updates}"
        )


def load(rows: DataFrame, database: Database, table: str) -> tuple[int, int]:
    """Load rows into a table's staging table from Spark's own tasks; return their number and checksum."""
    columns = TABLES[table]
    keys = columns[:3] if table == nightly.USAGE_DAYS_TABLE else columns[:1]
    frame = rows.select(*columns)

    def load_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with contextlib.closing(database.connect()) as connection:
            for batch in batches:
                _load_batch(connection, table, batch)
                connection.commit()
                yield pa.RecordBatch.from_pydict({"loaded": [batch.num_rows]})

    frame.sortWithinPartitions(*keys).mapInArrow(load_partition, "loaded BIGINT").agg(
        {"loaded": "sum"}
    ).collect()
    [sums] = frame.selectExpr("COUNT(1)", f"COALESCE({_checksum(columns, 'BIGINT')}, 0L)").collect()
    return sums[0], sums[1]


def published_rows(database: Database, day: datetime.date | None, user_ids: Sequence[int]) -> dict[str, Any]:
    """Return the published rows of some users on one night, the newest by default, as plain values.

    :raises NightRefused: if that night is not published.
    """
    with contextlib.closing(database.connect()) as connection, database.refusals():
        cursor = connection.cursor(pymysql.cursors.DictCursor)
        where, values = ("WHERE night = %s", [day]) if day else ("", [])
        cursor.execute(f"SELECT * FROM nights {where} ORDER BY truth_until DESC LIMIT 1", values)
        night = cursor.fetchone()
        if night is None:
            raise NightRefused(f"night {day} is not published" if day else "no night is published")
        rows: list[dict[str, Any]] = []
        for first in range(0, len(user_ids), IDS_A_QUERY):
            cursor.execute(
                f"SELECT {', '.join(nightly.USAGE_DAYS_COLUMNS)} FROM usage_days "
                "WHERE user_id IN %s AND night = %s ORDER BY user_id, utility",
                (list(user_ids[first : first + IDS_A_QUERY]), night["night"]),
            )
            rows += cursor.fetchall()
    plain: dict[str, Any] = json.loads(json.dumps({"night": night, "rows": rows}, default=str))
    return {**plain["night"], "rows": plain["rows"]}


def _load_batch(connection: Any, table: str, batch: pa.RecordBatch) -> None:
    """Send one Arrow batch as CSV: the server's fastest way in."""
    columns = TABLES[table]
    fields = ", ".join(f"@{column}" if column in NULLABLE else column for column in columns)
    nulls = ", ".join(f"{column} = NULLIF(@{column}, '')" for column in NULLABLE if column in columns)
    with tempfile.TemporaryDirectory(prefix="meterbeat-") as folder:
        path = pathlib.Path(folder, "rows.csv")
        pa.csv.write_csv(batch, path, pa.csv.WriteOptions(include_header=False))
        with connection.cursor() as cursor:
            cursor.execute(
                f"LOAD DATA LOCAL INFILE %s REPLACE INTO TABLE {_staging(table)} CHARACTER SET utf8mb4 "
                "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' "
                f"({fields})" + (f" SET {nulls}" if nulls else ""),
                (str(path),),
            )


def _staging(table: str) -> str:
    return f"{table}_staging"


def _checksum(columns: Sequence[str], integer: str) -> str:
    """Return an order-free checksum in the SQL of both Spark and MySQL; only the integer's name differs."""
    parts = ", ".join(f"COALESCE({column}, -1)" if column in NULLABLE else column for column in columns)
    return f"BIT_XOR(CAST(CONV(LEFT(MD5(CONCAT_WS(',', {parts})), 15), 16, 10) AS {integer}))"
