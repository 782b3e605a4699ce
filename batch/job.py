"""The night as one story: look, recompute, conserve, reconcile, load, verify, curate, switch."""

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch import carried, conservation, counts, failure, mysql_sink, reconcile, s3_sink, s3_source, usage
from batch.bucket_sink import Bucket
from batch.conservation import RegionTotal
from batch.mysql_sink import Database, NightRow, Publication
from batch.night import Night, NightRefused
from batch.recompute import Recomputation, Recomputed
from batch.report import Report, Verified
from batch.s3_source import LATE_NIGHTS_MAX, Found
from infra.contracts import archive, nightly
from infra.contracts.utility import UTILITIES

# Some meter of a fleet beats every few seconds: a longer silence means heartbeats not archived yet.
SILENT_AT_END_MS_MAX = 15 * 60_000
LATE, CLOSED, RECOMPUTED = "late data", "gap closed", "recomputed"

Stage = Callable[[str], contextlib.AbstractContextManager[None]]


@dataclasses.dataclass(frozen=True)
class Truth:
    """What a night came to, checked: frames held by Spark, sums and counts as plain numbers."""

    frames: dict[str, DataFrame]  # by table, in the contract's columns
    recomputed: Recomputed
    counts: dict[str, int]
    totals: list[RegionTotal]
    adjusted: list[dict[str, int | str]]

    def sums(self, figure: str) -> dict[str, int]:
        """Return a figure of the totals by utility, in its unit."""
        utilities = sorted({total.utility for total in self.totals})
        return {
            utility: sum(getattr(total, figure) for total in self.totals if total.utility == utility)
            for utility in utilities
        }


@dataclasses.dataclass(frozen=True)
class Staged:
    """A night ready to be published."""

    found: Found
    publication: Publication
    truth: Truth
    checksums: dict[str, int]  # by table


@dataclasses.dataclass(frozen=True)
class Services:
    """What a night works with."""

    bucket: Bucket
    database: Database
    start_spark: Callable[[], SparkSession]
    stage: Stage


def run(
    night: Night,
    services: Services,
    *,
    published_at: datetime.datetime,
    partial: bool,
    reason: str = RECOMPUTED,
) -> Report:
    """Recompute and publish a night. Safe to repeat; readers see the old night or the new one.

    With `partial`, an archive that does not reach the night's end is published as it is. Rows that were
    published before and differ now are kept as superseded, with `reason`. The session is left running, with
    nothing cached.

    :raises NightRefused: for everything that can be expected to go wrong; nothing is published then.
    """
    bucket, stage = services.bucket, services.stage
    with _staged(night, services, partial=partial) as staged:
        truth, found = staged.truth, staged.found
        with _refusals(), stage("curate"):
            spark = services.start_spark()
            before = _state_checksum(spark, bucket, night)
            s3_sink.write_curated(truth.recomputed.rows, bucket, night, staged.checksums["usage_days"])
            moved = before is not None and before != carried.state_checksum(truth.recomputed.rows)
        with stage("switch"):
            row = NightRow(
                users=truth.counts["users"],
                heartbeats=truth.counts["heartbeats"],
                usage_total=truth.sums("usage_total"),
                usage_estimated=truth.sums("estimated"),
                findings=truth.counts["findings"],
                archive_fingerprint=found.fingerprint,
                rows_checksum=staged.checksums["usage_days"],
            )
            reasons = {one.day: CLOSED for one in found.earlier} | {night.day: reason}
            switched = staged.publication.switch(night, row, published_at, reasons)
    return Report(
        night=str(night),
        usage_total=truth.sums("usage_total"),
        usage_estimated=truth.sums("estimated"),
        usage_quarantined=truth.sums("quarantined"),
        regions=len({total.region for total in truth.totals}),
        first_night=not found.previous(night),
        archive_objects=len(found.archive_keys),
        archive_bytes=found.archive_bytes,
        rows_checksum=staged.checksums["usage_days"],
        changed=switched.rows_changed + switched.rows_removed,
        adjusted=truth.adjusted,
        moves_next=moved or switched.rows_overtaken > 0,
        **truth.counts,
    )


