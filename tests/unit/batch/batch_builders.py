"""Small tables for the batch room's tests."""

from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

TYPES = {"utility": pa.string(), "region": pa.string()}
HEARTBEATS = ("user_id", "utility", "sent_at", "register")
PREVIOUS = ("user_id", "utility", "register_end", "last_sent_at")
USERS = ("user_id", "region")


def a_table(spark: SparkSession, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> DataFrame:
    """A DataFrame of a few rows; by Arrow, so that no Python worker starts."""
    schema = pa.schema([(name, TYPES.get(name, pa.int64())) for name in columns])
    return spark.createDataFrame(
        pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows], schema)
    )
