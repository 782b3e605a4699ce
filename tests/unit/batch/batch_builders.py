"""Small tables for the batch room's tests."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

# As the night reads them: the utility as its code.
HEARTBEATS = {
    "user_id": pa.int64(),
    "utility": pa.int32(),
    "sent_at": pa.int64(),
    "register": pa.int64(),
    "rate": pa.int32(),
}
REGIONS = {"region": pa.string()}


def a_table(spark: SparkSession, columns: dict[str, pa.DataType], rows: Iterable[Sequence[Any]]) -> DataFrame:
    """A DataFrame of a few rows; by Arrow, so that no Python worker starts."""
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    return spark.createDataFrame(pa.Table.from_pylist(named, pa.schema(list(columns.items()))))
