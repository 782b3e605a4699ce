"""What a run tells Prometheus: read off its progress when asked, so that sending never waits for it."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.utility import UTILITIES
from simulator.counts import Counts
from simulator.fleet import Progress
from simulator.options import Rate

FAULTS = ("late", "doubled", "lost", "malformed")
_NONE: Mapping[str, Counts] = {}


@dataclasses.dataclass(frozen=True)
class Plan:
    """When each beat is due: at `from_s` on the wall clock those of `from_ms`, then `speed` times as fast."""

    from_ms: int
    from_s: float
    speed: float | None  # None: as fast as it goes, and nothing is ever late

    @classmethod
    def of(cls, rate: Rate, users: int, from_ms: int, now_s: float) -> "Plan":
        """Return the plan of a fleet that begins now."""
        fleet_heartbeats_s = users * len(UTILITIES) * 1_000 / INTERVAL_MS
        return cls(from_ms, rate.from_s(from_ms, now_s), rate.speed(fleet_heartbeats_s))

    def behind_s(self, until_ms: int, now_s: float) -> float:
        """Return for how long the beats up to `until_ms` have been due, at least 0."""
        if self.speed is None:
            return 0.0
        return max(0.0, now_s - self.from_s - (until_ms - self.from_ms) / 1_000 / self.speed)


class SimulatorMetrics(Collector):
    """A run's counts. Its methods are called by the sending thread, `collect` by any."""

    def __init__(
        self, plan: Plan, acknowledged: Callable[[], Progress | None], clock: Callable[[], float]
    ) -> None:
        """`acknowledged` tells how far the broker has confirmed; `clock` gives the wall clock's seconds."""
        self._plan = plan
        self._acknowledged = acknowledged
        self._clock = clock
        self._sent: Progress | None = None
        self._behind_s = 0.0
        self._record_failures = 0

    def progressed(self, progress: Progress) -> None:
        """Take note of what has been handed to the broker."""
        self._sent = progress
        self._behind_s = self._plan.behind_s(progress.until_ms, self._clock())

    def troubled(self, _: str) -> None:
        """Take note of a record of the run that could not be written, for whatever reason."""
        self._record_failures += 1

    def collect(self) -> Iterator[Metric]:
        """Return the run's metrics; labels are topics and kinds of faults."""
        sent, acknowledged = self._sent, self._acknowledged()
        yield _by_topic("sent", "Heartbeats the meters sent, whatever became of them.", sent, "sent")
        yield _by_topic(
            "acknowledged", "Heartbeats the broker has acknowledged, each once.", acknowledged, "delivered"
        )
        faults = CounterMetricFamily(
            "meterbeat_simulator_faults", "Heartbeats that met a fault.", labels=("topic", "kind")
        )
        for topic, made in _counts(sent).items():
            for kind in FAULTS:
                faults.add_metric((topic, kind), getattr(made, kind))
        yield faults
        yield GaugeMetricFamily(
            "meterbeat_simulator_behind_schedule_seconds",
            "For how long the beats last sent had been due; 0 at --rate max.",
            self._behind_s,
        )
        yield CounterMetricFamily(
            "meterbeat_simulator_record_failures",
            "Times the run could not be recorded on S3; it is tried again.",
            self._record_failures,
        )


class RetryMetrics(Collector):
    """How often and for how long the broker was waited for: the sink sleeps once before each retry."""

    def __init__(self, sleep: Callable[[float], object]) -> None:
        self._sleep = sleep
        self._retries = 0
        self._waited_s = 0.0

    def sleep(self, seconds: float) -> None:
        """Sleep, and count it as a send that failed and is tried again."""
        self._retries += 1
        self._waited_s += seconds
        self._sleep(seconds)

    def collect(self) -> Iterator[Metric]:
        """Return retries and the time they cost."""
        yield CounterMetricFamily(
            "meterbeat_simulator_send_errors", "Sends that failed and were tried again.", self._retries
        )
        yield CounterMetricFamily(
            "meterbeat_simulator_backoff_seconds", "Time spent waiting before retries.", self._waited_s
        )


def _by_topic(name: str, text: str, progress: Progress | None, column: str) -> Metric:
    family = CounterMetricFamily(f"meterbeat_simulator_heartbeats_{name}", text, labels=("topic",))
    for topic, made in _counts(progress).items():
        family.add_metric((topic,), getattr(made, column))
    return family


def _counts(progress: Progress | None) -> dict[str, Counts]:
    """Return every topic's counts, so that each series exists from the start."""
    known = progress.counts if progress else _NONE
    return {str(utility): known.get(utility, Counts()) for utility in UTILITIES}
