"""Writes live state: a few script calls a window, each for many users, repeated until Redis answers."""

import pathlib

import numpy as np
import redis
from numpy.typing import NDArray
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004
from redis.retry import Retry

from infra.addresses import redacted
from infra.contracts.live_state import MARKS_MAX

RECORDS_PER_CALL = 4_000  # about 10 ms of Redis' time: other clients wait no longer than that
TIMEOUT_S = 10
RETRIES = 60  # with BACKOFF_S_MAX about a minute; then the job restarts and tries again
BACKOFF_S_MAX = 1

_SCRIPTS = pathlib.Path(__file__).parent


class RedisAwayError(RuntimeError):
    """Redis does not answer. Transient: names the address and the remedy."""


def check_redis(url: str) -> None:
    """Return if Redis answers.

    :raises RedisAwayError: if it does not.
    """
    try:
        redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S).ping()
    except redis.exceptions.RedisError as error:
        raise RedisAwayError(
            f"redis at {redacted(url)} does not answer ({error}); start it with `meterbeat up`"
        ) from None


class RedisSink:
    """Fenced writes of absolute values. Calling it again with what was written before changes nothing."""

    def __init__(self, url: str, epoch: int) -> None:
        self._epoch = epoch
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(ExponentialBackoff(cap=BACKOFF_S_MAX, base=0.05), RETRIES),
            retry_on_error=[BusyLoadingError, ConnectionError, TimeoutError],
        )
        self._live = self._client.register_script((_SCRIPTS / "live_state.lua").read_text())
        self._region = self._client.register_script((_SCRIPTS / "region_state.lua").read_text())

    def write_live(self, records: NDArray[np.void]) -> int:
        """Write stream.fold.RECORDs ordered by user; return how many were newer than what was there.

        Blocks while Redis is away.

        :raises redis.exceptions.RedisError: if it stays away, or refuses the write for want of memory.
        """
        newer = 0
        for start in range(0, len(records), RECORDS_PER_CALL):
            chunk = records[start : start + RECORDS_PER_CALL].tobytes()
            newer += int(self._live(args=[chunk, self._epoch, MARKS_MAX]))
        return newer

    def write_regions(self, shares: NDArray[np.void]) -> int:
        """Write stream.fold.REGION_SHAREs of one window; return how many were newer."""
        return int(self._region(args=[shares.tobytes(), self._epoch])) if len(shares) else 0
