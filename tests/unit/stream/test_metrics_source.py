"""Metrics read from other processes, as `stream status` adds them up."""

import http.server
import threading

import pytest

from stream.metrics_source import MetricsAwayError, Samples, quantile, scrape
from tests.support.metrics import samples_of

# As Flink's reporter writes it, its odd comma and its word for "no watermark yet" included.
TEXT = """\
# TYPE flink_taskmanager_job_task_operator_late gauge
flink_taskmanager_job_task_operator_late{operator_name="pack",subtask_index="0",} 3.0
flink_taskmanager_job_task_operator_late{operator_name="pack",subtask_index="1",} 4.0
# TYPE flink_taskmanager_job_task_operator_translate gauge
flink_taskmanager_job_task_operator_translate{operator_name="pack",} 1000.0
# TYPE flink_taskmanager_job_task_currentInputWatermark gauge
flink_taskmanager_job_task_currentInputWatermark{task_name="fold",} -9.223372036854776E18
flink_taskmanager_job_task_currentInputWatermark{task_name="windows",} 1.795219809996E12
# TYPE flink_taskmanager_job_task_operator_meterbeat_le_visible_bucket gauge
flink_taskmanager_job_task_operator_meterbeat_le_visible_bucket{le="1",subtask_index="0",} 10
flink_taskmanager_job_task_operator_meterbeat_le_visible_bucket{le="2.5",subtask_index="0",} 30
flink_taskmanager_job_task_operator_meterbeat_le_visible_bucket{le="2.5",subtask_index="1",} 10
flink_taskmanager_job_task_operator_meterbeat_le_visible_bucket{le="+Inf",subtask_index="0",} 50
# TYPE idle gauge
idle NaN
"""
SAMPLES = Samples(samples_of(TEXT))


class TestSamples:
    def test_add_up_over_labels(self):
        assert SAMPLES.sum("late") == 7
        assert SAMPLES.sum("operator_late", subtask_index="1") == 4

    def test_match_whole_words_of_a_name(self):
        assert SAMPLES.sum("operator_translate") == 1_000
        assert SAMPLES.sum("ate") is None

    def test_leave_out_what_has_no_value_yet(self):
        assert SAMPLES.sum("never_counted") is None
        assert SAMPLES.sum("idle") is None
        assert SAMPLES.min("currentInputWatermark") == 1_795_219_809_996
        assert SAMPLES.max("currentInputWatermark", task_name="fold") is None

    def test_group_by_a_label(self):
        assert SAMPLES.by("late", "subtask_index") == {"0": 3, "1": 4}

    def test_give_a_histogram_over_all_tasks(self):
        assert SAMPLES.buckets("visible_bucket") == {1: 10, 2.5: 40, float("inf"): 50}


class TestQuantile:
    @pytest.mark.parametrize(
        ("share", "expected"),
        [
            pytest.param(0.1, 0.5, id="inside-the-first"),
            pytest.param(0.5, 1.75, id="between"),
            pytest.param(0.8, 2.5, id="at-a-bound"),
            pytest.param(0.99, 2.5, id="above-all-bounds"),
        ],
    )
    def test_is_interpolated(self, share, expected):
        assert quantile({1: 10, 2.5: 40, float("inf"): 50}, share) == pytest.approx(expected, rel=0.01)

    def test_of_nothing_is_none(self):
        assert quantile({}, 0.5) is None
        assert quantile({1.0: 0, float("inf"): 0}, 0.5) is None


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/metrics" else 500)
        self.end_headers()
        self.wfile.write(TEXT.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class TestScrape:
    def test_goes_on_without_an_endpoint_that_is_away(self, address):
        found = scrape([f"{address}/metrics", "http://127.0.0.1:1/metrics", f"{address}/broken"])

        assert found.sum("late") == 7
        assert found.away == ("http://127.0.0.1:1/metrics", f"{address}/broken")

    def test_adds_up_over_endpoints(self, address):
        assert scrape([f"{address}/metrics"] * 2).sum("late") == 14

    def test_says_which_are_away_if_all_are(self):
        with pytest.raises(MetricsAwayError, match=r"127\.0\.0\.1:1/metrics: .*meterbeat up"):
            scrape(["http://127.0.0.1:1/metrics"])
