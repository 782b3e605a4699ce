"""The commands of batch: nights, invoices, the archive's compaction, and what is published."""

import contextlib
import dataclasses
import datetime
import json
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import typer
from pyspark.sql import SparkSession
from rich.console import Console

from batch import compaction, invoice_commands, job, mysql_sink, session
from batch.bucket_sink import Bucket
from batch.metrics import BatchMetrics
from batch.mysql_sink import Database
from batch.night import Night, NightRefused
from batch.report import CompactionReport
from batch.stages import COMPACTION, NIGHT, VERIFICATION, Stages
from infra.settings import SettingError, Settings

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
progress = Console(stderr=True)
# A night's leftovers outlive it by an hour: a later night removes them, a week's worth if some fail.
TIDIED_NIGHTS = 7

NIGHTS_MAX = 400  # of one backfill

NightOption = Annotated[str, typer.Option(help="the UTC day, YYYY-MM-DD or `yesterday`")]
PartialOption = Annotated[
    bool, typer.Option("--partial", help="publish although the archive does not reach the day's end")
]
CompactOption = Annotated[
    bool, typer.Option("--compact/--no-compact", help="rewrite the day's archive once the night is published")
]
LateOption = Annotated[
    bool, typer.Option("--late/--no-late", help="first run again earlier nights whose archive has grown")
]
JsonOption = Annotated[bool, typer.Option("--json", help="report as JSON on standard output")]


@app.command()
def run(
    night: NightOption,
    partial: PartialOption = False,
    compacting: CompactOption = True,
    late: LateOption = True,
    as_json: JsonOption = False,
) -> None:
    """Recompute one closed UTC day from the archive, publish it whole, compact its archive.

    Earlier nights, up to 40 days back, whose archive has grown since they were published are run again
    before, and published ones that start from a night that now ends otherwise are run again after it. A
    compaction that fails leaves its night published and the archive as it was, and the next nights go on; the
    exit code is 1 in the end. With --json each night is one line.
    """
    with _one_line(), _platform() as platform:
        closed = _closed(night)
        grown = job.late_nights(closed, platform.bucket, platform.database) if late else []
        _run_in_order(platform, grown, [closed], partial, compacting, as_json)


@app.command()
def backfill(
    since: Annotated[str, typer.Option("--from", help="the first UTC day, YYYY-MM-DD")],
    until: Annotated[str, typer.Option("--to", help="the last UTC day, YYYY-MM-DD or `yesterday`")],
    partial: PartialOption = False,
    compacting: CompactOption = True,
    as_json: JsonOption = False,
) -> None:
    """Run the nights of a period in their order, published ones again; stop at the first that is refused.

    With --json each night is one line.
    """
    with _one_line(), _platform() as platform:
        nights = _closed(since).until(_closed(until))
        if not 0 < len(nights) <= NIGHTS_MAX:
            raise typer.BadParameter(f"{since} to {until} is not 1 to {NIGHTS_MAX} days")
        _run_in_order(platform, [], nights, partial, compacting, as_json)


@app.command()
def verify(night: NightOption, as_json: JsonOption = False) -> None:
    """Recount a published night and hold it against what is published. Exit 1 on any difference."""
    with _one_line(), _platform() as platform:
        closed = _closed(night)
        with Stages(progress, f"verify {closed}", VERIFICATION).shown() as stages:
            found = job.verify(closed, platform.services(stages))
    print(json.dumps(found.to_json()) if as_json else found)
    raise typer.Exit(1 if found.users_differing else 0)


@app.command()
def rollback(night: NightOption, as_json: JsonOption = False) -> None:
    """Put back what was published before the newest night's last publication; it can be run again."""
    with _one_line():
        database = database_of(Settings.from_env())
        with contextlib.closing(mysql_sink.Publication(database)) as publication:
            undone = publication.rollback(_closed(night), _clock())
    print(json.dumps(dataclasses.asdict(undone), default=str) if as_json else undone)


@app.command()
def compact(day: NightOption, as_json: JsonOption = False) -> None:
    """Rewrite one closed UTC day of the archive, sorted and small; remove what earlier runs left over."""
    with _one_line(), _platform() as platform:
        closed = _closed(day)
        report = _compact(platform, closed, 0)
        if not report.utilities:
            raise NightRefused(f"no archive of {closed} to compact in s3://{platform.bucket.name}")
    if as_json:
        print(json.dumps(report.to_json()))
    else:
        report.print(Console())


