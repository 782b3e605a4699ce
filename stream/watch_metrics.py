"""What the watch tells Prometheus of the stream from outside of it: lag, age, letters, Redis' memory.

Sampled by a thread of its own, so that neither a scrape nor a tick waits for a store. What a store away would
have told is left out, and `meterbeat_stream_store_up` says so.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from kafka.errors import KafkaError
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.exposition import new_registry, show
from stream.flink_client import FlinkAwayError, JobStatus
from stream.kafka_source import InputProgress, KafkaAwayError, KafkaSource
from stream.redis_sink import RedisAwayError, Use

INTERVAL_S = 5.0
Told = TypeVar("Told")
Topics = Mapping[str, Mapping[str, InputProgress]]  # by job, then by topic


@dataclasses.dataclass(frozen=True)
class Sample:
    """What the stores told at one moment; None where the store was away, or knows nothing yet."""

    at_ms: int
    topics: Topics | None
    dead_letters: int | None
    watermark_ms: int | None
    newest_event_ms: int | None
    redis: Use | None
    up: Mapping[str, bool]  # by store


@dataclasses.dataclass(frozen=True)
class Probes:
    """How each figure is had. All are called by the sampling thread alone."""

    kafka: Callable[[], tuple[Topics, int]]  # progress and dead letters; raises KafkaAwayError
    job: Callable[[], JobStatus | None]  # the fold; raises FlinkAwayError
    redis: Callable[[], Use]  # raises RedisAwayError
    now_ms: Callable[[], int]

    def sample(self) -> Sample:
        """Ask every store."""
        up = {"kafka": True, "flink": True, "redis": True}

        def ask(store: str, probe: Callable[[], Told]) -> Told | None:
            try:
                return probe()
            except (KafkaAwayError, FlinkAwayError, RedisAwayError, KafkaError, OSError):
                up[store] = False
                return None

        topics, dead_letters = ask("kafka", self.kafka) or (None, None)
        job, use = ask("flink", self.job), ask("redis", self.redis)
        return Sample(
            at_ms=self.now_ms(),
            topics=topics,
            dead_letters=dead_letters,
            watermark_ms=job.watermark_ms if job else None,
            newest_event_ms=job.newest_event_ms if job and job.newest_event_ms >= 0 else None,
            redis=use,
            up=up,
        )


class Broker:
    """Asks the broker through one connection, made anew after the broker was away."""

    def __init__(self, connect: Callable[[], KafkaSource], jobs: Sequence[str]) -> None:
        """`jobs` are the groups under which the jobs tell how far they are."""
        self._connect, self._jobs = connect, jobs
        self._source: KafkaSource | None = None

    def progress(self) -> tuple[Topics, int]:
        """Return how far each job is on each topic, and how many dead letters there are.

        :raises KafkaAwayError, KafkaError, OSError: if the broker is away.
        """
        try:
            self._source = self._source or self._connect()
            return self._source.by_topic(self._jobs), self._source.dead_letter_count()
        except (KafkaAwayError, KafkaError, OSError):
            if self._source is not None:
                with contextlib.suppress(KafkaError, OSError):
                    self._source.close()
            self._source = None
            raise


def start(host: str, port: int, probes: Probes) -> None:
    """Sample every INTERVAL_S and show it at an address until the process ends; returns at once.

    :raises MetricsError: if the address cannot be had.
    """
    metrics = WatchMetrics(probes)
    registry = new_registry()
    registry.register(metrics)
    show(registry, host, port)
    threading.Thread(target=metrics.sample_often, name="metrics", daemon=True).start()


class WatchMetrics(Collector):
    """The newest sample as metrics; none before the first."""

    def __init__(self, probes: Probes) -> None:
        self._probes = probes
        self._sample: Sample | None = None

    def collect(self) -> Iterator[Metric]:
        """Return the newest sample's metrics."""
        return families(self._sample) if self._sample else iter(())

    def sample_often(self) -> None:
        """Sample for ever."""
        while True:
            self._sample = self._probes.sample()
            time.sleep(INTERVAL_S)


def families(sample: Sample) -> Iterator[Metric]:
    """Return a sample as metrics, labelled by job_name, topic and store; ages are as of the sample."""
    up = GaugeMetricFamily(
        "meterbeat_stream_store_up", "1 if the store answered the last sample.", labels=("store",)
    )
    for store, answered in sample.up.items():
        up.add_metric((store,), int(answered))
    yield up
    yield GaugeMetricFamily(
        "meterbeat_stream_sampled_timestamp_seconds", "When that was.", sample.at_ms / 1_000
    )
    if sample.topics is not None:
        yield from _input(sample.topics)
    gauges: dict[str, tuple[str, float | None]] = {
        "dead_letters": ("Messages on the topic dead-letter.", sample.dead_letters),
        "watermark_age_seconds": (
            "How far event time is behind the clock.",
            _age_s(sample, sample.watermark_ms),
        ),
        "newest_event_age_seconds": (
            "How old the newest heartbeat is that the stream has read.",
            _age_s(sample, sample.newest_event_ms),
        ),
    }
    if sample.redis is not None:
        gauges |= {
            "redis_used_bytes": ("Memory Redis uses.", sample.redis.used_bytes),
            "redis_limit_bytes": ("Memory Redis may use; 0: no limit.", sample.redis.limit_bytes),
            "live_users": ("Users with live state.", sample.redis.users),
        }
    for name, (text, value) in gauges.items():
        if value is not None:
            yield GaugeMetricFamily(f"meterbeat_stream_{name}", text, value)


def _input(topics: Topics) -> Iterator[Metric]:
    produced = CounterMetricFamily(
        "meterbeat_stream_produced_messages", "Messages on a topic since it was made.", labels=("topic",)
    )
    lag = GaugeMetricFamily(
        "meterbeat_stream_lag_messages",
        "Messages that a job's last checkpoint does not cover.",
        labels=("job_name", "topic"),
    )
    for topic, progress in next(iter(topics.values()), {}).items():
        produced.add_metric((topic,), progress.produced)
    for job, by_topic in topics.items():
        for topic, progress in by_topic.items():
            lag.add_metric((job, topic), progress.lag)
    yield produced
    yield lag


def _age_s(sample: Sample, instant_ms: int | None) -> float | None:
    return None if instant_ms is None else max(0, sample.at_ms - instant_ms) / 1_000