def is_published(night: Night, database: Database) -> bool:
    """Whether a night is published.

    :raises NightRefused: if MySQL is away.
    """
    return bool(mysql_sink.fingerprints(database, [night.day]))


def late_nights(night: Night, bucket: Bucket, database: Database) -> list[Night]:
    """Return the published nights, the oldest first, whose archive has grown since; at most 40 days back.

    :raises NightRefused: if S3 or MySQL is away.
    """
    before = night.before(LATE_NIGHTS_MAX)
    held = mysql_sink.fingerprints(database, [one.day for one in before])
    grown = [
        one
        for one in before
        if held.get(one.day) and s3_source.fingerprint(s3_source.archived(bucket, one)) != held[one.day]
    ]
    return grown[::-1]


def verify(night: Night, services: Services) -> Verified:
    """Recompute a published night and hold it against what is published, row by row; publishes nothing.

    :raises NightRefused: if the night is not published, or cannot be recomputed.
    """
    if not is_published(night, services.database):
        raise NightRefused(f"night {night} is not published; run `meterbeat batch --night {night}`")
    with _staged(night, services, partial=True) as staged, services.stage("compare"):
        users, named = staged.publication.differing_users(night)
    return Verified(str(night), staged.truth.counts["rows"], users, tuple(named))


@contextlib.contextmanager
def _staged(night: Night, services: Services, *, partial: bool) -> Iterator[Staged]:
    """Recompute a night and stage it in MySQL, where nobody reads it; clear all that afterwards."""
    bucket, stage = services.bucket, services.stage
    with stage("look"):
        found = s3_source.look(bucket, night)
        check_archived(night, bucket, found, partial=partial)
        publication = Publication(services.database)
    with contextlib.closing(publication):
        check_follows(
            night,
            previous=found.previous(night),
            previous_archive=found.previous_archive,
            published=publication.has(night.previous),
            other=_of_another_run(bucket, publication, night.previous),
            earlier=publication.has_before(night),
        )
        with stage("start"):
            spark = services.start_spark()
        try:
            with _refusals():
                truth = _truth(spark, night, bucket=bucket, found=found, stage=stage, partial=partial)
                checksums = _load(truth, services.database, publication, stage)
            yield Staged(found, publication, truth, checksums)
            publication.clear()
        finally:
            with contextlib.suppress(PySparkException, Py4JError):
                spark.catalog.clearCache()


def _of_another_run(bucket: Bucket, publication: Publication, night: Night) -> bool:
    """Whether what a night hands on is not of the run that is published: that was undone, or broke off."""
    published, curated = publication.rows_checksum(night), carried.rows_checksum(bucket, night)
    return None not in (published, curated) and published != curated


def check_follows(
    night: Night, *, previous: bool, previous_archive: bool, published: bool, other: bool, earlier: bool
) -> None:
    """Refuse a night that does not start from the registers of the night before, unless it is the first.

    Of the night before, `previous` says whether it is curated, `previous_archive` whether there are
    heartbeats, `published` whether it is in MySQL, `other` whether what is there is of another run than what
    is curated; `earlier` whether any night before this one is published. What is curated but not published
    may be of a night that broke off.

    :raises NightRefused: naming the night to run first.
    """
    before, run_it = night.previous, f"run `meterbeat batch --night {night.previous}` first"
    if published and not previous:
        path = carried.curated_path(before)
        raise NightRefused(f"night {before} is published, but {path} is not on S3; {run_it}")
    if published and other:
        raise NightRefused(
            f"night {before} hands on what another run of it came to than the one that is published; {run_it}"
        )
    if not published and (earlier or previous or previous_archive):
        raise NightRefused(f"night {night} would start without night {before}, not yet published; {run_it}")


def check_archived(night: Night, bucket: Bucket, found: Found, *, partial: bool) -> None:
    """Refuse a day without archive; a partial one after a night may have been silent throughout.

    :raises NightRefused: naming where nothing was found.
    """
    if not found.archive_keys and not (partial and found.previous(night)):
        missing = bucket.url(archive.day_path("*", str(night)))  # type: ignore[arg-type]
        remedy = "; if no meter beat that day, publish it with --partial" if found.previous(night) else ""
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