@app.command()
def published(
    night: Annotated[
        datetime.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="the UTC day; default: the newest")
    ] = None,
    users: Annotated[str, typer.Option(help="ids with commas; default: a JSON list on standard input")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show the published rows of some users."""
    user_ids = _user_ids(users)
    with _one_line():
        day = night.date() if night else None
        answer = mysql_sink.published_rows(database_of(Settings.from_env()), day, user_ids)
    if as_json:
        print(json.dumps(answer))
        return
    print(f"night {answer['night']}, truth until {answer['truth_until']} UTC")
    for row in answer["rows"]:
        print(
            f"{row['user_id']}  {row['utility']:11} {row['register_start']:>12} -> {row['register_end']:>12}"
            f"  = {row['usage_total']}"
        )


def main() -> None:
    """Run the command line."""
    app()


def bucket_of(settings: Settings) -> Bucket:
    """Return the bucket that settings name."""
    return Bucket(
        settings.s3_endpoint,
        settings.s3_region,
        settings.s3_access_key,
        settings.s3_secret_key,
        settings.s3_bucket,
    )


def database_of(settings: Settings) -> Database:
    """Return the published database that settings name, as batch's user."""
    return Database(
        settings.mysql_host,
        settings.mysql_port,
        settings.mysql_database,
        settings.mysql_batch_user,
        settings.mysql_batch_password,
    )


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """End with one line for what can be expected to go wrong: exit code 2 for a setting, else 1."""
    try:
        yield
    except (NightRefused, SettingError) as error:
        _complain(str(error))
        raise typer.Exit(2 if isinstance(error, SettingError) else 1) from None


@dataclasses.dataclass(frozen=True)
class _Platform:
    """The services that nights of this process work with, and the figures they leave."""

    bucket: Bucket
    database: Database
    start_spark: Callable[[], SparkSession]
    metrics: BatchMetrics

    def services(self, stages: Stages) -> job.Services:
        """Return what one night works with."""
        return job.Services(self.bucket, self.database, self.start_spark, stages.stage)


@contextlib.contextmanager
def _platform() -> Iterator[_Platform]:
    settings = Settings.from_env()
    metrics = BatchMetrics(pathlib.Path(settings.batch_metrics_file), time.time)
    with metrics.written(_complain), _spark_when_needed(settings) as start_spark:
        yield _Platform(bucket_of(settings), database_of(settings), start_spark, metrics)


def _run_in_order(
    platform: _Platform,
    late: Sequence[Night],
    asked: Sequence[Night],
    partial: bool,
    compacting: bool,
    quiet: bool,
) -> None:
    """Run the nights asked for, late ones before them, and published ones that start from what moved.

    :raises NightRefused: if a night is refused, or in the end if an archive could not be compacted.
    """
    night = min([*late, *asked], key=str)
    why, moved = job.LATE if late else job.RECOMPUTED, False
    not_compacted = []
    while night.day <= asked[-1].day or (moved and job.is_published(night, platform.database)):
        if night in asked or night in late or moved:
            reason = job.RECOMPUTED if night in asked else why
            answer = _publish(platform, night, reason, partial or night not in asked, compacting, quiet)
            moved = bool(answer["moves_next"])
            if quiet:
                print(json.dumps(answer), flush=True)
            if answer["compaction_refused"]:
                not_compacted.append(str(night))
        night = night.next
    if not_compacted:
        raise NightRefused(
            f"archives that are not compacted, their nights published: {', '.join(not_compacted)}; run "
            "`meterbeat batch compact --day` for each once its cause is gone"
        )


def _publish(
    platform: _Platform, night: Night, reason: str, partial: bool, compacting: bool, quiet: bool
) -> dict[str, Any]:
    """Run a night and compact its archive; return the answer as plain values.

    A compaction only makes files smaller: one that is refused is told, counted and in the answer.
    """
    with Stages(progress, f"night {night}", NIGHT).shown() as stages:
        report = job.run(
            night, platform.services(stages), published_at=_clock(), partial=partial, reason=reason
        )
    platform.metrics.published(night, report, stages.seconds)
    if not quiet:
        report.print(Console(), stages.seconds)
    compacted, refused = None, None
    if compacting:
        try:
            compacted = _compact(platform, night, TIDIED_NIGHTS)
        except NightRefused as error:
            refused = str(error)
            platform.metrics.not_compacted()
            _complain(f"night {night} is published, its archive is not compacted: {refused}")
    if compacted and not quiet:
        compacted.print(Console())
    return {
        **report.to_json(),
        "seconds": dict(stages.seconds),
        "compaction": compacted and compacted.to_json(),
        "compaction_refused": refused,
    }


def _closed(text: str) -> Night:
    """Return the night that an option names.

    :raises NightRefused: if its day is not over.
    """
    try:
        return Night.named(text, _clock())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _compact(platform: _Platform, night: Night, nights_before: int) -> CompactionReport:
    """Compact a night's day; remove what was superseded in it, and in so many days before it."""
    with (
        contextlib.closing(mysql_sink.compaction_lock(platform.database)) as lock,
        Stages(progress, f"compaction {night}", COMPACTION).shown() as stages,
    ):
        removed = compaction.remove_outlived([night, *night.before(nights_before)], platform.bucket, _clock())
        done = compaction.compact(
            night,
            bucket=platform.bucket,
            lock=lock,
            start_spark=platform.start_spark,
            stage=stages.stage,
            clock=_clock,
        )
    return CompactionReport(str(night), done, removed)


def _complain(line: str) -> None:
    progress.print(line, style="red", highlight=False, soft_wrap=True, markup=False)


def _clock() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _user_ids(text: str) -> list[int]:
    try:
        return [int(part) for part in (text.split(",") if text else json.load(sys.stdin))]
    except (ValueError, TypeError):
        raise typer.BadParameter("user ids are whole numbers", param_hint="--users") from None


@contextlib.contextmanager
def _spark_when_needed(settings: Settings) -> Iterator[Callable[[], SparkSession]]:
    """Yield what starts Spark when first called; stop it, if it runs, in the end."""
    running: list[SparkSession] = []

    def start_spark() -> SparkSession:
        if not running:
            running.append(_spark(settings))
        return running[0]

    try:
        yield start_spark
    finally:
        for spark in running:
            spark.stop()


def _spark(settings: Settings) -> SparkSession:
    return session.start(
        master=settings.spark_master,
        driver_memory_mb=settings.spark_driver_memory_mb,
        scratch=settings.home / "spark",
        jars=settings.jars / "spark",
        s3_endpoint=settings.s3_endpoint,
        s3_region=settings.s3_region,
        s3_access_key=settings.s3_access_key,
        s3_secret_key=settings.s3_secret_key,
    )


app.add_typer(
    invoice_commands.commands(
        bucket=lambda: bucket_of(Settings.from_env()),
        database=lambda: database_of(Settings.from_env()),
        clock=_clock,
        one_line=_one_line,
        progress=progress,
    ),
    name="invoice",
)

if __name__ == "__main__":
    main()
