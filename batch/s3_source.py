"""What a night reads from S3: a cheap look by boto3 before Spark starts, then DataFrames by S3A."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch.night import Night, NightRefused
from infra.contracts import archive, master_data
from infra.contracts.utility import UTILITIES

CURATED_PREFIX = "curated/usage_days"
SUCCESS_NAME = "_SUCCESS"
CONNECT_S_MAX = 2
READ_S_MAX = 10


@dataclasses.dataclass(frozen=True)
class Bucket:
    """One bucket and how to reach it."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    name: str

    def url(self, path: str) -> str:
        """Return the address Spark knows a path by."""
        return f"s3a://{self.name}/{path}"


@dataclasses.dataclass(frozen=True)
class Found:
    """What S3 holds for a night."""

    archive_paths: tuple[str, ...]  # one a utility that has objects
    archive_keys: tuple[str, ...]
    archive_bytes: int
    previous: bool  # the night before is there, whole
    previous_archive: bool  # the day before has objects


def curated_path(night: Night) -> str:
    """Return the folder of a night's derived rows, inside the bucket."""
    return f"{CURATED_PREFIX}/night={night}"


def look(bucket: Bucket, night: Night) -> Found:
    """Return what S3 holds for a night, from listings alone; answers within seconds.

    :raises NightRefused: if S3 is away, master data are missing, or an object is empty.
    """
    try:
        return _look(_client(bucket), bucket, night)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code == "NoSuchBucket":
            raise NightRefused(f"no archive: bucket {bucket.name} is not on {bucket.endpoint}") from None
        raise NightRefused(f"S3 at {bucket.endpoint} refuses bucket {bucket.name}: {code}") from None
    except (BotoCoreError, ValueError):
        raise NightRefused(f"S3 at {bucket.endpoint} is away; start it with `meterbeat up`") from None


def read_heartbeats(spark: SparkSession, bucket: Bucket, found: Found) -> DataFrame:
    """Return the archive's heartbeats with their `utility`; columns as the contract types them."""
    if not found.archive_paths:
        nulls = (f"CAST(NULL AS {kind}) AS {name}" for name, kind in archive.COLUMNS.items())
        return spark.range(0).selectExpr(*nulls, "CAST(NULL AS STRING) AS utility")
    columns = [f"{name} {kind}" for name, kind in archive.COLUMNS.items()]
    reader = spark.read.schema(", ".join([*columns, "utility STRING", "day STRING"]))
    paths = [bucket.url(path) for path in found.archive_paths]
    return reader.option("basePath", bucket.url(archive.PREFIX)).parquet(*paths).drop("day")


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


def _client(bucket: Bucket) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name=bucket.region,
        aws_access_key_id=bucket.access_key,
        aws_secret_access_key=bucket.secret_key,
        config=Config(
            connect_timeout=CONNECT_S_MAX,
            read_timeout=READ_S_MAX,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
        ),
    )


def _look(client: Any, bucket: Bucket, night: Night) -> Found:
    sizes: dict[str, dict[str, int]] = {}
    for utility in UTILITIES:
        path = archive.day_path(utility, str(night))
        visible = dict(_archived(client, bucket.name, path))
        sizes |= {path: visible} if visible else {}
    before = _sizes(client, bucket.name, f"{curated_path(night.previous)}/")
    previous = any(key.endswith(f"/{SUCCESS_NAME}") for key in before)
    every = {key: size for objects in sizes.values() for key, size in objects.items()}
    empty = [key for key, size in every.items() if size == 0]
    if empty:
        raise NightRefused(f"archive object s3://{bucket.name}/{min(empty)} cannot be read: it is empty")
    for path in (master_data.USERS_PATH, master_data.REGIONS_PATH):
        if path not in _sizes(client, bucket.name, path):
            raise NightRefused(f"no master data: s3://{bucket.name}/{path} is missing")
    day_before = (archive.day_path(utility, str(night.previous)) for utility in UTILITIES)
    previous_archive = any(any(_archived(client, bucket.name, path)) for path in day_before)
    return Found(tuple(sizes), tuple(sorted(every)), sum(every.values()), previous, previous_archive)


def _archived(client: Any, name: str, path: str) -> Iterator[tuple[str, int]]:
    """Yield key and bytes of the objects of a folder that are part of the archive."""
    for key, size in _listed(client, name, f"{path}/"):
        if key.rpartition("/")[2][:1] not in ("", ".", "_"):
            yield key, size


def _sizes(client: Any, name: str, prefix: str) -> dict[str, int]:
    """Key -> bytes of the objects whose key starts so."""
    return dict(_listed(client, name, prefix))


def _listed(client: Any, name: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Yield key and bytes of the objects whose key starts so, page by page as they are asked for."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix):
        for item in page.get("Contents", []):
            yield item["Key"], item["Size"]
