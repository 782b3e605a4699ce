"""What a night reads from S3: a cheap look before Spark starts, then DataFrames by S3A."""

import dataclasses
import functools
import hashlib
import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from batch import archived_day, carried
from batch.agreements import Agreements
from batch.archived_day import ArchivedDay
from batch.bucket_sink import Bucket
from batch.literal_rows import literal_rows
from batch.meters import MasterFrames
from batch.night import Night, NightRefused
from batch.tariffs import Tariffs
from infra.contracts import master_data, stream_marks
from infra.contracts.utility import UTILITIES

MASTER_PATHS = (
    master_data.USERS_PATH,
    master_data.REGIONS_PATH,
    master_data.METERS_PATH,
    master_data.AGREEMENTS_PATH,
    master_data.TARIFFS_PATH,
)
LATE_NIGHTS_MAX = 40
NARROWER = {"BIGINT": ("int",)}  # what a column may be instead


@dataclasses.dataclass(frozen=True)
class Found:
    """What S3 holds for a night."""

    days: tuple[ArchivedDay, ...]  # one a utility
    earlier: tuple[Night, ...]  # nights whose rows are there, whole; the newest first
    previous_archive: bool  # the day before has heartbeats
    reads: bool  # the utility has read registers as of the night's end
    marks: bool  # the stream has left what it held as of the night's end

    @property
    def archive_keys(self) -> tuple[str, ...]:
        """The objects that hold each of its heartbeats once."""
        return tuple(sorted(key for day in self.days for key in day.sizes))

    @property
    def archive_bytes(self) -> int:
        """The size of those objects."""
        return sum(size for day in self.days for size in day.sizes.values())

    @property
    def fingerprint(self) -> str:
        """What tells whether the archive holds the same heartbeats as another time; see `fingerprint`."""
        return fingerprint(self.days)

    def previous(self, night: Night) -> bool:
        """Whether the rows of the night before are there."""
        return night.previous in self.earlier


def fingerprint(days: Sequence[ArchivedDay]) -> str:
    """Return a name for what a day's archive holds, the same before and after its compaction."""
    names = sorted(
        key for day in days for key in {*day.loose, *(day.manifest.supersedes if day.manifest else ())}
    )
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def look(bucket: Bucket, night: Night) -> Found:
    """Return what S3 holds for a night, from listings and manifests; answers within seconds.

    :raises NightRefused: if S3 is away, master data are missing, or an object is empty.
    """
    days = archived(bucket, night)
    sizes = {key: size for day in days for key, size in day.sizes.items()}
    for path in MASTER_PATHS:
        found = _sizes(bucket, path)
        if not found:
            raise NightRefused(f"no master data: s3://{bucket.name}/{path} is missing")
        [sizes[path]] = found
    empty = [key for key, size in sizes.items() if size == 0]
    if empty:
        raise NightRefused(f"object s3://{bucket.name}/{min(empty)} cannot be read: it is empty")
    before = night.before(LATE_NIGHTS_MAX + 1)
    return Found(
        days=days,
        earlier=tuple(one for one in before if carried.is_curated(bucket, one)),
        previous_archive=any(day.sizes for day in archived(bucket, night.previous)),
        reads=bool(_sizes(bucket, master_data.reads_path(str(night)))),
        marks=bool(_sizes(bucket, stream_marks.marks_path(str(night)))),
    )


def archived(bucket: Bucket, night: Night) -> tuple[ArchivedDay, ...]:
    """Return what a night's archive consists of, utility by utility."""
    return tuple(archived_day.find(bucket, utility, str(night)) for utility in UTILITIES)


def read_day(spark: SparkSession, bucket: Bucket, days: Sequence[ArchivedDay]) -> DataFrame:
    """Return a day's heartbeats as the night folds them: no region, and `utility` as its code.

    A number instead of the path's word spares every heartbeat the making of a text.
    """
    columns = {"user_id": "BIGINT", "sent_at": "BIGINT", "register": "BIGINT", "rate": "INT"}
    schema = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    frames = [
        spark.read.schema(schema)
        .parquet(*(bucket.url(key) for key in sorted(day.sizes)))
        .selectExpr(*columns, f"{day.utility.code} AS utility")
        for day in days
        if day.sizes
    ]
    return _union(spark, frames, columns | {"utility": "INT"})


