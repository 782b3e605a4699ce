"""What batch leaves on S3: a night's rows, for the next night, and compacted generations of the archive."""

import io
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from batch.bucket_sink import Bucket
from batch.carried import checksum_path, curated_path
from batch.heartbeat_columns import INTEGERS, SCHEMA
from batch.night import Night

FILE_SUFFIX = ".parquet"


def write_curated(rows: DataFrame, bucket: Bucket, night: Night, rows_checksum: int) -> None:
    """Write a night's edited rows as Parquet in place of any earlier ones, and of which publication they are.

    Spark writes its success marker after the rows; a night without the marker counts as not written.
    """
    rows.where("known").write.mode("overwrite").option("compression", "zstd").parquet(
        bucket.url(curated_path(night))
    )
    bucket.put(checksum_path(night), str(rows_checksum).encode())


def put_heartbeats(bucket: Bucket, key: str, groups: Iterable[pa.Table]) -> None:
    """Write heartbeats as one object, a row group each, integers delta-encoded."""
    content = io.BytesIO()
    with pq.ParquetWriter(
        content,
        SCHEMA,
        compression="zstd",
        compression_level=3,
        data_page_version="2.0",
        use_dictionary=["region"],
        column_encoding=dict.fromkeys(INTEGERS, "DELTA_BINARY_PACKED"),
        # Readers are to see plain text, not how it was held here.
        store_schema=False,
    ) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=len(group))
    bucket.put(key, content.getvalue())