def _truth(
    spark: SparkSession, night: Night, *, bucket: Bucket, found: Found, stage: Stage, partial: bool
) -> Truth:
    """Return what a night came to, checked; reads every heartbeat once."""
    with stage("recompute"):
        recomputation = Recomputation(spark, bucket, night, found)
        unsound = _pass_over(spark, recomputation, bucket, found)
    if unsound:
        whose = recomputation.heartbeats.where(f"NOT {usage.sound(night)}").select(F.input_file_name())
        raise NightRefused(
            f"archive object {whose.limit(1).collect()[0][0]} cannot be read: it holds heartbeats without "
            f"user_id, rate or register, or not sent on {night}"
        )
    with stage("estimate"):
        recomputed = recomputation.finish()
        rows = recomputed.rows
        counted = counts.of_rows(rows)
    if not counted["rows"]:
        raise NightRefused(f"the archive of night {night} holds no heartbeat of a user in master data")
    # The rows are held by now: nothing that looks at them reads a heartbeat again.
    if not partial:
        check_whole(night, counts.newest_sent_at(rows))
    with stage("conserve"):
        totals = conservation.assert_conserved(rows, recomputed.regions)
    with stage("reconcile"):
        marks = s3_source.read_marks(spark, bucket, night, found)
        reconciled = reconcile.reconciliations(rows, marks, night).persist()
        findings = reconcile.findings(rows, night)
        adjusted = reconcile.summary(reconciled)
        counted["findings"] = findings.count()
    return Truth(
        frames={
            nightly.USAGE_DAYS_TABLE: _published(recomputed, night),
            nightly.FINDINGS_TABLE: findings,
            nightly.RECONCILIATIONS_TABLE: reconciled,
            nightly.HOUSEHOLDS_TABLE: recomputed.households,
            nightly.REGIONS_TABLE: recomputed.regions,
        },
        recomputed=recomputed,
        counts=counted,
        totals=totals,
        adjusted=adjusted,
    )


def _published(recomputed: Recomputed, night: Night) -> DataFrame:
    """Return the rows of known users in the contract's columns: the night's, and those it tells anew."""
    columns: Sequence[str] = nightly.USAGE_DAYS_COLUMNS
    rows = recomputed.rows.where("known").withColumn("night", F.lit(str(night))).select(*columns)
    if recomputed.restated is None:
        return rows
    return rows.unionByName(recomputed.restated.select(*columns))


def _pass_over(spark: SparkSession, recomputation: Recomputation, bucket: Bucket, found: Found) -> int:
    """Read all heartbeats; return how many were unsound. Spark does not always name what it cannot read."""
    try:
        return counts.unsound(recomputation.first)
    except (PySparkException, Py4JError) as error:
        said = failure.in_one_line(str(error))
        name = None if failure.names_an_object(said) else s3_source.unreadable_object(spark, bucket, found)
        raise NightRefused(f"object {name} cannot be read: {said}" if name else said) from None


def _state_checksum(spark: SparkSession, bucket: Bucket, night: Night) -> int | None:
    """Return the checksum of what an earlier run of the night handed on, None if there was none."""
    if not carried.is_curated(bucket, night):
        return None
    return carried.state_checksum(carried.read_rows(spark, bucket, night))


def _load(truth: Truth, database: Database, publication: Publication, stage: Stage) -> dict[str, int]:
    """Stage everything in MySQL, hold it against what was sent, return the checksums by table."""
    with stage("load"):
        publication.prepare()
        sent = {table: mysql_sink.load(frame, database, table) for table, frame in truth.frames.items()}
    with stage("verify"):
        for table, (count, checksum) in sent.items():
            publication.verify(table, count, checksum)
    return {table: checksum for table, (_, checksum) in sent.items()}


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turn what Spark says about its inputs into one line."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise NightRefused(failure.in_one_line(str(error))) from None
