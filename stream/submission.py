"""Hands the job to a Flink cluster, resuming from the newest checkpoint that is whole."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping

from pyflink.table import EnvironmentSettings, TableEnvironment

from stream.job import JobOptions, build

CHECKPOINT_TIMEOUT_S = 120


class CheckpointError(RuntimeError):
    """No checkpoint can be chosen; the message says how to name one."""


@dataclasses.dataclass(frozen=True)
class Submission:
    """How the job runs, beside what it does (JobOptions)."""

    job_name: str
    rest_host: str
    rest_port: int
    parallelism: int
    checkpoint_dir: str
    checkpoint_interval_s: int
    restore_from: str | None
    parameters: Mapping[str, str]  # read by the fold in its workers


def submit(submission: Submission, options: JobOptions) -> str:
    """Submit the job and return its id; the job goes on when this process ends."""
    # Else PyFlink takes a job that is not sent by its own launcher for a local one, and the cluster's
    # tasks look for their Python workers in this process.
    os.environ["_python_worker_execution_mode"] = "process"  # noqa: SIM112 - its name is PyFlink's
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    configuration = tables.get_config()
    for key, value in _configuration(submission).items():
        configuration.set(key, value)
    result = build(tables, options).execute()
    client = result.get_job_client()
    assert client is not None, "a statement set always has a job"
    return str(client.get_job_id())


def newest_checkpoint(checkpoint_dir: str) -> str | None:
    """Return the newest whole checkpoint or savepoint under a local folder, None if there is none.

    A checkpoint is whole once its `_metadata` is there; Flink writes that last.

    :raises CheckpointError: if the folder is not on this machine, where none can be looked for.
    """
    if not checkpoint_dir.startswith("file://"):
        raise CheckpointError(
            f"checkpoints in {checkpoint_dir} cannot be listed from here; name one with --restore-from, "
            "or begin anew with --fresh"
        )
    root = pathlib.Path(checkpoint_dir.removeprefix("file://"))
    found = [path for path in root.glob("*/*/_metadata") if path.is_file()]
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    return f"file://{newest.parent}" if newest else None


def _configuration(submission: Submission) -> dict[str, str]:
    configuration = {
        "pipeline.name": submission.job_name,
        "execution.target": "remote",
        "execution.attached": "false",
        "rest.address": submission.rest_host,
        "rest.port": str(submission.rest_port),
        "parallelism.default": str(submission.parallelism),
        "pipeline.object-reuse": "true",
        "pipeline.auto-watermark-interval": "200 ms",
        "pipeline.global-job-parameters": ",".join(f"{k}:'{v}'" for k, v in submission.parameters.items()),
        "table.local-time-zone": "UTC",
        "execution.checkpointing.interval": f"{submission.checkpoint_interval_s} s",
        "execution.checkpointing.timeout": f"{CHECKPOINT_TIMEOUT_S} s",
        "execution.checkpointing.tolerable-failed-checkpoints": "3",
        "execution.checkpointing.dir": submission.checkpoint_dir,
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "20 s",
        "restart-strategy.exponential-delay.attempts-before-reset-backoff": "20",
        "python.fn-execution.bundle.size": "200000",
        "python.fn-execution.arrow.batch.size": "20000",
        "python.fn-execution.bundle.time": "300",
    }
    if submission.restore_from:
        configuration["execution.state-recovery.path"] = submission.restore_from
    return configuration
