"""Fills an empty Redis with many users' live state, through the sink the fold writes with, and measures it.

Each user has three utilities, first heard at a midnight and heard again in the hour after the next one,
unless told otherwise: with that the sink writes 26 hour marks a meter, as many as a day has before its night
is published. Told an `hours_between`, meters are heard that often until then, so that marks differ.
infra/bench/serving_truth.py knows the registers, to publish the nights before.
"""

import dataclasses
import time

import numpy as np
from numpy.typing import NDArray

from infra.addresses import redacted
from infra.contracts.durations import HOUR_MS
from infra.contracts.heartbeat import USER_ID_MIN
from infra.contracts.utility import UTILITIES
from stream.fold import RECORD
from stream.redis_sink import LiveStore, RedisSink, told_when_away

USERS_PER_BATCH = 50_000
LAST_HOUR = 25
STARTS_AT = 490_000 * HOUR_MS  # any midnight
BEGINS_REGISTER = 40_000_000
USAGE_PER_HOUR_MAX = 3_000


class LoadRefusedError(RuntimeError):
    """A Redis that holds live state already, which a load would mix with its own."""


@dataclasses.dataclass(frozen=True)
class Loaded:
    """What the load found. Bytes are what the server says it uses, less what it used before."""

    users: int
    users_written_per_s: int
    bytes_per_user: int
    redis_used_mb: float
    redis_cpu_s_per_million_users: float
    encoding: str


def load(
    url: str,
    epoch: int,
    users: int,
    first: int = 0,
    starts_at: int = STARTS_AT,
    last_hour: int = LAST_HOUR,
    hours_between: int = 0,
) -> Loaded:
    """Write the users' first heartbeats and those of `last_hour`; `users_written_per_s` is of the first.

    `first`: how many users are left out before; `starts_at`: of the first heartbeats, ms since 1970;
    `hours_between`: how far apart heartbeats between these two are, 0 for none.

    :raises LoadRefusedError: if the server holds live state.
    :raises RedisAwayError: if it does not answer.
    """
    with told_when_away(url):
        store, sink = LiveStore(url), RedisSink(url, epoch)
        if store.holds_users():
            raise LoadRefusedError(
                f"redis at {redacted(url)} holds live state already; load an empty one, "
                "on a platform of its own (METERBEAT_HOME, METERBEAT_PORT_BASE)"
            )
        used_before, cpu_before, began = store.used_bytes(), store.cpu_s(), time.monotonic()
        _write(sink, first, users, starts_at, 0)
        seconds = time.monotonic() - began
        cpu_s = store.cpu_s() - cpu_before
        for hour in range(hours_between, last_hour, hours_between) if hours_between else ():
            _write(sink, first, users, starts_at, hour)
        _write(sink, first, users, starts_at, last_hour)
        used_bytes = store.used_bytes()
        return Loaded(
            users=users,
            users_written_per_s=round(users / seconds),
            bytes_per_user=-(-(used_bytes - used_before) // users),
            redis_used_mb=round(used_bytes / 1024**2, 1),
            redis_cpu_s_per_million_users=round(cpu_s * 1e6 / users, 2),
            encoding=store.encoding(USER_ID_MIN + first),
        )


def _write(sink: RedisSink, first: int, users: int, starts_at: int, hour: int) -> None:
    for done in range(0, users, USERS_PER_BATCH):
        sink.write_live(records(first + done, min(USERS_PER_BATCH, users - done), hour, starts_at))


def records(first: int, users: int, hour: int, starts_at: int = STARTS_AT) -> NDArray[np.void]:
    """Return RECORDs of one hour, one a user and utility, from the user `first` on (counted from 0)."""
    rows = np.zeros((users, len(UTILITIES)), RECORD)
    meters = (first + np.arange(users))[:, np.newaxis] * len(UTILITIES) + np.arange(len(UTILITIES))
    rows["user_id"] = USER_ID_MIN + first + np.arange(users)[:, np.newaxis]
    rows["utility"] = [utility.code for utility in UTILITIES]
    rows["region"] = b"US-NY"
    rows["rate"] = meters % 4_000
    rows["sent_at"] = starts_at + hour * HOUR_MS + meters % 5_000
    rows["register"] = BEGINS_REGISTER + meters % 1_000_003 + hour * (meters % USAGE_PER_HOUR_MAX)
    rows["first_register"] = rows["register"]
    return rows.reshape(-1)
