"""What nights hand on to later ones, out of curated rows: where each meter was left, and its own past."""

import functools
from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch.bucket_sink import Bucket
from batch.edited_rows import SPARK_SCHEMA
from batch.literal_rows import literal_rows
from batch.night import Night
from batch.usage import METER, UTILITY_CODE
from infra.contracts.durations import HOUR_MS
from infra.contracts.nightly import HOUR_COLUMNS

CURATED_PREFIX = "curated/usage_days"
SUCCESS_NAME = "_SUCCESS"
CHECKSUM_NAME = "_rows_checksum"
STATE = (
    "register_offset",
    "last_sent_at",
    "trusted_at",
    "raw_end",
    "open_end",
    "month_usage",
    "month_cost",
)


def curated_path(night: Night) -> str:
    """Return the folder of a night's derived rows, inside the bucket."""
    return f"{CURATED_PREFIX}/night={night}"


def is_curated(bucket: Bucket, night: Night) -> bool:
    """Whether a night's derived rows are there, whole."""
    return any(one.key.endswith(f"/{SUCCESS_NAME}") for one in bucket.listed(f"{curated_path(night)}/"))


def checksum_path(night: Night) -> str:
    """Return the object that tells of which publication a night's derived rows are."""
    return f"{curated_path(night)}/{CHECKSUM_NAME}"


def rows_checksum(bucket: Bucket, night: Night) -> int | None:
    """Return the checksum of what was published with a night's derived rows, None where that is not said."""
    said = bucket.content(checksum_path(night))
    return int(said) if said else None


def read_rows(spark: SparkSession, bucket: Bucket, night: Night) -> DataFrame:
    """Return a night's rows, as they were recomputed that night, in the columns of edited rows."""
    return spark.read.schema(SPARK_SCHEMA).parquet(bucket.url(curated_path(night)))


def state_after(spark: SparkSession, bucket: Bucket, night: Night | None) -> DataFrame:
    """Return where a night left each meter (`utility` as its code, and STATE); no row if there was none."""
    if night is None:
        columns = ", ".join(f"{name} BIGINT" for name in ("user_id", *STATE))
        return literal_rows(spark, [], f"{columns}, utility INT")
    rows = read_rows(spark, bucket, night)
    return rows.where("known").selectExpr("user_id", *STATE, f"{UTILITY_CODE} AS utility")


def past_of(
    spark: SparkSession, bucket: Bucket, night: Night, earlier: Sequence[Night], meters: DataFrame
) -> DataFrame:
    """Return the past of some meters (user_id, utility as its code): a list `past` of the earlier nights."""
    nights = [
        read_rows(spark, bucket, before)
        .selectExpr(
            "user_id",
            f"{UTILITY_CODE} AS utility",
            f"{(night.day - before.day).days - 1} AS ago",
            f"ARRAY({', '.join(HOUR_COLUMNS)}) AS hours",
            quality_since_first(before),
        )
        .join(F.broadcast(meters), METER, "left_semi")
        for before in earlier
    ]
    rows = functools.reduce(DataFrame.unionAll, nights)
    return rows.groupBy(*METER).agg(F.expr("COLLECT_LIST(STRUCT(ago, hours, quality)) AS past"))


def quality_since_first(night: Night) -> str:
    """Return the column `quality` of a night's rows, no letter for hours before a new meter was there."""
    hours = f"((first_sent_at - {night.start_ms}L) DIV {HOUR_MS} + 1)"
    there = f"CONCAT(REPEAT('-', CAST({hours} AS INT)), SUBSTR(quality, CAST({hours} AS INT) + 1))"
    return f"IF(first_sent_at IS NULL, quality, {there}) AS quality"


def state_checksum(rows: DataFrame) -> int:
    """Return an order-free checksum over what rows hand on to the next night."""
    parts = ", ".join(("user_id", "utility", *STATE))
    [[checksum]] = rows.where("known").selectExpr(f"COALESCE(BIT_XOR(XXHASH64({parts})), 0L)").collect()
    return int(checksum)
