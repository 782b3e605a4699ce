"""What a night is about to publish, beside the truth: loaded from Arrow batches, held against what was sent.

Staging tables are keyed as the real ones and loaded by REPLACE, so that a repeated task doubles nothing.
"""

import contextlib
import dataclasses
import itertools
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv
from pyspark.sql import DataFrame

from batch.database_sink import Database
from infra.contracts import master_data, nightly

METER_NIGHT = ("night", "user_id", "utility")
ROWS_A_LOAD = 100_000  # one statement and one commit
NULLABLE = ("first_sent_at", "usage_stream", "usage_read", "currency")


@dataclasses.dataclass(frozen=True)
class Table:
    """A published table: its name, the columns that are loaded, and those that tell its rows apart."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that are not of the key."""
        return tuple(column for column in self.columns if column not in self.key)


USAGE_DAYS = Table(nightly.USAGE_DAYS_TABLE, nightly.USAGE_DAYS_COLUMNS, METER_NIGHT)
FINDINGS = Table(nightly.FINDINGS_TABLE, nightly.FINDINGS_COLUMNS, (*METER_NIGHT, "rule", "hour_from"))
RECONCILIATIONS = Table(nightly.RECONCILIATIONS_TABLE, nightly.RECONCILIATIONS_COLUMNS, METER_NIGHT)
HOUSEHOLDS = Table(nightly.HOUSEHOLDS_TABLE, nightly.HOUSEHOLDS_COLUMNS, ("user_id",))
REGIONS = Table(nightly.REGIONS_TABLE, tuple(master_data.REGIONS_COLUMNS), ("region",))
TABLES = {table.name: table for table in (USAGE_DAYS, FINDINGS, RECONCILIATIONS, HOUSEHOLDS, REGIONS)}


def load(rows: DataFrame, database: Database, table: str) -> tuple[int, int]:
    """Load rows into a table's staging table from Spark's own tasks; return their number and checksum.

    The rows are computed once. The checksum is Spark's own, of what it hands out, not of what was loaded.
    """
    one = TABLES[table]

    def load_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        checksum = 0

        def unsummed() -> Iterator[pa.RecordBatch]:
            nonlocal checksum
            for batch in batches:
                checksum ^= int(np.bitwise_xor.reduce(batch.column("row_checksum").to_numpy()))
                yield batch.select(one.columns)

        loaded = load_batches(unsummed(), database, table)
        yield pa.RecordBatch.from_pydict({"loaded": [loaded], "checksum": [checksum]})

    summed = rows.selectExpr(
        *one.columns, f"{row_checksum_sql(one.columns, 'BIGINT', 'STRING')} AS row_checksum"
    )
    done = summed.sortWithinPartitions(*one.key).mapInArrow(load_partition, "loaded BIGINT, checksum BIGINT")
    [sums] = done.selectExpr("COALESCE(SUM(loaded), 0L)", "COALESCE(BIT_XOR(checksum), 0L)").collect()
    return int(sums[0]), int(sums[1])


def load_batches(batches: Iterable[pa.RecordBatch], database: Database, table: str) -> int:
    """Load Arrow batches of a table's columns into its staging table; return how many rows they held.

    :raises NightRefused: if MySQL is away or refuses.
    """
    one, loaded = TABLES[table], 0
    tables = gathered(batches)
    first = next(tables, None)
    if first is None:
        return 0
    with (
        contextlib.closing(database.connect()) as connection,
        tempfile.TemporaryDirectory(prefix="meterbeat-") as folder,
    ):
        path = pathlib.Path(folder, "rows.csv")
        for some in itertools.chain([first], tables):
            pa.csv.write_csv(some.select(one.columns), path, pa.csv.WriteOptions(include_header=False))
            with database.refusals(), connection.cursor() as cursor:
                cursor.execute(_load_sql(one, database.staging), (str(path),))
                connection.commit()
            loaded += some.num_rows
    return loaded


def staged_sql(table: Table, staging: str) -> str:
    """Return the query for the number and the checksum of the staged rows."""
    checksum = f"BIT_XOR({row_checksum_sql(table.columns, 'UNSIGNED', 'CHAR')})"
    return f"SELECT COUNT(*), COALESCE({checksum}, 0) FROM {staging}.{table.name}"


def row_checksum_sql(columns: Sequence[str], integer: str, text: str) -> str:
    """Return a row's checksum, 60 bits, in the SQL of both Spark and MySQL; only names of types differ.

    The XOR over rows is that of all of them, in any order.
    """
    parts = ", ".join(
        f"COALESCE(CAST({column} AS {text}), 'NULL')" if column in NULLABLE else column for column in columns
    )
    return f"CAST(CONV(LEFT(MD5(CONCAT_WS(',', {parts})), 15), 16, 10) AS {integer})"


def gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Put batches together to tables of ROWS_A_LOAD rows or somewhat more."""
    some: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        some.append(batch)
        rows += batch.num_rows
        if rows >= ROWS_A_LOAD:
            yield pa.Table.from_batches(some)
            some, rows = [], 0
    if rows:
        yield pa.Table.from_batches(some)


def _load_sql(table: Table, staging: str) -> str:
    """Return the statement that loads a CSV file: the server's fastest way in."""
    fields = ", ".join(f"@{column}" if column in NULLABLE else column for column in table.columns)
    nulls = ", ".join(f"{column} = NULLIF(@{column}, '')" for column in NULLABLE if column in table.columns)
    return (
        f"LOAD DATA LOCAL INFILE %s REPLACE INTO TABLE {staging}.{table.name} CHARACTER SET utf8mb4 "
        "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' "
        f"({fields})" + (f" SET {nulls}" if nulls else "")
    )


def create_sql(table: Table, staging: str) -> str:
    """Return the statement that makes an empty staging table of the columns that are loaded."""
    return (
        f"CREATE TABLE {staging}.{table.name} (PRIMARY KEY ({', '.join(table.key)})) "
        f"SELECT {', '.join(table.columns)} FROM {table.name} LIMIT 0"
    )
