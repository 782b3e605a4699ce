"""The two jobs by name: where their checkpoints are, when they run, and how they stop."""

import time
from collections.abc import Mapping

from stream.flink_client import FlinkAwayError, FlinkClient, JobStatus

FOLD, ARCHIVE = "meterbeat-fold", "meterbeat-archive"  # job names, and as whom they read Kafka
RUNNING_S_MAX = 180
# When a task fails within a checkpoint, Flink may await in the next what nobody will ever get, and sources
# hear of no watermarks to align by meanwhile: the fold stands still until that checkpoint is given up. The
# archive aligns nothing.
CHECKPOINT_S_MAX = {FOLD: 60, ARCHIVE: 300}


def checkpoints_of(checkpoint_dir: str, name: str) -> str:
    """Return where a job keeps its checkpoints."""
    return f"{checkpoint_dir}/{name}"


def newest_checkpoint_of(checkpoint_dir: str, name: str) -> str | None:
    """Return the checkpoint or savepoint that a job should resume from, None if it has none.

    :raises FlinkAwayError: if that cannot be told from here.
    """
    from stream.submission import CheckpointError, newest_checkpoint  # noqa: PLC0415 - PyFlink takes a second

    try:
        return newest_checkpoint(checkpoints_of(checkpoint_dir, name))
    except CheckpointError as error:
        raise FlinkAwayError(str(error)) from None


def started(name: str, job: JobStatus, restored: Mapping[str, str | None]) -> str:
    """Tell how a job came to run; `restored` has the checkpoints of those that were submitted."""
    if name not in restored:
        return f"{name} {job.job_id}: runs already"
    checkpoint = restored[name]
    return f"{name} {job.job_id}: {f'resumed from {checkpoint}' if checkpoint else 'submitted'}"


def newest_event_ms(client: FlinkClient) -> int:
    """Return when the newest heartbeat that was folded was sent (ms), -1 if none was or no fold runs.

    :raises FlinkAwayError: if the cluster does not answer.
    """
    job = client.job(FOLD)
    return job.newest_event_ms if job else -1


def stop_all(client: FlinkClient, checkpoint_dir: str) -> dict[str, str | None]:
    """Stop both jobs with savepoints and return these by job name, None for a job that does not run.

    :raises FlinkAwayError: if the cluster does not answer.
    """
    savepoints: dict[str, str | None] = {}
    for name in (FOLD, ARCHIVE):
        job = client.job(name)
        folder = f"{checkpoints_of(checkpoint_dir, name)}/savepoints"
        savepoints[name] = client.stop(job.job_id, folder) if job else None
    return savepoints


def wait_until_running(client: FlinkClient, name: str, heard_before_ms: Mapping[str, int]) -> JobStatus:
    """Return a job once all its tasks run on task managers that the cluster has heard from anew.

    `heard_before_ms` is when it had by then (FlinkClient.heard_at_ms): until a task manager that was killed
    is missed, its tasks are still said to run.

    :raises FlinkAwayError: if they do not within RUNNING_S_MAX, with the last failure.
    """
    deadline = time.monotonic() + RUNNING_S_MAX
    while True:
        job = client.job(name)
        hindrance = _hindrance(client, job, heard_before_ms)
        if job and not hindrance:
            return job
        if time.monotonic() > deadline:
            raise FlinkAwayError(f"{name} does not run after {RUNNING_S_MAX} s: {hindrance}")
        time.sleep(0.5)


def _hindrance(client: FlinkClient, job: JobStatus | None, heard_before_ms: Mapping[str, int]) -> str | None:
    """Return why a job cannot be said to run, None if it does."""
    if job is None:
        return "it is gone"
    if job.state != "RUNNING" or job.tasks_running < job.tasks:
        return f"{job.state}, {job.failure or 'no failure told'}"
    heard_ms = client.heard_at_ms()
    silent = [
        one
        for one in sorted(client.task_managers(job.job_id))
        if heard_ms.get(one, -1) <= heard_before_ms.get(one, -1)
    ]
    return f"nothing heard of its task managers {', '.join(silent)}" if silent else None
