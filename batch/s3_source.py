"""What a night reads from S3: a cheap look before Spark starts, then DataFrames by S3A."""

import dataclasses
import functools
from collections.abc import Sequence

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch import archived_day
from batch.bucket_sink import Bucket
from batch.night import Night, NightRefused
from infra.contracts import archive, master_data
from infra.contracts.utility import UTILITIES

CURATED_PREFIX = "curated/usage_days"
SUCCESS_NAME = "_SUCCESS"


@dataclasses.dataclass(frozen=True)
class Found:
    """What S3 holds for a night."""

    archive_keys: tuple[str, ...]  # of the objects that hold each of its heartbeats once
    archive_bytes: int
    previous: bool  # the night before is there, whole
    previous_archive: bool  # the day before has heartbeats


def curated_path(night: Night) -> str:
    """Return the folder of a night's derived rows, inside the bucket."""
    return f"{CURATED_PREFIX}/night={night}"


def look(bucket: Bucket, night: Night) -> Found:
    """Return what S3 holds for a night, from listings and manifests; answers within seconds.

    :raises NightRefused: if S3 is away, master data are missing, or an object is empty.
    """
    days = [archived_day.find(bucket, utility, str(night)) for utility in UTILITIES]
    sizes = {key: size for day in days for key, size in day.sizes.items()}
    empty = [key for key, size in sizes.items() if size == 0]
    if empty:
        raise NightRefused(f"archive object s3://{bucket.name}/{min(empty)} cannot be read: it is empty")
    for path in (master_data.USERS_PATH, master_data.REGIONS_PATH):
        if path not in {one.key for one in bucket.listed(path)}:
            raise NightRefused(f"no master data: s3://{bucket.name}/{path} is missing")
    before = bucket.listed(f"{curated_path(night.previous)}/")
    previous = any(one.key.endswith(f"/{SUCCESS_NAME}") for one in before)
    day_before = (archived_day.find(bucket, utility, str(night.previous)) for utility in UTILITIES)
    previous_archive = any(day.sizes for day in day_before)
    return Found(tuple(sorted(sizes)), sum(sizes.values()), previous, previous_archive)


def read_heartbeats(spark: SparkSession, bucket: Bucket, keys: Sequence[str]) -> DataFrame:
    """Return the heartbeats of archive objects with their `utility`; columns as the contract names them.

    `user_id` is a BIGINT, which both widths of Parquet's integers can be read as.
    """
    columns = archive.COLUMNS | {"user_id": "BIGINT", "utility": "STRING"}
    frames = []
    for prefix in (archive.PREFIX, archive.COMPACTED_PREFIX):
        urls = [bucket.url(key) for key in keys if key.startswith(f"{prefix}/")]
        if urls:
            reader = spark.read.schema(", ".join(f"{name} {kind}" for name, kind in columns.items()))
            frames.append(reader.option("basePath", bucket.url(prefix)).parquet(*urls).select(*columns))
    if not frames:
        return spark.range(0).selectExpr(
            *(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns.items())
        )
    return functools.reduce(DataFrame.unionAll, frames)


def unreadable_object(spark: SparkSession, bucket: Bucket, found: Found) -> str | None:
    """Return the first archive object that cannot be read by itself; reads all before it again."""
    for key in found.archive_keys:
        try:
            beats = spark.read.parquet(bucket.url(key))
            beats.selectExpr("MAX(user_id)", "MAX(sent_at)", "MAX(register)").collect()
        except (PySparkException, Py4JError):
            return bucket.url(key)
    return None


def read_users(spark: SparkSession, bucket: Bucket) -> DataFrame:
    """Return the users of master data."""
    return _read(spark, bucket, master_data.USERS_PATH, master_data.USERS_COLUMNS)


def read_regions(spark: SparkSession, bucket: Bucket) -> DataFrame:
    """Return the regions of master data."""
    return _read(spark, bucket, master_data.REGIONS_PATH, master_data.REGIONS_COLUMNS)


def read_previous(spark: SparkSession, bucket: Bucket, night: Night, found: Found) -> DataFrame:
    """Return the last registers of the night before: no row if there was none."""
    if found.previous:
        rows = spark.read.parquet(bucket.url(curated_path(night.previous)))
        return rows.select("user_id", "utility", "register_end", "last_sent_at")
    return spark.range(0).select(
        F.col("id").alias("user_id"),
        F.lit("").alias("utility"),
        F.col("id").alias("register_end"),
        F.col("id").alias("last_sent_at"),
    )


def _read(spark: SparkSession, bucket: Bucket, path: str, columns: dict[str, str]) -> DataFrame:
    schema = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return spark.read.schema(schema).parquet(bucket.url(path)).select(*columns)
