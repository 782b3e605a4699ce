"""Small nights on real S3 and MySQL: batch's commands in this process, and days of heartbeats by hand."""

import contextlib
import dataclasses
import io
import json
import pathlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pymysql
import pymysql.cursors
import pytest
from pyspark import SparkContext
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from batch import __main__ as commands
from batch import session
from batch.bucket_sink import Bucket
from batch.database_sink import Database
from batch.night import Night
from infra.contracts import archive
from infra.contracts.utility import UTILITIES, Utility
from infra.mysql import server as mysql
from infra.s3 import server as s3
from infra.settings import Settings
from simulator.tables import schema_of
from tests.support.spark import FOR_FEW_ROWS, started

STORES_ONLY = {  # a platform of S3 and MySQL: what is elsewhere is not started
    "kafka_bootstrap": "elsewhere:9092",
    "redis_url": "redis://elsewhere:6379/0",
    "flink_rest": "http://elsewhere:8081",
}
BEATS_AN_HOUR = 720
INTERVAL_MS = 5_000
PHASE_MS = 1_234
SELDOM = 12  # one heartbeat a minute: enough of a meter that nothing happens to
REGISTER_FIRST = 1_000_000
TABLES = (
    *("nights", "nights_superseded", "usage_days", "usage_days_superseded", "findings"),
    *("findings_superseded", "reconciliations", "reconciliations_superseded", "households", "regions"),
    *("region_days", "usage_days_claims"),
)
FOR_MANY_ROWS = {  # as batch/session.py leaves it
    "spark.sql.shuffle.partitions": "8",
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
    "spark.sql.adaptive.enabled": "true",
}
SCHEMA = schema_of(archive.COLUMNS)


@contextlib.contextmanager
def running_spark(settings: Settings, scratch: pathlib.Path) -> Iterator[SparkSession]:
    """Yield a session for a handful of rows. Its JVM ends with it: the next one may start with other jars."""
    spark = started(
        scratch,
        jars=settings.jars / "spark",
        s3_endpoint=settings.s3_endpoint,
        s3_region=settings.s3_region,
        s3_access_key=settings.s3_access_key,
        s3_secret_key=settings.s3_secret_key,
    )
    try:
        yield spark
    finally:
        spark.stop()
        jvm = SparkContext._gateway  # type: ignore[attr-defined]
        SparkContext._gateway = SparkContext._jvm = None  # type: ignore[attr-defined]
        jvm.shutdown()
        jvm.proc.stdin.close()  # which it takes as the word to end
        jvm.proc.wait(timeout=30)


@dataclasses.dataclass(frozen=True)
class Done:
    """How a command of batch ended, and what it said on standard output and standard error."""

    code: int
    answer: str
    said: str

    @property
    def lines(self) -> list[Any]:
        """The answer's lines, each of them JSON."""
        return [json.loads(line) for line in self.answer.splitlines()]

    @property
    def refusal(self) -> str:
        """Why the command failed: the one line that is not of a stage's time."""
        assert self.code == 1, self.said
        assert "Traceback" not in self.said
        [line] = [line for line in self.said.splitlines() if not line.endswith(" s")]
        return line