def read_master(spark: SparkSession, bucket: Bucket, night: Night, found: Found) -> MasterFrames:
    """Return master data as of a night."""
    reads = master_data.reads_path(str(night)) if found.reads else None
    return MasterFrames(
        users=_read(spark, bucket, master_data.USERS_PATH, master_data.USERS_COLUMNS),
        regions=_read(spark, bucket, master_data.REGIONS_PATH, master_data.REGIONS_COLUMNS),
        meters=_read(spark, bucket, master_data.METERS_PATH, master_data.METERS_COLUMNS),
        agreements=_read(spark, bucket, master_data.AGREEMENTS_PATH, master_data.AGREEMENTS_COLUMNS),
        reads=_read(spark, bucket, reads, master_data.READS_COLUMNS),
    )


def read_tariffs(bucket: Bucket) -> Tariffs:
    """Return the tariffs of master data.

    :raises NightRefused: naming the object and the rows that break their contract.
    """
    return Tariffs.from_rows(*_table(bucket, master_data.TARIFFS_PATH))


def read_agreements(bucket: Bucket, tariffs: Tariffs) -> Agreements:
    """Return all agreements of master data, held to the tariffs.

    :raises NightRefused: naming the object and the rows that break their contract.
    """
    rows, url = _table(bucket, master_data.AGREEMENTS_PATH)
    return Agreements.from_rows(rows, tariffs, url)


def read_marks(spark: SparkSession, bucket: Bucket, night: Night, found: Found) -> DataFrame:
    """Return what the stream held as of a night's bounds; no row if it left nothing."""
    path = stream_marks.marks_path(str(night)) if found.marks else None
    return _read(spark, bucket, path, stream_marks.COLUMNS)


def unreadable_object(spark: SparkSession, bucket: Bucket, found: Found) -> str | None:
    """Return the first archive object that cannot be read by itself; reads all before it again."""
    for key in found.archive_keys:
        try:
            beats = spark.read.parquet(bucket.url(key))
            beats.selectExpr("MAX(user_id)", "MAX(sent_at)", "MAX(register)").collect()
        except (PySparkException, Py4JError):
            return bucket.url(key)
    return None


def _table(bucket: Bucket, path: str) -> tuple[pa.Table, str]:
    """Return an object's rows without Spark, and its address."""
    url = f"s3://{bucket.name}/{path}"
    content = bucket.content(path)
    if content is None:
        raise NightRefused(f"no master data: {url} is missing")
    try:
        return pq.read_table(io.BytesIO(content)), url
    except (pa.ArrowException, OSError) as error:
        raise NightRefused(f"object {url} cannot be read: {' '.join(str(error).split())}") from None


def _sizes(bucket: Bucket, path: str) -> list[int]:
    return [one.bytes for one in bucket.listed(path) if one.key == path]


def _union(spark: SparkSession, frames: Sequence[DataFrame], columns: dict[str, str]) -> DataFrame:
    if not frames:
        return literal_rows(spark, [], ", ".join(f"{name} {kind}" for name, kind in columns.items()))
    return functools.reduce(DataFrame.unionAll, frames)


def _read(spark: SparkSession, bucket: Bucket, path: str | None, columns: dict[str, str]) -> DataFrame:
    """Return an object's rows in the contract's columns, no row without an object.

    :raises NightRefused: naming the object and the column that is missing or of another type.
    """
    if path is None:
        return _union(spark, [], columns)
    url = bucket.url(path)
    # Spark itself would read a column that is not there as nulls.
    found = {field.name: field.dataType.simpleString() for field in spark.read.parquet(url).schema}
    for name, kind in columns.items():
        if name not in found:
            raise NightRefused(f"object {url} cannot be read: it has no column {name}")
        if found[name] not in (kind.lower(), *NARROWER.get(kind, ())):
            raise NightRefused(f"object {url} cannot be read: its column {name} is {found[name]}, not {kind}")
    schema = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return spark.read.schema(schema).parquet(url).select(*columns)
