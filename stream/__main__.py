"""python -m stream run | status | stop | rebuild | snapshot | expire | ...: the commands of this layer."""

import contextlib
import dataclasses
import json
import os
import sys
import time
import urllib.parse
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from infra.exposition import MetricsError
from infra.flink import cluster
from infra.process import Service, ServiceError
from infra.s3.server import create_bucket
from infra.settings import SettingError, Settings
from stream import expire, live_state_load, snapshot, watch_metrics
from stream.catch_up import CatchUp
from stream.flink_client import FlinkAwayError, FlinkClient
from stream.jobs import (
    ARCHIVE,
    CHECKPOINT_S_MAX,
    FOLD,
    checkpoints_of,
    newest_checkpoint_of,
    newest_event_ms,
    started,
    stop_all,
    wait_until_running,
)
from stream.kafka_source import KafkaAwayError, KafkaSource
from stream.metrics_source import MetricsAwayError, scrape
from stream.redis_sink import (
    LiveMarks,
    Occupancy,
    RedisAwayError,
    RedisSink,
    Sentinel,
    check_redis,
    told_when_away,
)
from stream.settle import until_settled
from stream.status import Report, Told, letters_table, report_of, table_of
from stream.watch import Guard, Silence, Ticker, watch

app = typer.Typer(
    help="The speed layer: fold heartbeats into live state and archive them.", no_args_is_help=True
)
notes = Console(stderr=True, highlight=False, soft_wrap=True)
Json = Annotated[bool, typer.Option("--json", help="Report as JSON.")]


