"""Writes live state: a few script calls a window, each for many users, repeated until Redis answers."""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, NoScriptError, TimeoutError  # noqa: A004
from redis.retry import Retry

from infra.addresses import redacted
from infra.contracts.durations import HOUR_MS
from infra.contracts.live_state import MARKS_MAX, PUBLISHED_UNTIL_KEY, REGIONS_KEY, live_key
from stream.live_rows import calls, live_rows
from stream.pace import calls_at_once
from stream.snapshot import ROW, Part

# Calls handed over before the first is answered, so that Redis has the next one at hand. It serves other
# clients between any two.
CALLS_AHEAD = 8
MARKS_ROWS_PER_CALL = 250  # about as long as a call of stream.live_rows takes
TIMEOUT_S = 10
RETRIES = 60  # with BACKOFF_S_MAX about a minute; then the job restarts and tries again
BACKOFF_S_MAX = 1
ALIVE_KEY = "stream:alive"  # see Sentinel
REBUILDING = "rebuilding"
PROBE_S_MAX = 1

_SCRIPTS = pathlib.Path(__file__).parent
# Returns the instant that holds, the later of the one kept and the one told.
_ADVANCE = """
local kept = redis.call('GET', KEYS[1])
if kept and tonumber(kept) >= tonumber(ARGV[1]) then return kept end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
"""


# Returns how many keys are of regions.
_REGION_KEYS = """
local keys = 0
for _, code in ipairs(redis.call('SMEMBERS', 'regions')) do
  keys = keys + redis.call('EXISTS', 'region:' .. code, 'load:' .. code)
end
return keys
"""


class RedisAwayError(RuntimeError):
    """Redis does not answer. Transient: names the address and the remedy."""


def check_redis(url: str) -> None:
    """Return if Redis answers.

    :raises RedisAwayError: if it does not.
    """
    with told_when_away(url):
        redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S).ping()


@dataclasses.dataclass(frozen=True)
class Use:
    """How full Redis is."""

    used_bytes: int
    limit_bytes: int  # 0: none
    users: int  # keys, less those that are no user's


class Occupancy:
    """Asks Redis how full it is."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = redis.Redis.from_url(
            url, socket_timeout=PROBE_S_MAX, socket_connect_timeout=PROBE_S_MAX, retry=Retry(NoBackoff(), 0)
        )

    def use(self) -> Use:
        """Return it, in one round trip.

        :raises RedisAwayError: if Redis does not answer.
        """
        with told_when_away(self._url):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.info("memory")
            pipeline.dbsize()
            pipeline.eval(_REGION_KEYS, 0)
            pipeline.exists(REGIONS_KEY, ALIVE_KEY, PUBLISHED_UNTIL_KEY)
            memory, keys, regions, own = pipeline.execute()
        return Use(int(memory["used_memory"]), int(memory["maxmemory"]), max(0, keys - regions - own))


@dataclasses.dataclass(frozen=True)
class Written:
    """What became of records: written as newer, or rejected by the fence as known already or old.

    A rejected record may still have raised an hour mark.
    """

    newer: int = 0
    rejected: int = 0


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
        self._live = self._client.register_script(script("marks.lua", "live_state.lua"))
        self._region = self._client.register_script(script("region_state.lua"))
        self._marks = self._client.register_script(script("marks.lua", "rebuilt_marks.lua"))

    def write_live(self, records: NDArray[np.void], rest_s: float = 0.0) -> Written:
        """Write stream.fold.RECORDs ordered by user and return what became of them.

        Between its calls it rests for about `rest_s` all in all. Blocks while Redis is away.

        :raises redis.exceptions.RedisError: if it stays away, or refuses the write for want of memory.
        """
        newer, rested_s, chunks = 0, 0.0, list(calls(records))
        ahead = calls_at_once(len(chunks), rest_s, CALLS_AHEAD)
        for first in range(0, len(chunks), ahead):
            if first and rested_s < rest_s:
                rested_s += _rested(rest_s * ahead / len(chunks))
            newer += sum(self._answers([self._live_arguments(one) for one in chunks[first : first + ahead]]))
        return Written(newer, len(records) - newer)

    def _live_arguments(self, chunk: NDArray[np.void]) -> list[bytes | int]:
        latest = int(chunk["sent_at"].max())
        return [
            live_rows(chunk, self._epoch).tobytes(),
            chunk.tobytes(),
            self._epoch,
            MARKS_MAX,
            int(chunk["sent_at"].min()),
            latest - latest % HOUR_MS,
        ]

    def _answers(self, calls_of_live: list[list[bytes | int]]) -> list[int]:
        """Send some calls of the live script at once and return how many records each wrote as newer."""
        for _ in range(RETRIES):
            pipeline = self._client.pipeline(transaction=False)
            for arguments in calls_of_live:
                self._live(args=arguments, client=pipeline)
            # A Redis that was started anew meanwhile has forgotten the script; the pipeline brings it again.
            with contextlib.suppress(NoScriptError):
                return [int(answer) for answer in pipeline.execute()]
        raise ConnectionError(f"redis was started anew {RETRIES} times while one window was written")

    def write_marks(self, rows: NDArray[np.void]) -> None:
        """Put stream.hour_ends.MARKS_ROWs before the marks that are there, or raise those that lag behind.

        Blocks while Redis is away. Meters that have no marks get none: write their newest heartbeats first.

        :raises redis.exceptions.RedisError: if it stays away, or refuses the write for want of memory.
        """
        for start in range(0, len(rows), MARKS_ROWS_PER_CALL):
            self._marks(args=[rows[start : start + MARKS_ROWS_PER_CALL].tobytes(), MARKS_MAX])

    def write_regions(self, shares: NDArray[np.void]) -> int:
        """Write stream.fold.REGION_SHAREs of one window, the course with them; return how many were newer."""
        return int(self._region(args=[shares.tobytes(), self._epoch])) if len(shares) else 0


def _rested(seconds: float) -> float:
    """Rest, and return for how long: on busy cores a process is woken up late."""
    began = time.monotonic()
    time.sleep(seconds)
    return time.monotonic() - began


class LiveStore:
    """All live state as a whole, and what the server tells of itself. Any method may raise RedisError."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, decode_responses=True
        )
        self._advance = self._client.register_script(_ADVANCE)
        self._drop = self._client.register_script(script("marks.lua", "expire.lua"))

    def publish(self, until_ms: int) -> int:
        """Keep the instant up to which batch has published, and return it or the later one that was kept."""
        return int(self._advance(keys=[PUBLISHED_UNTIL_KEY], args=[until_ms]))

    def drop_published(self, cursor: int, count: int) -> tuple[int, int, int]:
        """Drop published hours of about `count` users; return the next cursor, the users, those changed.

        Begins with cursor 0 and has seen everyone when it returns 0.
        """
        scanned: Any = self._client.scan(cursor, match="live:*", count=count)
        following, keys = scanned
        return int(following), len(keys), int(self._drop(keys=keys)) if keys else 0

    def holds_users(self) -> bool:
        """Return whether there is live state of any user."""
        return any(True for _ in self._client.scan_iter("live:*", count=10_000))

    def encoding(self, user_id: int) -> str:
        """Return how the server lays a user's hash out."""
        return str(self._client.object("encoding", live_key(user_id)))

    def used_bytes(self) -> int:
        """Return how much memory the server uses."""
        memory: Any = self._client.info("memory")
        return int(memory["used_memory"])

    def cpu_s(self) -> float:
        """Return the processor seconds that the server has used."""
        cpu: Any = self._client.info("cpu")
        return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])


