"""What a night leaves on S3: its rows, from which the next night takes the registers."""

from pyspark.sql import DataFrame

from batch.night import Night
from batch.s3_source import Bucket, curated_path


def write_curated(rows: DataFrame, bucket: Bucket, night: Night) -> None:
    """Write a night's rows (the contract's columns) as Parquet in place of any earlier ones.

    Spark writes its success marker last; a night without the marker counts as not written.
    """
    frame = rows.drop("night")
    frame.write.mode("overwrite").option("compression", "zstd").parquet(bucket.url(curated_path(night)))
