"""How both jobs do, as one report: what the cluster, the broker and the jobs' metrics tell together."""

import dataclasses
from collections.abc import Iterable, Mapping

from rich.table import Table

from stream.flink_client import JobStatus
from stream.jobs import FOLD
from stream.kafka_source import DeadLetter, InputProgress
from stream.metrics_source import Samples, quantile

Report = dict[str, object]
_SHARES = {"visible_s_p50": 0.5, "visible_s_p99": 0.99}
_ROWS = {
    "heartbeats_produced": "messages produced",
    "rate": "  a second",
    "lag": "not yet folded, as of the last checkpoint",
    "archive_lag": "not yet archived, as of its last checkpoint",
    "watermark_age_s": "event time is behind by, seconds",
    "late": "late",
    "dead_letters": "dead letters",
    "fence_rejects": "rejected by the fence, records",
    "visible_s_p50": "sent to visible, seconds: half within",
    "visible_s_p99": "  99 % within",
    "checkpoints_completed": "checkpoints of the fold",
    "checkpoint_ms_last": "  the last took, ms",
    "archive_checkpoints_completed": "checkpoints of the archive",
    "restarts": "failures since the start",
    "failure": "  the last",
    "archive_failure": "  the archive's last",
    "watch": "watch",
}


@dataclasses.dataclass(frozen=True)
class Told:
    """What was asked, at one moment; None where nobody answered or no job runs."""

    at_ms: int
    fold: JobStatus | None
    archive: JobStatus | None
    fold_input: Mapping[str, InputProgress]  # by topic
    archive_input: Mapping[str, InputProgress]
    dead_letters: int
    metrics: Samples | None
    watch: str


def report_of(told: Told, window_ms: int) -> Report:
    """Return the report, ready for JSON: times in ms or as their names say, counts in messages."""
    fold, archive = told.fold and _brought_up_to_date(told.fold, told.metrics), told.archive
    watermark_ms = fold.watermark_ms if fold else None
    report: Report = dataclasses.asdict(fold) if fold else {}
    return report | {
        "state": fold.state if fold else "STOPPED",
        "archive_state": archive.state if archive else "STOPPED",
        "at_ms": told.at_ms,
        "heartbeats_produced": sum(one.produced for one in told.fold_input.values()),
        "lag": sum(one.lag for one in told.fold_input.values()),
        "lag_by_topic": {topic: one.lag for topic, one in told.fold_input.items()},
        "archive_lag": sum(one.lag for one in told.archive_input.values()),
        "watermark_ms": watermark_ms,
        "watermark_age_s": None if watermark_ms is None else (told.at_ms - watermark_ms) / 1000,
        "windows_closed": fold is not None and _windows_closed(fold, window_ms),
        "dead_letters": told.dead_letters,
        "archive_checkpoints_completed": archive.checkpoints_completed if archive else 0,
        "archive_failure": archive.failure if archive else None,
        "watch": told.watch,
        **_counted(told.metrics),
    }


def _brought_up_to_date(fold: JobStatus, metrics: Samples | None) -> JobStatus:
    """Return the status with the event times that the workers show now.

    The cluster tells them too, but up to ten seconds old. Both come from one place, or they would not fit.
    """
    if metrics is None:
        return fold
    watermark_ms = metrics.min("task_currentInputWatermark", job_name=FOLD)
    newest_event_ms = metrics.max("newest_event_ms", job_name=FOLD)
    if watermark_ms is None or newest_event_ms is None:
        return fold
    return dataclasses.replace(fold, watermark_ms=int(watermark_ms), newest_event_ms=int(newest_event_ms))


def _windows_closed(fold: JobStatus, window_ms: int) -> bool:
    """Return whether the window of the newest heartbeat is written, whichever bucket's it is."""
    last_end = fold.newest_event_ms + window_ms
    return fold.watermark_ms is not None and fold.watermark_ms >= last_end - 1


def _counted(metrics: Samples | None) -> Report:
    """Return what the fold's workers count, since the last of them started."""
    buckets = metrics.buckets("visible_bucket") if metrics else {}
    bounds = sorted(buckets)
    return {
        "folded": _whole(metrics.sum("meterbeat_folded")) if metrics else None,
        "fence_rejects": _whole(metrics.sum("meterbeat_fence_rejects")) if metrics else None,
        "visible_s_buckets": {
            "+Inf" if one == float("inf") else f"{one:g}": int(buckets[one]) for one in bounds
        },
        **{name: quantile(buckets, share) for name, share in _SHARES.items()},
    }


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def table_of(report: Report, before: Report | None = None) -> Table:
    """Return the report for a terminal; with an earlier one, also the rate between the two."""
    table = Table("the stream", f"{report['state']}, archive {report['archive_state']}", box=None)
    shown = {**report, "rate": _rate(report, before)}
    for name, text in _ROWS.items():
        if (value := shown.get(name)) is not None:
            table.add_row(text, f"{value:,.1f}" if isinstance(value, float) else _plain(value))
    return table


def _plain(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _rate(report: Report, before: Report | None) -> int | None:
    if before is None:
        return None
    (count, at_ms), (count_before, at_ms_before) = (
        (int(str(one["heartbeats_produced"])), int(str(one["at_ms"]))) for one in (report, before)
    )
    return round((count - count_before) * 1000 / max(1, at_ms - at_ms_before))


def letters_table(letters: Iterable[DeadLetter]) -> Table:
    """Return dead letters as people read them."""
    table = Table("topic", "partition", "offset", "reason")
    for letter in letters:
        table.add_row(letter.topic, str(letter.partition), str(letter.offset), letter.reason)
    return table
