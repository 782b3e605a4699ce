"""The night as one story: look, recompute, conserve, load, verify, curate, switch."""

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Iterator, Mapping

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch import conservation, failure, mysql_sink, s3_sink, s3_source, usage
from batch.bucket_sink import Bucket
from batch.conservation import RegionTotal
from batch.mysql_sink import Database, NightRow, Publication
from batch.night import Night, NightRefused
from batch.report import Report, Verified
from batch.s3_source import Found
from infra.contracts import archive
from infra.contracts.utility import UTILITIES

# Some meter of a fleet beats every few seconds: a longer silence means heartbeats not archived yet.
SILENT_AT_END_MS_MAX = 15 * 60_000

Stage = Callable[[str], contextlib.AbstractContextManager[None]]


@dataclasses.dataclass(frozen=True)
class Recomputed:
    """What a night came to: rows and master data held by Spark, sums and counts as plain numbers."""

    rows: DataFrame  # the contract's columns
    users: DataFrame
    regions: DataFrame
    counts: dict[str, int]
    totals: list[RegionTotal]

    @property
    def usage_total(self) -> dict[str, int]:
        """Usage by utility, in its unit."""
        utilities = sorted({total.utility for total in self.totals})
        return {
            utility: sum(total.usage_total for total in self.totals if total.utility == utility)
            for utility in utilities
        }


@dataclasses.dataclass(frozen=True)
class Staged:
    """A night ready to be published."""

    found: Found
    publication: Publication
    recomputed: Recomputed
    rows_checksum: int


def run(
    night: Night,
    *,
    bucket: Bucket,
    database: Database,
    start_spark: Callable[[], SparkSession],
    stage: Stage,
    published_at: datetime.datetime,
    partial: bool,
) -> Report:
    """Recompute and publish a night. Safe to repeat; readers see the old night or the new one.

    With `partial`, an archive that does not reach the night's end is published as it is. The session is left
    running, with nothing cached.

    :raises NightRefused: for everything that can be expected to go wrong; nothing is published then.
    """
    with _staged(night, bucket, database, start_spark, stage, partial=partial) as staged:
        recomputed, counts = staged.recomputed, staged.recomputed.counts
        with _refusals(), stage("curate"):
            s3_sink.write_curated(recomputed.rows, bucket, night)
        with stage("switch"):
            row = NightRow(
                counts["users"], counts["heartbeats"], recomputed.usage_total, staged.rows_checksum
            )
            staged.publication.switch(night, row, published_at)
    return Report(
        night=str(night),
        usage_total=recomputed.usage_total,
        regions=len({total.region for total in recomputed.totals}),
        first_night=not staged.found.previous,
        archive_objects=len(staged.found.archive_keys),
        archive_bytes=staged.found.archive_bytes,
        rows_checksum=staged.rows_checksum,
        **counts,
    )


def verify(
    night: Night,
    *,
    bucket: Bucket,
    database: Database,
    start_spark: Callable[[], SparkSession],
    stage: Stage,
) -> Verified:
    """Recompute a published night and hold it against what is published, row by row; publishes nothing.

    :raises NightRefused: if the night is not published, or cannot be recomputed.
    """
    with _staged(night, bucket, database, start_spark, stage, partial=True) as staged:
        if not staged.publication.has(night):
            raise NightRefused(f"night {night} is not published; run `meterbeat batch --night {night}`")
        with stage("compare"):
            users, named = staged.publication.differing_users(night)
    return Verified(str(night), staged.recomputed.counts["rows"], users, tuple(named))


@contextlib.contextmanager
def _staged(
    night: Night,
    bucket: Bucket,
    database: Database,
    start_spark: Callable[[], SparkSession],
    stage: Stage,
    *,
    partial: bool,
) -> Iterator[Staged]:
    """Recompute a night and stage it in MySQL, where nobody reads it; clear all that afterwards."""
    with stage("look"):
        found = s3_source.look(bucket, night)
        publication = Publication(database)
    with contextlib.closing(publication):
        check_follows(
            night,
            found,
            published=publication.has(night.previous),
            earlier=publication.has_before(night),
        )
        check_archived(night, bucket, found, partial=partial)
        with stage("start"):
            spark = start_spark()
        with _refusals():
            recomputed = _recompute(spark, night, bucket=bucket, found=found, stage=stage, partial=partial)
            checksum = _load(recomputed, database, publication, stage)
        yield Staged(found, publication, recomputed, checksum)
        spark.catalog.clearCache()
        publication.clear()


