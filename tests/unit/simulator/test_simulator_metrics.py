"""What a run tells Prometheus while it sends."""

import socket
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from infra import exposition
from infra.exposition import MetricsError
from simulator.counts import Counts
from simulator.fleet import Progress
from simulator.metrics import Plan, RetryMetrics, SimulatorMetrics
from simulator.options import Rate
from tests.support.metrics import assert_fit, samples_of, shown, value

SENT = Progress(10_000, {"gas": Counts(sent=100, delivered=97, late=2, doubled=3, lost=1, malformed=4)})
ACKNOWLEDGED = Progress(8_000, {"gas": Counts(sent=80, delivered=79)})


@pytest.fixture
def metrics():
    return SimulatorMetrics(Plan(0, 1_000.0, 1.0), lambda: ACKNOWLEDGED, lambda: 1_013.5)


@pytest.fixture
def registry(metrics):
    registry = CollectorRegistry()
    registry.register(metrics)
    return registry


class TestSimulatorMetrics:
    def test_tell_what_was_sent_and_what_the_broker_has(self, metrics, registry):
        metrics.progressed(SENT)

        samples = shown(registry)
        assert value(samples, "meterbeat_simulator_heartbeats_sent_total", topic="gas") == 100
        assert value(samples, "meterbeat_simulator_heartbeats_acknowledged_total", topic="gas") == 79
        assert value(samples, "meterbeat_simulator_faults_total", topic="gas", kind="malformed") == 4
        assert_fit(samples)

    def test_show_every_topic_from_the_start(self, registry):
        assert value(shown(registry), "meterbeat_simulator_heartbeats_sent_total", topic="water") == 0

    def test_tell_how_late_the_newest_beats_left(self, metrics, registry):
        metrics.progressed(SENT)

        assert value(shown(registry), "meterbeat_simulator_behind_schedule_seconds") == 3.5

    def test_count_records_that_could_not_be_written(self, metrics, registry):
        metrics.troubled("S3 is away")

        assert value(shown(registry), "meterbeat_simulator_record_failures_total") == 1


class TestPlan:
    def test_of_an_exact_rate_is_due_when_so_many_heartbeats_are(self):
        # 1,000 users send 600 a second by themselves: at 1,200 event time runs twice as fast.
        plan = Plan.of(Rate.parse("1200"), 1_000, 0, 50.0)

        assert plan.behind_s(20_000, 61.0) == 1.0

    def test_of_real_time_is_the_clock_itself(self):
        assert Plan.of(Rate.parse("real-time"), 10, 5_000, 99.0).behind_s(6_000, 6.25) == 0.25

    @pytest.mark.parametrize(("rate", "now_s"), [("max", 1e9), ("real-time", 0.5)])
    def test_is_never_ahead_nor_late_where_nothing_is_due(self, rate, now_s):
        assert Plan.of(Rate.parse(rate), 10, 0, 0.0).behind_s(1_000, now_s) == 0


class TestRetryMetrics:
    def test_count_each_sleep_before_a_retry(self):
        slept: list[float] = []
        retries = RetryMetrics(slept.append)
        registry = CollectorRegistry()
        registry.register(retries)

        retries.sleep(0.5)
        retries.sleep(1.0)

        assert slept == [0.5, 1.0]
        assert value(shown(registry), "meterbeat_simulator_send_errors_total") == 2
        assert value(shown(registry), "meterbeat_simulator_backoff_seconds_total") == 1.5


class TestExposition:
    def test_answers_with_the_process_and_the_run(self, metrics, unused_port):
        registry = exposition.new_registry()
        registry.register(metrics)

        exposition.show(registry, "127.0.0.1", unused_port)

        with urllib.request.urlopen(f"http://127.0.0.1:{unused_port}/metrics", timeout=5) as response:
            samples = samples_of(response.read().decode())
        assert value(samples, "process_cpu_seconds_total") > 0
        assert value(samples, "meterbeat_simulator_record_failures_total") == 0
        assert_fit(samples)

    def test_names_a_port_that_is_taken(self, unused_port):
        exposition.show(exposition.new_registry(), "127.0.0.1", unused_port)

        with pytest.raises(MetricsError, match=f"127.0.0.1:{unused_port}"):
            exposition.show(exposition.new_registry(), "127.0.0.1", unused_port)


@pytest.fixture
def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
