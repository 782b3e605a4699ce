"""Operations and dead letters as plain objects for JSON."""

from collections.abc import Sequence

from serving.figures.letters import Letter, preview
from serving.figures.local_days import utc_time
from serving.lookups.operations import OperationsAnswer
from serving.render.country import night
from serving.render.household import Json


def operations(answer: OperationsAnswer) -> Json:
    """Return how the platform does in the shape of `shapes_operations.Operations`."""
    stream = answer.stream
    return {
        "as_of": utc_time(answer.now_ms),
        "notes": list(answer.notes),
        "lag_heartbeats": stream.lag_heartbeats,
        "watermark_age_s": stream.watermark_age_s,
        "newest_event_age_s": stream.newest_event_age_s,
        "heartbeats_per_s": stream.heartbeats_per_s,
        "late": stream.late,
        "malformed": stream.malformed,
        "live_users": stream.live_users,
        "archive": {"lag_heartbeats": stream.archive_lag_heartbeats},
        "checkpoints": {
            "age_s": stream.checkpoint_age_s,
            "duration_s": stream.checkpoint_duration_s,
            "failed": stream.checkpoints_failed,
        },
        "redis": {"used_bytes": stream.redis_used_bytes, "limit_bytes": stream.redis_limit_bytes},
        "stores": {
            **answer.stores,
            **{store: _state(stream.stores.get(store)) for store in ("kafka", "flink")},
        },
        "nights": None if answer.nights is None else [night(one) for one in answer.nights],
    }


def letters(items: Sequence[Letter], following: str | None) -> Json:
    """Return a page of dead letters in the shape of `shapes_operations.DeadLetters`."""
    return {"items": [_letter(letter) for letter in items], "next": following}


def replayed(letter: Letter, now_ms: int) -> Json:
    """Return a letter that was put back in the shape of `shapes_operations.Replayed`."""
    return {**_origin(letter), "replayed_at": utc_time(now_ms)}


def _letter(letter: Letter) -> Json:
    return {
        "place": letter.place,
        **_origin(letter),
        "reason": letter.reason,
        "at": utc_time(letter.at_ms),
        "size_bytes": len(letter.value or b""),
        "value_preview": preview(letter),
    }


def _origin(letter: Letter) -> Json:
    return {"topic": letter.topic, "partition": letter.partition, "offset": letter.offset}


def _state(up: bool | None) -> str | None:
    return None if up is None else "ok" if up else "away"
