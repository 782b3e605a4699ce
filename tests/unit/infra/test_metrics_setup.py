"""Prometheus is told of the very ports that the platform shows its metrics at."""

import pathlib
import re

from infra import serving
from infra.flink import cluster, metrics
from infra.settings import Settings

SCRAPES = pathlib.Path(cluster.__file__).parents[1] / "prometheus.yml"
NODE_EXPORTER = 9_100


def flink_ports(settings: Settings) -> set[int]:
    return {service.ports["metrics"] for service in cluster.services(settings) if "metrics" in service.ports}


class TestPrometheus:
    def test_scrapes_every_process_of_the_local_platform(self):
        settings = Settings().completed()

        scraped = {int(port) for port in re.findall(r'"127\.0\.0\.1:(\d+)"', SCRAPES.read_text())}

        count = settings.serving_processes
        processes = {serving.Process(settings, 1 + one, count).port for one in range(count)}
        shown = processes | {settings.simulator_metrics_port, settings.stream_watch_metrics_port}
        assert scraped == shown | flink_ports(settings) | {NODE_EXPORTER}


class TestFlink:
    def test_shows_metrics_where_status_looks_for_them(self):
        settings = Settings(port_base=30_000).completed()

        asked = re.findall(r":(\d+)/metrics", settings.flink_metrics_urls)

        assert {int(port) for port in asked} == flink_ports(settings)

    def test_shows_none_if_told_so(self):
        assert flink_ports(Settings(metrics_host="").completed()) == set()

    def test_keeps_labels_that_would_begin_new_series_at_every_restart_to_itself(self):
        left_out = metrics.configuration()["metrics.reporter.prom.scope.variables.excludes"]

        assert {"job_id", "task_attempt_id", "tm_id"} <= set(str(left_out).split(";"))
