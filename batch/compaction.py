"""Compaction: a closed day of the archive, rewritten sorted by user and time, swapped in by one PUT.

Sorted so, a user's times and registers are steady series, which Parquet's delta encoding turns into a few
bits each. Whatever is written counts for nothing until the manifest names it, so that a compaction killed
at any moment leaves the day as it was.
"""

import contextlib
import dataclasses
import datetime
import uuid
from collections.abc import Callable, Iterable, Iterator

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from batch import archived_day, failure, heartbeat_columns, rewrite
from batch.archived_day import ArchivedDay
from batch.bucket_sink import Bucket
from batch.database_sink import Lock
from batch.night import Night, NightRefused
from infra.contracts import archive
from infra.contracts.archive import Manifest
from infra.contracts.utility import UTILITIES

# A task sorts a file's rows at once, 80 bytes of memory each, in a process of its own.
ROWS_A_FILE = 8_000_000
ROWS_A_SMALL_FILE = 1_000_000  # below which another core is not worth another file

Stage = Callable[[str], contextlib.AbstractContextManager[None]]
Clock = Callable[[], datetime.datetime]


class CompactionRefused(NightRefused):
    """A compaction that cannot be done as things are, in one line; readers see the day as before."""


@dataclasses.dataclass(frozen=True)
class Compacted:
    """One utility's day after a compaction; equal before and after if there was nothing to merge."""

    utility: str
    generation: str
    rows: int
    objects_before: int
    objects_after: int
    bytes_before: int
    bytes_after: int
    seconds: float  # 0 if there was nothing to merge


def compact(
    night: Night,
    *,
    bucket: Bucket,
    lock: Lock,
    start_spark: Callable[[], SparkSession],
    stage: Stage,
    clock: Clock,
) -> list[Compacted]:
    """Merge a day's objects that no compaction has merged yet, with those it has, into a next generation.

    One answer for each utility that has heartbeats. Safe to repeat; without a new object nothing is written.

    :raises NightRefused: for everything that can be expected to go wrong.
    """
    done = []
    for utility in UTILITIES:
        day = archived_day.find(bucket, utility, str(night))
        seconds = 0.0
        if day.loose:
            spark = start_spark()
            began = clock()
            with _refusals(day):
                manifest = _merge(spark, night, day, bucket=bucket, lock=lock, stage=stage, clock=clock)
            seconds = (clock() - began).total_seconds()
        elif day.manifest:
            manifest = day.manifest
        else:
            continue
        done.append(
            Compacted(
                utility=str(utility),
                generation=manifest.generation,
                rows=manifest.rows,
                objects_before=len(day.sizes),
                objects_after=len(manifest.files),
                bytes_before=sum(day.sizes.values()),
                bytes_after=manifest.size_bytes,
                seconds=round(seconds, 3),
            )
        )
    return done


def remove_outlived(nights: Iterable[Night], bucket: Bucket, now: datetime.datetime) -> int:
    """Remove what no reader of these days can still need; return how many objects that were.

    :raises NightRefused: if S3 is away, or a day's manifest names what is not there.
    """
    removed = 0
    for night in nights:
        for utility in UTILITIES:
            day = archived_day.find(bucket, utility, str(night))
            keys = archived_day.outlived(bucket, day, now)
            bucket.delete(keys)
            removed += len(keys)
    return removed


def file_count(rows: int, cores: int) -> int:
    """Return into how many files so many rows go: few large ones, but work for each core."""
    return max(-(-rows // ROWS_A_FILE), min(cores, rows // ROWS_A_SMALL_FILE), 1)


def _merge(
    spark: SparkSession,
    night: Night,
    day: ArchivedDay,
    *,
    bucket: Bucket,
    lock: Lock,
    stage: Stage,
    clock: Clock,
) -> Manifest:
    """Write a day's next generation, hold it against what it was made of, and swap it in."""
    number = int(day.manifest.generation.partition("-")[0]) if day.manifest else 0
    generation = f"{number + 1:04d}-{uuid.uuid4().hex[:8]}"
    path = f"{archive.compacted_path(day.utility, day.day)}/{generation}"
    with stage("sample"):
        rows, users = rewrite.sampled(bucket, day.sizes)
        files = file_count(rows, spark.sparkContext.defaultParallelism)
        first_users = heartbeat_columns.bounds(users, files)
    with stage("rewrite"):
        keys, wanted = rewrite.rewritten(spark, bucket, day.sizes, night, first_users, path)
    with stage("check"):
        # Whatever else lies there, a task that was repeated may have left.
        written = {one.key: one.bytes for one in bucket.listed(f"{path}/") if one.key in keys}
        check_same(day, wanted, rewrite.summed(spark, bucket, written))
    loose = frozenset(day.loose)
    merged = loose | day.manifest.supersedes if day.manifest else loose
    with stage("swap"):
        lock.check()
        manifest = Manifest(generation, clock(), wanted["rows"], written, merged)
        bucket.put(archive.manifest_path(day.utility, day.day), manifest.to_json().encode())
    return manifest


def check_same(day: ArchivedDay, wanted: dict[str, int], found: dict[str, int]) -> None:
    """Hold the sums of what was written against those of what was read.

    :raises CompactionRefused: naming the sums that differ.
    """
    differ = [f"{name} {found[name]} not {wanted[name]}" for name in wanted if found[name] != wanted[name]]
    if differ:
        raise CompactionRefused(
            f"{day.utility} of {day.day} as compacted differs from its archive: {', '.join(differ)}; "
            "the archive stays as it was"
        )


@contextlib.contextmanager
def _refusals(day: ArchivedDay) -> Iterator[None]:
    """Turn what is said about a day's objects into one line that names the day.

    :raises CompactionRefused: for every refusal, and for what Spark fails with.
    """
    try:
        yield
    except CompactionRefused:
        raise
    except NightRefused as error:
        raise CompactionRefused(f"{day.utility} of {day.day} is not compacted: {error}") from None
    except (PySparkException, Py4JError) as error:
        said = failure.in_one_line(str(error))
        raise CompactionRefused(f"{day.utility} of {day.day} is not compacted: {said}") from None
