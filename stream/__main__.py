"""python -m stream run | status | stop | watch | dead-letters: the speed layer's commands."""

import dataclasses
import json
import os
import sys
import time
import urllib.parse
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from infra.flink import cluster
from infra.process import Service, ServiceError
from infra.s3.server import create_bucket
from infra.settings import SettingError, Settings
from stream.flink_client import FlinkAwayError, FlinkClient, JobStatus
from stream.kafka_source import KafkaAwayError, KafkaSource
from stream.redis_sink import RedisAwayError, check_redis
from stream.watch import Silence, watch

app = typer.Typer(
    help="The speed layer: fold heartbeats into live state and archive them.", no_args_is_help=True
)
notes = Console(stderr=True, highlight=False, soft_wrap=True)
JOB_NAME = "meterbeat-stream"
GROUP_ID = JOB_NAME
RUNNING_S_MAX = 180
Json = Annotated[bool, typer.Option("--json", help="Report as JSON.")]


@app.command()
def run(
    restore_from: Annotated[str, typer.Option(help="Checkpoint to resume from; default: the newest.")] = "",
    fresh: Annotated[
        bool, typer.Option(help="Ignore checkpoints; read, and archive again, the topics from their start.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the streaming job: start what is missing of it, resume where it was, leave it running."""
    settings = Settings.from_env()
    _ensure_cluster(settings)
    client = FlinkClient(settings.flink_rest)
    job = client.job(JOB_NAME)
    state, restored = "runs already", None
    if job is None:
        _check_stores(settings)
        restored = None if fresh else restore_from or _newest_checkpoint(settings)
        with notes.status("submitting the job"):
            _submit(settings, restored)
        state = f"resumed from {restored}" if restored else "submitted"
    _watch_service(settings).start()
    with notes.status("waiting until every task runs"):
        job = _wait_until_running(client)
    _report(
        {"job_id": job.job_id, "state": job.state, "restored_from": restored},
        as_json,
        f"job {job.job_id}: {state}",
    )


@app.command()
def status(
    as_json: Json = False,
    every_s: Annotated[float, typer.Option(help="Repeat as a live table; 0: once.")] = 0,
) -> None:
    """Tell how the job does: state, lag, watermark, checkpoints, dead letters. Exit 1 if it does not run."""
    settings = Settings.from_env()
    while True:
        report = _status(settings)
        if as_json:
            print(json.dumps(report), flush=True)
        else:
            table = Table(show_header=False)
            for name, value in report.items():
                table.add_row(name, str(value))
            Console().print(table)
        if not every_s:
            raise typer.Exit(0 if report["state"] == "RUNNING" else 1)
        time.sleep(every_s)


@app.command()
def stop(as_json: Json = False) -> None:
    """Stop the job with a savepoint, from which the next `run` resumes."""
    settings = Settings.from_env()
    _watch_service(settings).stop()
    client = FlinkClient(settings.flink_rest)
    job = client.job(JOB_NAME)
    savepoint = client.stop(job.job_id, f"{settings.checkpoint_dir}/savepoints") if job else None
    text = f"stopped; savepoint {savepoint}" if savepoint else "no job runs"
    _report({"savepoint": savepoint}, as_json, text)


@app.command(name="watch")
def watch_input() -> None:
    """Tick while the input is silent, so that the last windows close. `run` starts this by itself."""
    settings = Settings.from_env()
    quiet_ms = (settings.idle_s + 2) * 1000
    margin_ms = (settings.window_s + settings.lateness_s) * 1000 + 1
    bootstrap = settings.kafka_bootstrap
    watch(lambda: KafkaSource(bootstrap, GROUP_ID), bootstrap, Silence(quiet_ms, margin_ms), notes.print)


@app.command(name="dead-letters")
def dead_letters(as_json: Json = False) -> None:
    """List the messages that were no heartbeats, each once, with origin and reason."""
    source = KafkaSource(Settings.from_env().kafka_bootstrap, GROUP_ID)
    letters = source.dead_letters()
    source.close()
    if as_json:
        rows = [dataclasses.asdict(letter) for letter in letters]
        print(json.dumps(rows, default=lambda raw: raw.hex()))
        return
    table = Table("topic", "partition", "offset", "reason")
    for letter in letters:
        table.add_row(letter.topic, str(letter.partition), str(letter.offset), letter.reason)
    Console().print(table)


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
    KafkaSource(settings.kafka_bootstrap, GROUP_ID).close()
    check_redis(settings.redis_url)
    create_bucket(settings)


def _newest_checkpoint(settings: Settings) -> str | None:
    from stream.submission import CheckpointError, newest_checkpoint  # noqa: PLC0415 - PyFlink takes a second

    try:
        return newest_checkpoint(settings.checkpoint_dir)
    except CheckpointError as error:
        raise FlinkAwayError(str(error)) from None


def _submit(settings: Settings, restore_from: str | None) -> None:
    os.environ.update(cluster.environment(settings))
    from stream import fold_udf  # noqa: PLC0415 - reads the variables set above
    from stream.buckets import even_labels, flink_subtask  # noqa: PLC0415
    from stream.job import JobOptions  # noqa: PLC0415
    from stream.submission import Submission, submit  # noqa: PLC0415

    rest = urllib.parse.urlsplit(settings.flink_rest)
    submission = Submission(
        job_name=JOB_NAME,
        rest_host=rest.hostname or "127.0.0.1",
        rest_port=rest.port or 8081,
        parallelism=settings.stream_parallelism,
        checkpoint_dir=settings.checkpoint_dir,
        checkpoint_interval_s=settings.checkpoint_interval_s,
        restore_from=restore_from,
        parameters={
            fold_udf.REDIS_URL: settings.redis_url,
            fold_udf.EPOCH: str(settings.stream_epoch),
            fold_udf.WINDOW_MS: str(settings.window_s * 1000),
        },
    )
    options = JobOptions(
        kafka_bootstrap=settings.kafka_bootstrap,
        group_id=GROUP_ID,
        archive_url=f"s3://{settings.s3_bucket}",
        buckets=settings.stream_buckets,
        labels=even_labels(settings.stream_buckets, flink_subtask(settings.stream_parallelism)),
        window_s=settings.window_s,
        lateness_s=settings.lateness_s,
        idle_s=settings.idle_s,
        drift_s=settings.drift_s,
    )
    submit(submission, options)


def _wait_until_running(client: FlinkClient) -> JobStatus:
    deadline = time.monotonic() + RUNNING_S_MAX
    while True:
        job = client.job(JOB_NAME)
        if job and job.state == "RUNNING" and job.tasks_running == job.tasks:
            return job
        if time.monotonic() > deadline:
            detail = f"{job.state}, {job.failure or 'no failure told'}" if job else "it is gone"
            raise FlinkAwayError(f"the job does not run after {RUNNING_S_MAX} s: {detail}")
        time.sleep(0.5)


def _status(settings: Settings) -> dict[str, object]:
    source = KafkaSource(settings.kafka_bootstrap, GROUP_ID)
    progress = source.progress()
    letters = source.dead_letter_count()
    source.close()
    job = FlinkClient(settings.flink_rest).job(JOB_NAME)
    watching = _watch_service(settings).pid() is not None
    window_ms = settings.window_s * 1000
    last_window_end = (progress.newest_event_ms // window_ms + 1) * window_ms
    watermark_ms = job.watermark_ms if job else None
    return {
        "state": job.state if job else "STOPPED",
        "heartbeats_produced": progress.produced,
        "lag": progress.lag,
        "newest_event_ms": progress.newest_event_ms,
        "watermark_ms": watermark_ms,
        "windows_closed": watermark_ms is not None and watermark_ms >= last_window_end - 1,
        "dead_letters": letters,
        "watch": "running" if watching else "stopped: the last windows stay open; `meterbeat stream run`",
        **(
            {
                key: value
                for key, value in dataclasses.asdict(job).items()
                if key not in ("state", "watermark_ms")
            }
            if job
            else {}
        ),
    }


def _watch_service(settings: Settings) -> Service:
    return Service(
        name="stream-watch",
        folder=settings.home / "stream-watch",
        command=[sys.executable, "-m", "stream", "watch"],
        ports={},
        ready=lambda: True,
        env=settings.to_env(),
    )


def _report(values: dict[str, object], as_json: bool, text: str) -> None:
    print(json.dumps(values) if as_json else text)


def main() -> None:
    """Run a command; what can be expected to go wrong is told in one line."""
    try:
        app()
    except (ServiceError, SettingError, FlinkAwayError, KafkaAwayError, RedisAwayError) as error:
        notes.print(f"error: {error}", style="red", markup=False)
        sys.exit(2 if isinstance(error, SettingError) else 1)


if __name__ == "__main__":
    main()
