"""FLUSHALL under load: how long until every user's live state, and the hours before, are right again."""

import time
from typing import Any

import redis

from infra.contracts.heartbeat import USER_ID_MIN
from infra.contracts.live_state import LiveState, decode_live_state, live_key
from infra.rooms import RoomError

SAMPLE_USERS = 1_000
POLL_S = 1.0
RIGHT_S_MAX = 600
OTHER_KEYS_MAX = 2  # of the stream's own, which come back later or not at all


def lose(redis_url: str, users: int) -> dict[str, Any]:
    """Flush Redis; return how many keys it held and the seconds until users and hours were right.

    Users are right when as many keys are there as before, and every user of a sample has a heartbeat sent
    since; hours, when the sample has every mark again that it had.

    :raises RoomError: if that takes longer than RIGHT_S_MAX.
    """
    sample = [USER_ID_MIN + number for number in range(0, users, -(-users // SAMPLE_USERS))]
    with redis.Redis.from_url(redis_url) as client:
        keys, marks_before = int(client.dbsize()), _marks(_states(client, sample))
        client.flushall()
        lost_s, lost_ms = time.monotonic(), int(time.time() * 1000)
        users_right_s = hours_right_s = None
        while users_right_s is None or hours_right_s is None:
            time.sleep(POLL_S)
            waited_s = time.monotonic() - lost_s
            if waited_s > RIGHT_S_MAX:
                raise RoomError(f"redis is not right again {RIGHT_S_MAX} s after FLUSHALL")
            states = _states(client, sample)
            newer = all(state is not None and _sent_since(state, lost_ms) for state in states.values())
            if users_right_s is None and newer and int(client.dbsize()) >= keys - OTHER_KEYS_MAX:
                users_right_s = round(waited_s, 1)
            if hours_right_s is None and marks_before.items() <= _marks(states).items():
                hours_right_s = round(waited_s, 1)
    return {"keys": keys, "users_right_s": users_right_s, "hours_right_s": hours_right_s}


def _states(client: "redis.Redis", sample: list[int]) -> dict[int, LiveState | None]:
    with client.pipeline(transaction=False) as pipeline:
        for user_id in sample:
            pipeline.hgetall(live_key(user_id))
        found = pipeline.execute()
    return {
        user_id: decode_live_state(fields) if fields else None
        for user_id, fields in zip(sample, found, strict=True)
    }


def _sent_since(state: LiveState, instant_ms: int) -> bool:
    return all(meter.sent_at >= instant_ms for meter in state.meters.values())


def _marks(states: dict[int, LiveState | None]) -> dict[tuple[int, str, int], int]:
    """Return the register that each hour began with, by user, utility and hour."""
    return {
        (user_id, utility, hour): register
        for user_id, state in states.items()
        if state is not None
        for utility, meter in state.meters.items()
        for hour, register in meter.marks_by_hour().items()
    }