class LiveMarks:
    """Reads live state for stream.snapshot. Any method may raise RedisError."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        self._part = self._client.register_script(script("marks_of_users.lua"))

    def published_until(self) -> int:
        """See `stream.snapshot.MarksSource`."""
        kept: Any = self._client.get(PUBLISHED_UNTIL_KEY)
        return int(kept or 0)

    def part(self, cursor: int, users: int) -> Part:
        """See `stream.snapshot.MarksSource`."""
        following, rows, lows, broken = self._part(args=[cursor, users])
        return Part(int(following), np.frombuffer(rows, ROW), np.frombuffer(lows, "<u4"), int(broken))


class Sentinel:
    """The key ALIVE_KEY, whose value is the server's run id; a server that lost its data lacks it.

    A server that was started again has another run id, and may have lost its last writes.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=PROBE_S_MAX,
            socket_connect_timeout=PROBE_S_MAX,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def intact(self) -> bool:
        """Return whether nothing was lost since the last rebuild ended.

        :raises RedisAwayError: if Redis does not answer.
        """
        with told_when_away(self._url):
            return bool(self._client.get(ALIVE_KEY) == self._run_id())

    def begin(self) -> str:
        """Set the sentinel to REBUILDING unless it is intact, and return the server's run id.

        :raises RedisAwayError: if Redis does not answer.
        """
        with told_when_away(self._url):
            run_id = self._run_id()
            if self._client.get(ALIVE_KEY) != run_id:
                self._client.set(ALIVE_KEY, REBUILDING)
            return run_id

    def finish(self, run_id: str) -> bool:
        """Declare the server whole, unless it lost its data again since `begin`; return whether it is.

        :raises RedisAwayError: if Redis does not answer.
        """
        with told_when_away(self._url):
            return self._run_id() == run_id and bool(self._client.set(ALIVE_KEY, run_id, xx=True))

    def _run_id(self) -> str:
        server: Any = self._client.info("server")
        return str(server["run_id"])


@contextlib.contextmanager
def told_when_away(url: str) -> Iterator[None]:
    """Turn what the client raises into one line.

    :raises RedisAwayError: if Redis does not answer, or refuses.
    """
    try:
        yield
    except redis.exceptions.RedisError as error:
        raise RedisAwayError(
            f"redis at {redacted(url)} does not answer ({error}); start it with `meterbeat up`"
        ) from None


def script(*names: str) -> str:
    """Return the text of a Redis script made of this room's Lua files."""
    return "".join((_SCRIPTS / name).read_text() for name in names)
