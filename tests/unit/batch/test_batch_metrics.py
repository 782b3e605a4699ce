"""What a night leaves behind for Prometheus, whether it ended well or not."""

import dataclasses
import datetime

import pytest

from batch.metrics import SUCCESS, TRUTH_UNTIL, BatchMetrics
from batch.night import Night, NightRefused
from batch.report import Report
from tests.support.metrics import assert_fit, samples_of, value

NIGHT = Night(datetime.date(2026, 3, 28))
REPORT = Report(
    night=str(NIGHT),
    users=10,
    rows=30,
    heartbeats=5_000,
    doubled=12,
    set_aside=1,
    silent=2,
    fell=0,
    findings=4,
    changed=0,
    usage_total={"gas": 7},
    usage_estimated={"gas": 1},
    usage_quarantined={"gas": 0},
    adjusted=[],
    moves_next=False,
    regions=2,
    first_night=True,
    archive_objects=3,
    archive_bytes=40_000,
    rows_checksum=99,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics" / "batch.prom"


def run(path, now_s, night=NIGHT, failure=None):
    """Run a night that begins at `now_s` and takes 60 s; return what its file tells, and complaints."""
    clock, complaints = iter((now_s, now_s + 60.0)), []
    try:
        with BatchMetrics(path, lambda: next(clock)).written(complaints.append) as metrics:
            if failure:
                raise failure
            metrics.published(night, REPORT, {"recompute": 41.5, "load": 3.25})
    except NightRefused:
        assert failure
    return (samples_of(path.read_text()) if path.is_file() else []), complaints


class TestBatchMetrics:
    def test_of_a_night_that_is_published(self, path):
        samples, _ = run(path, 1_000.0)

        assert value(samples, SUCCESS) == 1_060
        assert value(samples, TRUTH_UNTIL) == NIGHT.end_ms / 1_000
        assert value(samples, "meterbeat_batch_exit_code") == 0
        assert value(samples, "meterbeat_batch_run_seconds") == 60
        assert value(samples, "meterbeat_batch_stage_seconds", stage="recompute") == 41.5
        assert value(samples, "meterbeat_batch_heartbeats", kind="counted") == 5_000
        assert value(samples, "meterbeat_batch_rows_published") == 30
        assert value(samples, "meterbeat_batch_not_compacted") == 0
        assert_fit(samples)

    def test_count_the_archives_that_could_not_be_compacted(self, path):
        with BatchMetrics(path, lambda: 0.0).written(print) as metrics:
            metrics.not_compacted()
            metrics.not_compacted()

        assert value(samples_of(path.read_text()), "meterbeat_batch_not_compacted") == 2

    def test_of_one_that_is_refused_keep_the_last_success(self, path):
        run(path, 1_000.0)

        samples, _ = run(path, 9_000.0, failure=NightRefused("no archive"))

        assert value(samples, SUCCESS) == 1_060
        assert value(samples, TRUTH_UNTIL) == NIGHT.end_ms / 1_000
        assert value(samples, "meterbeat_batch_exit_code") == 1
        assert value(samples, "meterbeat_batch_last_run_timestamp_seconds") == 9_060

    def test_of_an_older_night_do_not_set_the_truth_back(self, path):
        run(path, 1_000.0)

        samples, _ = run(path, 2_000.0, night=NIGHT.previous)

        assert value(samples, TRUTH_UNTIL) == NIGHT.end_ms / 1_000

    def test_of_several_nights_of_one_run_are_those_of_the_last(self, path):
        clock = iter((1_000.0, 1_900.0))

        with BatchMetrics(path, lambda: next(clock)).written(pytest.fail) as metrics:
            metrics.published(NIGHT.previous, REPORT, {"recompute": 41.5})
            metrics.published(NIGHT, dataclasses.replace(REPORT, rows=29), {"recompute": 40.5})

        samples = samples_of(path.read_text())
        assert value(samples, "meterbeat_batch_rows_published") == 29
        assert value(samples, "meterbeat_batch_stage_seconds", stage="recompute") == 40.5
        assert value(samples, TRUTH_UNTIL) == NIGHT.end_ms / 1_000
        assert value(samples, "meterbeat_batch_run_seconds") == 900

    def test_leave_one_whole_file_and_no_other(self, path):
        run(path, 1_000.0)

        assert [found.name for found in path.parent.iterdir()] == ["batch.prom"]

    def test_that_cannot_be_written_fail_no_night(self, path):
        path.parent.write_text("a file where the folder should be")

        _, complaints = run(path, 1_000.0)

        assert len(complaints) == 1
        assert "METERBEAT_BATCH_METRICS_FILE" in complaints[0]
