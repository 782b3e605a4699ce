"""Hands the jobs to a Flink cluster, resuming from the newest checkpoint that is whole."""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Mapping

from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway

from stream.job import MAX_PARALLELISM, ArchiveOptions, FoldOptions, build_archive, build_fold

HANGS_S_MAX = 1_200  # without a checkpoint; then a job begins again from its last


class CheckpointError(RuntimeError):
    """No checkpoint can be chosen; the message says how to name one."""


@dataclasses.dataclass(frozen=True)
class Submission:
    """How a job runs, beside what it does (FoldOptions, ArchiveOptions)."""

    job_name: str
    rest_host: str
    rest_port: int
    parallelism: int
    checkpoint_dir: str
    checkpoint_interval_s: int
    checkpoint_s_max: int
    restore_from: str | None
    parameters: Mapping[str, str]  # read by the fold in its workers


def start_java() -> None:
    """Start the JVM that describes the jobs; what it logs goes to stderr, as stdout is for our answer."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        get_gateway()
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


def submit_fold(submission: Submission, options: FoldOptions) -> str:
    """Submit the fold and return its job id; the job goes on when this process ends."""
    # Else PyFlink takes a job that is not sent by its own launcher for a local one, and the cluster's
    # tasks look for their Python workers in this process.
    os.environ["_python_worker_execution_mode"] = "process"  # noqa: SIM112 - its name is PyFlink's
    client = build_fold(_environment(submission), options).execute().get_job_client()
    assert client is not None, "a statement set always has a job"
    return str(client.get_job_id())


def submit_archive(submission: Submission, options: ArchiveOptions) -> str:
    """Submit the archive and return its job id; the job goes on when this process ends."""
    _know_file_systems()
    environment = _environment(submission)
    build_archive(environment, options)
    return str(environment.execute_async(submission.job_name).get_job_id())


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


def _environment(submission: Submission) -> StreamExecutionEnvironment:
    java = get_gateway().jvm.org.apache.flink
    configuration = java.configuration.GlobalConfiguration.loadConfiguration()
    for key, value in _configuration(submission).items():
        configuration.setString(key, value)
    return StreamExecutionEnvironment(
        java.streaming.api.environment.StreamExecutionEnvironment(configuration)
    )


def _know_file_systems() -> None:
    """Load Flink's plugins: a file sink asks its file system about itself already where it is described."""
    java = get_gateway().jvm.org.apache.flink
    configuration = java.configuration.GlobalConfiguration.loadConfiguration()
    plugins = java.core.plugin.PluginUtils.createPluginManagerFromRootFolder(configuration)
    java.core.fs.FileSystem.initialize(configuration, plugins)


def _configuration(submission: Submission) -> dict[str, str]:
    configuration = {
        "pipeline.name": submission.job_name,
        "execution.target": "remote",
        "execution.attached": "false",
        "rest.address": submission.rest_host,
        "rest.port": str(submission.rest_port),
        "parallelism.default": str(submission.parallelism),
        "pipeline.max-parallelism": str(MAX_PARALLELISM),
        "pipeline.object-reuse": "true",
        "pipeline.auto-watermark-interval": "200 ms",
        "pipeline.global-job-parameters": ",".join(f"{k}:'{v}'" for k, v in submission.parameters.items()),
        "table.local-time-zone": "UTC",
        "execution.checkpointing.interval": f"{submission.checkpoint_interval_s} s",
        "execution.checkpointing.timeout": f"{submission.checkpoint_s_max} s",
        "execution.checkpointing.tolerable-failed-checkpoints": str(
            HANGS_S_MAX // submission.checkpoint_s_max - 1
        ),
        "execution.checkpointing.dir": submission.checkpoint_dir,
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "20 s",
        "restart-strategy.exponential-delay.attempts-before-reset-backoff": "20",
        "python.fn-execution.bundle.size": "1000",
        "python.fn-execution.bundle.time": "100",
    }
    if submission.restore_from:
        configuration["execution.state-recovery.path"] = submission.restore_from
    return configuration
