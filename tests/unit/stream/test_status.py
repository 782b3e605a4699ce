"""The stream's report: what the cluster tells late is told by its workers in time."""

import dataclasses

import pytest
from prometheus_client.samples import Sample

from stream.flink_client import JobStatus
from stream.jobs import FOLD
from stream.kafka_source import InputProgress
from stream.metrics_source import Samples
from stream.status import Told, report_of

WINDOW_MS, NEWEST_MS = 5_000, 1_000_000
OLD = {"watermark_ms": 900_000, "newest_event_ms": 903_000}


def status(**changes: object) -> JobStatus:
    values: dict[str, object] = {field.name: 0 for field in dataclasses.fields(JobStatus)}
    return JobStatus(**(values | {"state": "RUNNING", "failure": None} | OLD | changes))  # type: ignore[arg-type]


def shown(watermarks: dict[str, int], newest_ms: int | None) -> Samples:
    """What two subtasks of a job show, of each job named."""
    samples = [
        Sample(
            "flink_taskmanager_job_task_currentInputWatermark", {"job_name": job, "subtask_index": one}, mark
        )
        for job, mark in watermarks.items()
        for one in ("0", "1")
    ]
    if newest_ms is not None:
        name = "flink_taskmanager_job_task_operator_newest_event_ms"
        samples.append(Sample(name, {"job_name": FOLD}, newest_ms))
    return Samples(samples)


def report(metrics: Samples | None) -> dict[str, object]:
    told = Told(
        at_ms=NEWEST_MS + 7_000,
        fold=status(),
        archive=status(),
        fold_input={"water": InputProgress(10, 8)},
        archive_input={"water": InputProgress(10, 5)},
        dead_letters=0,
        metrics=metrics,
        watch="running",
    )
    return report_of(told, WINDOW_MS)


@pytest.mark.parametrize(
    ("mark_ms", "closed"),
    [
        pytest.param(NEWEST_MS + WINDOW_MS - 2, False, id="the last bucket's window is open yet"),
        pytest.param(NEWEST_MS + WINDOW_MS - 1, True, id="every bucket's window is closed"),
    ],
)
def test_the_workers_event_times_count(mark_ms: int, closed: bool) -> None:
    told = report(shown({FOLD: mark_ms, "another": 1}, NEWEST_MS))

    assert told["windows_closed"] is closed
    assert told["watermark_ms"] == mark_ms
    assert told["watermark_age_s"] == (NEWEST_MS + 7_000 - mark_ms) / 1_000
    assert (told["lag"], told["archive_lag"]) == (2, 5)


@pytest.mark.parametrize(
    "metrics",
    [
        pytest.param(None, id="no metrics are shown"),
        pytest.param(shown({FOLD: NEWEST_MS}, None), id="no heartbeat was read yet"),
        pytest.param(shown({"another": NEWEST_MS}, NEWEST_MS), id="no watermark yet"),
    ],
)
def test_without_both_the_clusters_are_taken(metrics: Samples | None) -> None:
    told = report(metrics)

    assert (told["watermark_ms"], told["newest_event_ms"]) == (OLD["watermark_ms"], OLD["newest_event_ms"])
