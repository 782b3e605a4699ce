"""What the watch tells Prometheus of the stream, and what it leaves out while a store is away."""

import dataclasses

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from stream.flink_client import FlinkAwayError
from stream.kafka_source import InputProgress, KafkaAwayError
from stream.redis_sink import Use
from stream.watch_metrics import Probes, Sample, WatchMetrics, families
from tests.support.metrics import assert_fit, shown, value

TOPICS = {
    "meterbeat-fold": {"gas": InputProgress(1_000, 990), "water": InputProgress(5, 5)},
    "meterbeat-archive": {"gas": InputProgress(1_000, 400), "water": InputProgress(5, 0)},
}
UP = {"kafka": True, "flink": True, "redis": True}
SAMPLE = Sample(100_000, TOPICS, 7, 91_000, 99_500, Use(640, 8_000, 3), UP)


class _Shown(Collector):
    def __init__(self, sample: Sample) -> None:
        self.sample = sample

    def collect(self):
        return families(self.sample)


def told(sample: Sample):
    registry = CollectorRegistry()
    registry.register(_Shown(sample))
    return shown(registry)


class TestFamilies:
    def test_tell_lag_by_job_and_topic(self):
        samples = told(SAMPLE)

        lag = {"job_name": "meterbeat-archive", "topic": "gas"}
        assert value(samples, "meterbeat_stream_lag_messages", **lag) == 600
        assert value(samples, "meterbeat_stream_produced_messages_total", topic="gas") == 1_000
        assert_fit(samples)

    def test_tell_ages_against_the_moment_of_the_sample(self):
        samples = told(SAMPLE)

        assert value(samples, "meterbeat_stream_watermark_age_seconds") == 9
        assert value(samples, "meterbeat_stream_newest_event_age_seconds") == 0.5

    def test_tell_how_full_redis_is(self):
        samples = told(SAMPLE)

        assert value(samples, "meterbeat_stream_redis_used_bytes") == 640
        assert value(samples, "meterbeat_stream_live_users") == 3

    def test_leave_out_what_is_not_known(self):
        away = {"kafka": False, "flink": False, "redis": False}
        unknown = dict.fromkeys(("topics", "dead_letters", "watermark_ms", "newest_event_ms", "redis"))

        samples = told(dataclasses.replace(SAMPLE, **unknown, up=away))

        assert {sample.name for sample in samples} == {
            "meterbeat_stream_store_up",
            "meterbeat_stream_sampled_timestamp_seconds",
        }
        assert value(samples, "meterbeat_stream_store_up", store="redis") == 0


def away(error):
    def ask():
        raise error

    return ask


class TestProbes:
    def test_ask_the_other_stores_while_one_is_away(self):
        probes = Probes(
            kafka=away(KafkaAwayError("kafka is away")),
            job=away(FlinkAwayError("flink is away")),
            redis=lambda: Use(1, 2, 3),
            now_ms=lambda: 5,
        )

        sample = probes.sample()

        assert sample == Sample(
            5, None, None, None, None, Use(1, 2, 3), {**UP, "kafka": False, "flink": False}
        )


class TestWatchMetrics:
    def test_tell_nothing_before_the_first_sample(self):
        registry = CollectorRegistry()
        registry.register(
            WatchMetrics(Probes(lambda: ({}, 0), lambda: None, lambda: Use(0, 0, 0), lambda: 0))
        )

        assert shown(registry) == []