@app.command()
def run(
    restore_from: Annotated[
        str, typer.Option(help="Checkpoint of the fold to resume from; default: the newest.")
    ] = "",
    fresh: Annotated[
        bool, typer.Option(help="Ignore checkpoints; read, and archive again, the topics from their start.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run both jobs, fold and archive: start what is missing, resume where it was, leave it running."""
    settings = Settings.from_env()
    _ensure_cluster(settings)
    client = FlinkClient(settings.flink_rest)
    heard_ms = client.heard_at_ms()
    missing = [name for name in (FOLD, ARCHIVE) if client.job(name) is None]
    restored: dict[str, str | None] = {}
    if missing:
        _check_stores(settings)
        for name in missing:
            named = restore_from if name == FOLD else ""
            restored[name] = None if fresh else named or newest_checkpoint_of(settings.checkpoint_dir, name)
        with notes.status("submitting the jobs"):
            for name in missing:
                _submit(settings, name, restored[name])
    _watch_service(settings).start()
    with notes.status("waiting until every task runs"):
        jobs = {name: wait_until_running(client, name, heard_ms) for name in (FOLD, ARCHIVE)}
    values = {"job_id": jobs[FOLD].job_id, "state": jobs[FOLD].state, "restored_from": restored.get(FOLD)}
    values |= {"archive_job_id": jobs[ARCHIVE].job_id, "archive_restored_from": restored.get(ARCHIVE)}
    _report(values, as_json, "\n".join(started(name, job, restored) for name, job in jobs.items()))


@app.command()
def status(
    as_json: Json = False,
    every_s: Annotated[
        float | None, typer.Option(min=0, help="Repeat; 0: once. Default: 2 on a terminal, else once.")
    ] = None,
) -> None:
    """Tell how the jobs do: rate, lag, watermark, late, dead letters. Exit 1 if one does not run."""
    settings, console = Settings.from_env(), Console()
    if every_s is None:
        every_s = 2 if console.is_terminal and not as_json else 0
    with _input(settings) as source, Live(console=console, auto_refresh=False, transient=False) as live:
        report, before = _status(settings, source), None
        while True:
            if as_json:
                print(json.dumps(report), flush=True)
            else:
                live.update(table_of(report, before), refresh=True)
            if not every_s:
                break
            time.sleep(every_s)
            report, before = _status(settings, source), report
    raise typer.Exit(0 if report["state"] == report["archive_state"] == "RUNNING" else 1)


@app.command()
def settle(
    within_s: Annotated[int, typer.Option(min=1, max=86_400, help="Give up after so long.")] = 600,
    as_json: Json = False,
) -> None:
    """Wait until all that was sent is folded and archived, asking for checkpoints before their time."""
    settings = Settings.from_env()
    client = FlinkClient(settings.flink_rest)
    with _input(settings) as source:
        report = until_settled(lambda: _status(settings, source), client.checkpoint, within_s)
    _report(report, as_json, "all is folded and archived")


@app.command()
def stop(as_json: Json = False) -> None:
    """Stop both jobs with savepoints, from which the next `run` resumes."""
    settings = Settings.from_env()
    _watch_service(settings).stop()
    savepoints = stop_all(FlinkClient(settings.flink_rest), settings.checkpoint_dir)
    texts = [
        f"{name}: {f'stopped; savepoint {at}' if at else 'does not run'}" for name, at in savepoints.items()
    ]
    values = {"savepoint": savepoints[FOLD], "archive_savepoint": savepoints[ARCHIVE]}
    _report(values, as_json, "\n".join(texts))


@app.command(name="watch")
def watch_input() -> None:
    """Tick while the input is silent, so that the last windows close. `run` starts this by itself."""
    settings = Settings.from_env()
    quiet_ms = (settings.idle_s + 2) * 1000
    margin_ms = (settings.window_s + settings.lateness_s) * 1000 + 1
    bootstrap = settings.kafka_bootstrap
    client = FlinkClient(settings.flink_rest)
    silence = Silence(quiet_ms, margin_ms)
    ticker = Ticker(lambda: KafkaSource(bootstrap, FOLD), bootstrap, lambda: newest_event_ms(client), silence)
    command = [sys.executable, "-m", "stream", "rebuild"]
    _show_watch_metrics(settings, client)
    watch(ticker, Guard(Sentinel(settings.redis_url), command, notes.print), notes.print)


def _show_watch_metrics(settings: Settings, client: FlinkClient) -> None:
    """Show what the stores tell; ticks matter more, so a port that is taken is told and no more."""
    if not settings.metrics_host:
        return
    broker = watch_metrics.Broker(lambda: KafkaSource(settings.kafka_bootstrap, FOLD), (FOLD, ARCHIVE))
    probes = watch_metrics.Probes(
        broker.progress,
        lambda: client.job(FOLD),
        Occupancy(settings.redis_url).use,
        lambda: int(time.time() * 1000),
    )
    try:
        watch_metrics.start(settings.metrics_host, settings.stream_watch_metrics_port, probes)
    except MetricsError as error:
        notes.print(f"{error}; ticks go on")


@app.command(name="rebuild")
def rebuild_live_state(
    since: Annotated[
        str,
        typer.Option(
            help="ISO-8601 instant with Z or offset; default: yesterday 00:00 UTC, or today once batch has "
            "compacted yesterday."
        ),
    ] = "",
    thorough: Annotated[
        bool, typer.Option(help="Read every row, for meters that were silent at the ends of hours.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Rebuild from the archive what Redis lost. The watch that `run` starts does this by itself."""
    from stream import rebuild  # noqa: PLC0415 - pyarrow takes a second
    from stream.archive_source import ArchiveSource  # noqa: PLC0415

    settings, now_ms = Settings.from_env(), int(time.time() * 1000)
    s3 = settings.s3_endpoint, settings.s3_region, settings.s3_access_key, settings.s3_secret_key
    archive = ArchiveSource.on_s3(*s3, settings.s3_bucket)
    sink = RedisSink(settings.redis_url, settings.stream_epoch)
    flink = FlinkClient(settings.flink_rest)
    with (
        contextlib.closing(KafkaSource(settings.kafka_bootstrap, ARCHIVE)) as source,
        told_when_away(settings.redis_url),
        notes.status("rebuilding live state") as progress,
    ):
        try:
            since_ms = rebuild.since_ms_of(since) if since else rebuild.default_since_ms(archive, now_ms)
            of_range = rebuild.Rebuild(archive, sink, progress.update, since_ms, now_ms)
        except rebuild.RebuildRefused as error:
            raise typer.BadParameter(str(error)) from None
        caught_up = CatchUp(source, flink, ARCHIVE)
        report = rebuild.run(of_range, Sentinel(settings.redis_url), caught_up.reached, thorough=thorough)
    _report(dataclasses.asdict(report), as_json, report.text)
    raise typer.Exit(0 if report.whole else 1)


@app.command(name="snapshot")
def keep_snapshot(
    night: Annotated[str, typer.Option(help="UTC day that is over, YYYY-MM-DD.")], as_json: Json = False
) -> None:
    """Keep on S3 what live state holds of a day, for batch to reconcile with; before `expire` drops it."""
    from stream.archive_source import s3_files  # noqa: PLC0415 - pyarrow takes a second
    from stream.s3_sink import S3Sink  # noqa: PLC0415

    settings, start_ms = Settings.from_env(), snapshot.night_start_ms(night, int(time.time() * 1000))
    s3 = settings.s3_endpoint, settings.s3_region, settings.s3_access_key, settings.s3_secret_key
    sink = S3Sink(s3_files(*s3), settings.s3_bucket, f"S3 at {settings.s3_endpoint}")
    with told_when_away(settings.redis_url), notes.status("reading live state") as progress:
        done = snapshot.take(LiveMarks(settings.redis_url), sink.write_marks, start_ms, progress.update)
    _report(dataclasses.asdict(done), as_json, str(done))


@app.command(name="expire")
def expire_hours(until: Annotated[str, typer.Option(help=expire.INSTANT)], as_json: Json = False) -> None:
    """Drop the hours from live state that batch has published. `meterbeat batch` does this after a night."""
    done = expire.expire(Settings.from_env().redis_url, expire.instant_ms(until, int(time.time() * 1000)))
    _report(dataclasses.asdict(done), as_json, str(done))


@app.command(name="load", hidden=True)
def load_live_state(
    users: Annotated[int, typer.Option(min=1, max=89_999_999)],
    first: Annotated[int, typer.Option(min=0, max=89_999_999)] = 0,
    since_ms: Annotated[int, typer.Option(min=0)] = live_state_load.STARTS_AT,
    last_hour: Annotated[int, typer.Option(min=1, max=48)] = live_state_load.LAST_HOUR,
    hours_between: Annotated[int, typer.Option(min=0, max=48)] = 0,
    as_json: Json = False,
) -> None:
    """Fill an empty Redis with this many users, for `meterbeat bench` live-state and serving."""
    settings = Settings.from_env()
    done = live_state_load.load(
        settings.redis_url, settings.stream_epoch, users, first, since_ms, last_hour, hours_between
    )
    _report(dataclasses.asdict(done), as_json, str(done))


@app.command(name="dead-letters")
def dead_letters(as_json: Json = False) -> None:
    """List the messages that were no heartbeats, each once, with origin and reason."""
    with _input(Settings.from_env()) as source:
        letters = source.dead_letters()
    if as_json:
        rows = [dataclasses.asdict(letter) for letter in letters]
        print(json.dumps(rows, default=lambda raw: raw.hex()))
        return
    Console().print(letters_table(letters))


def _ensure_cluster(settings: Settings) -> None:
    """Start the local cluster's processes that do not run; a cluster elsewhere is asked only."""
    if settings.flink_rest == f"http://127.0.0.1:{settings.port_base + 81}":
        services = cluster.services(settings)
        for service in services:
            if service.start():
                notes.print(f"{service.name} started")
        for service in services:
            service.wait()


def _check_stores(settings: Settings) -> None:
    """Return if everything that the job reads and writes answers; else it would fail over and over."""
    KafkaSource(settings.kafka_bootstrap, FOLD).close()
    check_redis(settings.redis_url)
    create_bucket(settings)


def _submit(settings: Settings, name: str, restore_from: str | None) -> None:
    os.environ.update(cluster.environment(settings))
    from stream import fold_udf  # noqa: PLC0415 - reads the variables set above
    from stream.job import ArchiveOptions, FoldOptions  # noqa: PLC0415
    from stream.submission import Submission, start_java, submit_archive, submit_fold  # noqa: PLC0415

    start_java()
    rest = urllib.parse.urlsplit(settings.flink_rest)
    submission = Submission(
        job_name=name,
        rest_host=rest.hostname or "127.0.0.1",
        rest_port=rest.port or 8081,
        parallelism=settings.stream_parallelism,
        checkpoint_dir=checkpoints_of(settings.checkpoint_dir, name),
        checkpoint_interval_s=settings.checkpoint_interval_s,
        checkpoint_s_max=CHECKPOINT_S_MAX[name],
        restore_from=restore_from,
        parameters={
            fold_udf.REDIS_URL: settings.redis_url,
            fold_udf.EPOCH: str(settings.stream_epoch),
            fold_udf.LATENESS_MS: str(settings.lateness_s * 1000),
        },
    )
    if name == ARCHIVE:
        submission = dataclasses.replace(
            submission,
            parallelism=settings.archive_parallelism,
            checkpoint_interval_s=settings.archive_checkpoint_interval_s,
        )
        submit_archive(
            submission, ArchiveOptions(settings.kafka_bootstrap, name, f"s3://{settings.s3_bucket}")
        )
        return
    options = FoldOptions(
        kafka_bootstrap=settings.kafka_bootstrap,
        group_id=name,
        parallelism=settings.stream_parallelism,
        buckets=settings.stream_buckets,
        window_s=settings.window_s,
        lateness_s=settings.lateness_s,
        idle_s=settings.idle_s,
        drift_s=settings.drift_s,
    )
    submit_fold(submission, options)


def _input(settings: Settings) -> "contextlib.closing[KafkaSource]":
    return contextlib.closing(KafkaSource(settings.kafka_bootstrap, FOLD))


def _status(settings: Settings, source: KafkaSource) -> Report:
    client = FlinkClient(settings.flink_rest)
    progress, letters = source.by_topic([FOLD, ARCHIVE]), source.dead_letter_count()
    try:
        metrics = scrape(settings.flink_metrics_urls.split(","))
    except MetricsAwayError:
        metrics = None
    told = Told(
        at_ms=int(time.time() * 1000),
        fold=client.job(FOLD),
        archive=client.job(ARCHIVE),
        fold_input=progress[FOLD],
        archive_input=progress[ARCHIVE],
        dead_letters=letters,
        metrics=metrics,
        watch=_watch_state(settings),
    )
    return report_of(told, settings.window_s * 1000)


def _watch_state(settings: Settings) -> str:
    running = _watch_service(settings).pid() is not None
    return "running" if running else "stopped: the last windows stay open; `meterbeat stream run`"


def _watch_service(settings: Settings) -> Service:
    return Service(
        name="stream-watch",
        folder=settings.home / "stream-watch",
        command=[sys.executable, "-m", "stream", "watch"],
        ports={},
        ready=lambda: True,
        env=settings.to_env(),
    )


def _report(values: Mapping[str, object], as_json: bool, text: str) -> None:
    print(json.dumps(values) if as_json else text)


def main() -> None:
    """Run a command; what can be expected to go wrong is told in one line."""
    try:
        app()
    except (
        ServiceError,
        FlinkAwayError,
        KafkaAwayError,
        RedisAwayError,
        live_state_load.LoadRefusedError,
    ) as error:
        notes.print(f"error: {error}", style="red", markup=False)
        sys.exit(1)
    except (SettingError, expire.InstantError, snapshot.SnapshotRefused) as error:
        notes.print(f"error: {error}", style="red", markup=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
