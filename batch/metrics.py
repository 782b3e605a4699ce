"""What a night leaves for Prometheus: a file, as nobody can ask a process that has ended.

What an earlier night achieved outlives one that failed, so that an alert can tell for how long none did.
"""

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from batch.night import Night
from batch.report import Report
from infra.exposition import MetricsError, write

SUCCESS = "meterbeat_batch_last_success_timestamp_seconds"
TRUTH_UNTIL = "meterbeat_batch_truth_until_timestamp_seconds"
_KEPT = {
    SUCCESS: "When a night last ended well.",
    TRUTH_UNTIL: "The instant up to which the newest night published from here is the truth.",
}


class BatchMetrics:
    """The figures of one run of a night, written once it has ended, well or not."""

    def __init__(self, path: pathlib.Path, clock: Callable[[], float]) -> None:
        """`clock` gives the wall clock's seconds."""
        self._path = path
        self._clock = clock
        self._registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        self._kept = {name: self._gauge(name, text) for name, text in _KEPT.items()}
        self._not_compacted = self._gauge(
            "meterbeat_batch_not_compacted", "Nights of the last run whose archive could not be compacted."
        )
        for name, value in _values(path).items():
            if name in self._kept:
                self._kept[name].set(value)

    def published(self, night: Night, report: Report, seconds: Mapping[str, float]) -> None:
        """Take note of a night that is published; `seconds` are by stage."""
        truth_until = self._kept[TRUTH_UNTIL]
        truth_until.set(max(night.end_ms / 1_000, _values(self._path).get(TRUTH_UNTIL, 0)))
        heartbeats = self._gauge(
            "meterbeat_batch_heartbeats",
            "Heartbeats read from the archive, by what became of them.",
            ["kind"],
        )
        for kind, count in (
            ("counted", report.heartbeats),
            ("doubled", report.doubled),
            ("set_aside", report.set_aside),
        ):
            heartbeats.labels(kind).set(count)
        self._gauge("meterbeat_batch_rows_published", "Rows of the night in usage_days.").set(report.rows)
        self._gauge("meterbeat_batch_users", "Users of the night.").set(report.users)
        self._gauge("meterbeat_batch_silent_meters", "Meters that carry their register.").set(report.silent)
        self._gauge("meterbeat_batch_fallen_registers", "Meters whose register went down.").set(report.fell)
        self._gauge("meterbeat_batch_archive_bytes", "Of the day as read.").set(report.archive_bytes)
        stages = self._gauge("meterbeat_batch_stage_seconds", "How long a stage took.", ["stage"])
        for stage, taken in seconds.items():
            stages.labels(stage).set(taken)

    def not_compacted(self) -> None:
        """Count a night that is published and whose archive could not be compacted."""
        self._not_compacted.inc()

    @contextlib.contextmanager
    def written(self, complain: Callable[[str], None]) -> Iterator["BatchMetrics"]:
        """Write the file when what is inside ends; a file that cannot be written is only complained about."""
        began, failed = self._clock(), True
        try:
            yield self
            failed = False
        finally:
            ended = self._clock()
            self._gauge("meterbeat_batch_exit_code", "0 if the last run ended well.").set(int(failed))
            self._gauge("meterbeat_batch_last_run_timestamp_seconds", "When it ended.").set(ended)
            self._gauge("meterbeat_batch_run_seconds", "How long it took.").set(ended - began)
            if not failed:
                self._kept[SUCCESS].set(ended)
            try:
                write(self._registry, self._path)
            except MetricsError as error:
                complain(str(error))

    def _gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """Return the gauge of a name: several nights of one run leave the figures of the last."""
        if name not in self._gauges:
            self._gauges[name] = Gauge(name, text, labels, registry=self._registry)
        return self._gauges[name]


def _values(path: pathlib.Path) -> dict[str, float]:
    """Return the samples without labels of the file that an earlier run left; none if it cannot be read."""
    try:
        families = list(text_string_to_metric_families(path.read_text()))
    except (OSError, ValueError):
        return {}
    return {
        sample.name: sample.value for family in families for sample in family.samples if not sample.labels
    }
