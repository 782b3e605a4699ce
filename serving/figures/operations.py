"""How the stream does, from the Prometheus text that its watch and Flink show: pure.

Names are those of docs/metrics.md. What no text tells is None, never 0.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

FOLD, ARCHIVE = "meterbeat-fold", "meterbeat-archive"
WATCH = "meterbeat_stream_"
OPERATOR = "flink_taskmanager_job_task_operator_"
JOB = "flink_jobmanager_job_"
# Below it a watermark or an instant that has not begun: Flink tells the least of all integers, or -1.
UNSET = -(2.0**62)


class Sample(NamedTuple):
    """One value of a metric."""

    name: str
    labels: Mapping[str, str]
    value: float


class Produced(NamedTuple):
    """How many messages were on the topics at an instant, in seconds since 1970."""

    at_s: float
    messages: float


@dataclasses.dataclass(frozen=True)
class StreamState:
    """How the stream does; counts in heartbeats or messages. `stores` by name, whether each answered."""

    lag_heartbeats: int | None = None
    archive_lag_heartbeats: int | None = None
    watermark_age_s: float | None = None
    newest_event_age_s: float | None = None
    heartbeats_per_s: int | None = None
    late: int | None = None
    malformed: int | None = None
    live_users: int | None = None
    redis_used_bytes: int | None = None
    redis_limit_bytes: int | None = None
    checkpoints_failed: int | None = None
    checkpoint_age_s: float | None = None
    checkpoint_duration_s: float | None = None
    stores: Mapping[str, bool] = dataclasses.field(default_factory=dict)


def produced(samples: Iterable[Sample]) -> Produced | None:
    """Return how much was on the topics when the watch looked, None where it does not tell."""
    found = list(samples)
    at, messages = (
        _value(found, name, max if name.endswith("seconds") else sum)
        for name in (f"{WATCH}sampled_timestamp_seconds", f"{WATCH}produced_messages_total")
    )
    return None if at is None or messages is None else Produced(at, messages)


def stream_state(samples: Iterable[Sample], before: Produced | None, now_ms: int) -> StreamState:
    """Return how the stream does; `before` is what was produced some seconds ago, for the rate."""
    found = [one for one in samples if not math.isnan(one.value) and one.value > UNSET]
    newest = produced(found)
    rate = None
    if newest and before and newest.at_s > before.at_s and newest.messages >= before.messages:
        rate = round((newest.messages - before.messages) / (newest.at_s - before.at_s))
    completed_ms = _value(found, f"{JOB}lastCheckpointCompletedTimestamp", min)
    duration_ms = _value(found, f"{JOB}lastCheckpointDuration", max)
    return StreamState(
        lag_heartbeats=_whole(_value(found, f"{WATCH}lag_messages", sum, job_name=FOLD)),
        archive_lag_heartbeats=_whole(_value(found, f"{WATCH}lag_messages", sum, job_name=ARCHIVE)),
        watermark_age_s=_value(found, f"{WATCH}watermark_age_seconds", max),
        newest_event_age_s=_value(found, f"{WATCH}newest_event_age_seconds", max),
        heartbeats_per_s=rate,
        late=_whole(_value(found, f"{OPERATOR}late", sum)),
        malformed=_whole(_value(found, f"{WATCH}dead_letters", sum)),
        live_users=_whole(_value(found, f"{WATCH}live_users", sum)),
        redis_used_bytes=_whole(_value(found, f"{WATCH}redis_used_bytes", sum)),
        redis_limit_bytes=_whole(_value(found, f"{WATCH}redis_limit_bytes", sum)),
        checkpoints_failed=_whole(_value(found, f"{JOB}numberOfFailedCheckpoints", sum)),
        checkpoint_age_s=_age_s(completed_ms, now_ms),
        checkpoint_duration_s=None if duration_ms is None or duration_ms < 0 else duration_ms / 1000,
        stores={
            one.labels["store"]: one.value == 1
            for one in found
            if one.name == f"{WATCH}store_up" and "store" in one.labels
        },
    )


def _value(
    samples: Iterable[Sample], name: str, reduce: Callable[[list[float]], float], **labels: str
) -> float | None:
    values = [
        one.value
        for one in samples
        if one.name == name and all(one.labels.get(key) == value for key, value in labels.items())
    ]
    return reduce(values) if values else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _age_s(instant_ms: float | None, now_ms: int) -> float | None:
    return None if instant_ms is None or instant_ms <= 0 else max(0, now_ms - instant_ms) / 1000