@dataclasses.dataclass(frozen=True)
class Stores:
    """A bucket and a database of one's own, and the commands of batch on them with a session that goes on."""

    settings: Settings
    spark: SparkSession

    @property
    def bucket(self) -> Bucket:
        """The bucket as batch sees it."""
        return commands.bucket_of(self.settings)

    @property
    def database(self) -> Database:
        """The database as batch sees it."""
        return commands.database_of(self.settings)

    def batch(self, *arguments: str) -> Done:
        """Run a command of batch to its end."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(session, "start", lambda **_: self.spark)
            patch.setattr(self.spark, "stop", lambda: None)
            done = CliRunner().invoke(commands.app, [*arguments], env=self.settings.to_env())
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    @contextlib.contextmanager
    def of_many_rows(self) -> Iterator[None]:
        """Let Spark compile its plans meanwhile and plan anew as it goes, as it does in production."""
        for name, value in FOR_MANY_ROWS.items():
            self.spark.conf.set(name, value)
        try:
            yield
        finally:
            for name in FOR_MANY_ROWS:
                self.spark.conf.set(name, FOR_FEW_ROWS[name])

    def ask(self, *arguments: str) -> list[Any]:
        """Run a command that must succeed and return the lines of its JSON answer."""
        done = self.batch(*arguments, "--json")
        assert done.code == 0, done.said
        return done.lines

    def put(self, path: str, table: pa.Table) -> None:
        """Put a table on S3, in place of what there was."""
        content = io.BytesIO()
        pq.write_table(table, content)
        self.bucket.put(path, content.getvalue())

    def archive(self, night: Night, utility: Utility, *parts: pa.Table) -> str:
        """Put heartbeats into the archive as one object more; return its key."""
        key = f"{archive.day_path(utility, str(night))}/part-{uuid.uuid4()}-0"
        self.put(key, pa.concat_tables(parts))
        return key

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a question to MySQL."""
        with cursor_of(self.settings, pymysql.cursors.DictCursor) as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def everything(self) -> dict[str, list[str]]:
        """Return all rows of all tables as text, in an order of their own."""
        with cursor_of(self.settings) as cursor:
            found = {}
            for table in TABLES:
                cursor.execute(f"SELECT * FROM {table}")
                found[table] = sorted(map(repr, cursor.fetchall()))
            return found


def own_stores(settings: Settings, spark: SparkSession, master: Mapping[str, pa.Table]) -> Stores:
    """Return an empty bucket and database of one's own, with master data on S3."""
    name = uuid.uuid4().hex[:8]
    own = dataclasses.replace(settings, s3_bucket=f"night{name}", mysql_database=f"night_{name}")
    s3.client(own).create_bucket(Bucket=own.s3_bucket)
    mysql.migrate(own)
    stores = Stores(own, spark)
    for path, table in master.items():
        stores.put(path, table)
    return stores


@contextlib.contextmanager
def cursor_of(settings: Settings, kind: Any = pymysql.cursors.Cursor) -> Iterator[Any]:
    """Yield a cursor of the user that publishes."""
    connection = pymysql.connect(
        host=settings.mysql_host,
        port=settings.mysql_port,
        user=settings.mysql_batch_user,
        password=settings.mysql_batch_password,
        database=settings.mysql_database,
        autocommit=True,
    )
    with contextlib.closing(connection), connection.cursor(kind) as cursor:
        yield cursor


def beats(
    first: Night,
    night: Night,
    user_id: int,
    hours: Sequence[int] = range(24),
    extra: int = 0,
    one_in: int = 1,
) -> pa.Table:
    """Return the heartbeats of a meter in some hours of a night: a unit each 5 s since the first night.

    `extra` units were used besides, before the first of these heartbeats. Where only `one_in` so many was
    heard, the first and the last of each hour are among them: its usage is the same.
    """
    slots = np.concatenate(
        [hour * BEATS_AN_HOUR + heard_in_an_hour(one_in) for hour in hours], dtype=np.int64
    )
    since_first = (night.start_ms - first.start_ms) // INTERVAL_MS + slots
    columns = [
        np.full(len(slots), user_id),
        night.start_ms + slots * INTERVAL_MS + PHASE_MS,
        REGISTER_FIRST + since_first + extra,
        np.full(len(slots), BEATS_AN_HOUR),
        np.full(len(slots), "US-CA"),
    ]
    return pa.table(columns, names=SCHEMA.names).cast(SCHEMA)


def heard_in_an_hour(one_in: int) -> npt.NDArray[np.int64]:
    """Return the places, within an hour, of the heartbeats that are heard."""
    places = np.arange(BEATS_AN_HOUR, dtype=np.int64)
    return places[(places == 0) | (places % one_in == one_in - 1)]


def whole_day(stores: Stores, first: Night, night: Night, users: Sequence[int]) -> None:
    """Archive a night in which every meter of some users was heard throughout, though seldom."""
    for utility in UTILITIES:
        stores.archive(night, utility, *(beats(first, night, user_id, one_in=SELDOM) for user_id in users))
