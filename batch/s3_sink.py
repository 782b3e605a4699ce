"""What batch leaves on S3: a night's rows, for the next night, and compacted generations of the archive."""

from pyspark.sql import DataFrame

from batch.bucket_sink import Bucket
from batch.night import Night
from batch.s3_source import curated_path

FILE_SUFFIX = ".parquet"
# Parquet's second format delta-encodes integers, unless a dictionary comes first.
COMPACT_OPTIONS = {
    "compression": "zstd",
    "parquet.compression.codec.zstd.level": "3",
    "parquet.writer.version": "v2",
    "parquet.enable.dictionary": "false",
    "parquet.enable.dictionary#region": "true",
    # A file counts once a manifest names it: moving it a second time would protect nothing.
    "mapreduce.fileoutputcommitter.algorithm.version": "2",
    "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}


def write_curated(rows: DataFrame, bucket: Bucket, night: Night) -> None:
    """Write a night's rows (the contract's columns) as Parquet in place of any earlier ones.

    Spark writes its success marker last; a night without the marker counts as not written.
    """
    frame = rows.drop("night")
    frame.write.mode("overwrite").option("compression", "zstd").parquet(bucket.url(curated_path(night)))


def write_generation(heartbeats: DataFrame, bucket: Bucket, path: str) -> None:
    """Write heartbeats, one file a partition in its order, into a folder that does not exist yet."""
    heartbeats.write.mode("error").options(**COMPACT_OPTIONS).parquet(bucket.url(path))
