"""What a user's live state costs in Redis, and how fast it is written: every user really loaded."""

import math
from typing import Any

import redis

from infra.bench.ground import Ground
from infra.bench.processes import used
from infra.contracts.heartbeat import USER_ID_MIN
from infra.contracts.live_state import decode_live_state, live_key
from infra.contracts.utility import UTILITIES
from infra.rooms import RoomError

SERVICES = ("redis",)
USERS = 8_000_000
LOOKED_AT = 10_000


def run(ground: Ground, users: int) -> dict[str, Any]:
    """Load the users, three utilities each, and return what the server itself says of its memory.

    :raises RoomError: if the load fails, or a user looked at is not whole.
    """
    ground.say(f"loading {users:,} users")
    before = ground.meter.cpu_s()
    loaded = ground.ask("loader", "stream", "load", "--users", str(users), "--json")
    spent = used(before, ground.meter.cpu_s())
    with redis.Redis.from_url(ground.settings.redis_url) as client:
        memory, keys = client.info("memory"), client.dbsize()
        whole = _whole(client, users)
    used_bytes = int(memory["used_memory"])
    return {
        "users": users,
        "bytes_per_user": math.ceil(used_bytes / users),
        "redis_used_mb": round(used_bytes / 1024**2, 1),
        "redis_rss_mb": round(int(memory["used_memory_rss"]) / 1024**2, 1),
        "users_written_per_s": loaded["users_written_per_s"],
        "keys": keys,
        "users_looked_at": whole,
        "cpu_s": spent,
    }


def _whole(client: "redis.Redis", users: int) -> int:
    """Look at users spread over all of them; return how many, each having all utilities.

    :raises RoomError: naming the first one that has not.
    """
    step = max(users // LOOKED_AT, 1)
    chosen = range(USER_ID_MIN, USER_ID_MIN + users, step)
    for start in range(0, len(chosen), 1_000):
        part = chosen[start : start + 1_000]
        with client.pipeline(transaction=False) as pipeline:
            for user_id in part:
                pipeline.hgetall(live_key(user_id))
            answers = pipeline.execute()
        for user_id, fields in zip(part, answers, strict=True):
            if not fields or len(decode_live_state(fields).meters) != len(UTILITIES):
                raise RoomError(f"user {user_id} has no live state of every utility after the load")
    return len(chosen)
