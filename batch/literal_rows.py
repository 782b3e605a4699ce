"""A few rows of this program's own as a frame, without the Python worker that Spark would start for them."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType


def literal_rows(spark: SparkSession, rows: Sequence[Sequence[Any]], columns: str) -> DataFrame:
    """Return rows as a frame; `columns` as in DDL, such as `plan STRING, place BIGINT`."""
    schema = StructType.fromDDL(columns)
    values = [dict(zip(schema.names, row, strict=True)) for row in rows]
    return spark.createDataFrame(pa.Table.from_pylist(values, to_arrow_schema(schema)), schema)