def check_follows(night: Night, found: Found, *, published: bool, earlier: bool) -> None:
    """Refuse a night that does not start from the registers of the night before, unless it is the first.

    `published` is whether the night before is, `earlier` whether any before this one is. What is
    curated but not published may be of a night that broke off.

    :raises NightRefused: naming the night to run first.
    """
    before, run_it = night.previous, f"run `meterbeat batch --night {night.previous}` first"
    if published and not found.previous:
        path = s3_source.curated_path(before)
        raise NightRefused(f"night {before} is published, but {path} is not on S3; {run_it}")
    if not published and (earlier or found.previous or found.previous_archive):
        raise NightRefused(f"night {night} would start without night {before}, not yet published; {run_it}")


def check_archived(night: Night, bucket: Bucket, found: Found, *, partial: bool) -> None:
    """Refuse a day without archive; a partial one after a night may have been silent throughout.

    :raises NightRefused: naming where nothing was found.
    """
    if not found.archive_keys and not (partial and found.previous):
        missing = bucket.url(archive.day_path("*", str(night)))  # type: ignore[arg-type]
        remedy = "; if no meter beat that day, publish it with --partial" if found.previous else ""
        raise NightRefused(f"no archive for night {night}: nothing under {missing}/{remedy}")


def check_whole(night: Night, newest: Mapping[str, int]) -> None:
    """Refuse an archive that does not reach the night's end; `newest` is the last `sent_at` by utility.

    Every user has a meter of each utility, so a utility that is missing has not been archived yet.

    :raises NightRefused: naming the utility and when it was last heard.
    """
    for utility in UTILITIES:
        at_ms = newest.get(utility)
        if at_ms is None or at_ms < night.end_ms - SILENT_AT_END_MS_MAX:
            heard = "there is none" if at_ms is None else f"the newest is of {_instant(at_ms)}"
            raise NightRefused(
                f"the archive of night {night} is not whole: of {utility} heartbeats {heard}; wait for "
                "the stream (`meterbeat stream status`), or publish all the same with --partial"
            )


def _instant(at_ms: int) -> str:
    return datetime.datetime.fromtimestamp(at_ms / 1_000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _recompute(
    spark: SparkSession, night: Night, *, bucket: Bucket, found: Found, stage: Stage, partial: bool
) -> Recomputed:
    """Return the night's rows, checked; reads every heartbeat once."""
    users, regions = s3_source.read_users(spark, bucket), s3_source.read_regions(spark, bucket)
    heartbeats = s3_source.read_heartbeats(spark, bucket, found.archive_keys)
    previous = s3_source.read_previous(spark, bucket, night, found)
    with stage("recompute"):
        days = usage.meter_days(usage.meter_hours(heartbeats, night))
        rows = usage.usage_days(days, previous, users).persist()
        counts = _count(spark, rows, bucket, found)
    if counts.pop("unsound"):
        unsound = heartbeats.where(~usage.sound(night)).select(F.input_file_name()).limit(1).collect()
        raise NightRefused(
            f"archive object {unsound[0][0]} cannot be read: it holds heartbeats without user_id or "
            f"register, or not sent on {night}"
        )
    if not counts["rows"]:
        raise NightRefused(f"the archive of night {night} holds no heartbeat of a user in master data")
    # The rows are held by now: nothing that looks at them reads a heartbeat again.
    if not partial:
        check_whole(night, usage.newest_sent_at(rows))
    with stage("conserve"):
        totals = conservation.assert_conserved(rows, regions)
    return Recomputed(usage.published_rows(rows, night), users, regions, counts, totals)


def _count(spark: SparkSession, rows: DataFrame, bucket: Bucket, found: Found) -> dict[str, int]:
    """Recompute the rows and return their counts. Spark does not always name what it cannot read."""
    try:
        return usage.counts(rows)
    except (PySparkException, Py4JError) as error:
        said = failure.in_one_line(str(error))
        name = None if failure.names_an_object(said) else s3_source.unreadable_object(spark, bucket, found)
        raise NightRefused(f"object {name} cannot be read: {said}" if name else said) from None


def _load(recomputed: Recomputed, database: Database, publication: Publication, stage: Stage) -> int:
    """Stage everything in MySQL, hold it against what was sent, return the rows' checksum."""
    frames = {"usage_days": recomputed.rows, "households": recomputed.users, "regions": recomputed.regions}
    with stage("load"):
        publication.prepare()
        sent = {table: mysql_sink.load(frame, database, table) for table, frame in frames.items()}
    with stage("verify"):
        for table, (count, checksum) in sent.items():
            publication.verify(table, count, checksum)
    return sent["usage_days"][1]


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turn what Spark says about its inputs into one line."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise NightRefused(failure.in_one_line(str(error))) from None
