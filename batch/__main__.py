"""The commands of batch: run a night, compact a day's archive, show what is published."""

import contextlib
import datetime
import json
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
from pyspark.sql import SparkSession
from rich.console import Console

from batch import compaction, job, mysql_sink, session
from batch.bucket_sink import Bucket
from batch.metrics import BatchMetrics
from batch.mysql_sink import Database
from batch.night import Night, NightRefused
from batch.report import CompactionReport
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
JsonOption = Annotated[bool, typer.Option("--json", help="report as JSON on standard output")]


@app.command()
def run(
    night: NightOption,
    partial: PartialOption = False,
    compacting: CompactOption = True,
    as_json: JsonOption = False,
) -> None:
    """Recompute one closed UTC day from the archive, publish it whole, compact its archive.

    A compaction that fails leaves the night published and the archive as it was; the exit code is 1.
    """
    with _one_line(), contextlib.ExitStack() as cleanup:
        settings = Settings.from_env()
        closed = _closed(night)
        metrics = cleanup.enter_context(_metrics(settings).written(_complain))
        start_spark = cleanup.enter_context(_spark_when_needed(settings))
        answer, refused = _publish(closed, settings, metrics, start_spark, partial, compacting, as_json)
        if as_json:
            print(json.dumps(answer))
        if refused:
            raise refused


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
    with _one_line(), contextlib.ExitStack() as cleanup:
        settings = Settings.from_env()
        nights = _closed(since).until(_closed(until))
        if not 0 < len(nights) <= NIGHTS_MAX:
            raise typer.BadParameter(f"{since} to {until} is not 1 to {NIGHTS_MAX} days")
        metrics = cleanup.enter_context(_metrics(settings).written(_complain))
        start_spark = cleanup.enter_context(_spark_when_needed(settings))
        for night in nights:
            answer, refused = _publish(night, settings, metrics, start_spark, partial, compacting, as_json)
            if as_json:
                print(json.dumps(answer), flush=True)
            if refused:
                raise refused


@app.command()
def verify(night: NightOption, as_json: JsonOption = False) -> None:
    """Recount a published night and hold it against what is published. Exit 1 on any difference."""
    with _one_line(), contextlib.ExitStack() as cleanup:
        settings = Settings.from_env()
        found = job.verify(
            _closed(night),
            bucket=_bucket(settings),
            database=_database(settings),
            start_spark=cleanup.enter_context(_spark_when_needed(settings)),
            stage=_stages("verify", {}),
        )
    print(json.dumps(found.to_json()) if as_json else found)
    raise typer.Exit(1 if found.users_differing else 0)


@app.command()
def compact(day: NightOption, as_json: JsonOption = False) -> None:
    """Rewrite one closed UTC day of the archive, sorted and small; remove what earlier runs left over."""
    with _one_line(), contextlib.ExitStack() as cleanup:
        settings = Settings.from_env()
        closed = _closed(day)
        start_spark = cleanup.enter_context(_spark_when_needed(settings))
        report = _compact(settings, closed, 0, start_spark)
        if not report.utilities:
            raise NightRefused(f"no archive of {closed} to compact in s3://{settings.s3_bucket}")
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
        answer = mysql_sink.published_rows(_database(Settings.from_env()), day, user_ids)
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


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """End with one line for what can be expected to go wrong: exit code 2 for a setting, else 1."""
    try:
        yield
    except (NightRefused, SettingError) as error:
        _complain(str(error))
        raise typer.Exit(2 if isinstance(error, SettingError) else 1) from None


def _publish(
    night: Night,
    settings: Settings,
    metrics: BatchMetrics,
    start_spark: Callable[[], SparkSession],
    partial: bool,
    compacting: bool,
    quiet: bool,
) -> tuple[dict[str, Any], NightRefused | None]:
    """Run a night; return its answer as plain values, and why its archive is not compacted, if it is not."""
    seconds: dict[str, float] = {}
    report = job.run(
        night,
        bucket=_bucket(settings),
        database=_database(settings),
        start_spark=start_spark,
        stage=_stages(f"night {night}", seconds),
        published_at=_clock(),
        partial=partial,
    )
    metrics.published(night, report, seconds)
    if not quiet:
        report.print(Console(), seconds)
    compacted, refused = None, None
    if compacting:
        try:
            compacted = _compact(settings, night, TIDIED_NIGHTS, start_spark)
        except NightRefused as error:
            refused = NightRefused(f"night {night} is published, its archive is not compacted: {error}")
    if compacted and not quiet:
        compacted.print(Console())
    return {**report.to_json(), "seconds": seconds, "compaction": compacted and compacted.to_json()}, refused


def _closed(text: str) -> Night:
    """Return the night that an option names.

    :raises NightRefused: if its day is not over.
    """
    try:
        return Night.named(text, _clock())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _compact(
    settings: Settings, night: Night, nights_before: int, start_spark: Callable[[], SparkSession]
) -> CompactionReport:
    """Compact a night's day; remove what was superseded in it, and in so many days before it."""
    bucket = _bucket(settings)
    with contextlib.closing(mysql_sink.compaction_lock(_database(settings))) as lock:
        nights = [night]
        while len(nights) <= nights_before:
            nights.append(nights[-1].previous)
        removed = compaction.remove_outlived(nights, bucket, _clock())
        done = compaction.compact(
            night,
            bucket=bucket,
            lock=lock,
            start_spark=start_spark,
            stage=_stages("compaction", {}),
            clock=_clock,
        )
    return CompactionReport(str(night), done, removed)


def _metrics(settings: Settings) -> BatchMetrics:
    return BatchMetrics(pathlib.Path(settings.batch_metrics_file), time.time)


def _complain(line: str) -> None:
    progress.print(line, style="red", highlight=False, soft_wrap=True, markup=False)


def _clock() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _stages(what: str, seconds: dict[str, float]) -> job.Stage:
    """Return the stage that shows itself on a terminal and writes down how long it took."""

    @contextlib.contextmanager
    def stage(name: str) -> Iterator[None]:
        began = time.monotonic()
        shown = progress.status(f"{what}: {name}") if progress.is_terminal else contextlib.nullcontext()
        with shown:
            yield
        seconds[name] = round(time.monotonic() - began, 3)
        if progress.is_terminal:
            progress.print(f"{what}: {name:9} {seconds[name]:7.1f} s", highlight=False)

    return stage


def _user_ids(text: str) -> list[int]:
    try:
        return [int(part) for part in (text.split(",") if text else json.load(sys.stdin))]
    except (ValueError, TypeError):
        raise typer.BadParameter("user ids are whole numbers", param_hint="--users") from None


def _bucket(settings: Settings) -> Bucket:
    return Bucket(
        settings.s3_endpoint,
        settings.s3_region,
        settings.s3_access_key,
        settings.s3_secret_key,
        settings.s3_bucket,
    )


def _database(settings: Settings) -> Database:
    return Database(
        settings.mysql_host,
        settings.mysql_port,
        settings.mysql_database,
        settings.mysql_batch_user,
        settings.mysql_batch_password,
    )


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


if __name__ == "__main__":
    main()
