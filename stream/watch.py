"""Watches the input and Redis: ticks while the one is silent, starts a rebuild when the other lost its data.

Event time stands still when no heartbeat comes, and with it the windows that hold the last ones. A tick
says that nothing older will come: its time is the newest event's plus a whole window and the lateness.
What Redis loses is rebuilt by a process of its own, so that ticks go on meanwhile.
"""

import contextlib
import dataclasses
import subprocess
import time
from collections.abc import Callable, Sequence

from kafka import KafkaProducer
from kafka.errors import KafkaError

from infra.contracts import tick
from stream.flink_client import FlinkAwayError
from stream.kafka_source import KafkaAwayError, KafkaSource
from stream.redis_sink import RedisAwayError, Sentinel

INTERVAL_S = 1.0
WAIT_S = 5.0  # after a store was found away
REBUILDS_MAX = 5  # in a row that fail; after that a person is needed
RETRY_S_MIN, RETRY_S_MAX = 10.0, 300.0


@dataclasses.dataclass
class Silence:
    """Decides when to tick. Pure: it is told the times (ms) and what was produced, and answers."""

    quiet_ms: int  # how long the input must stand still; longer than a partition takes to be idle
    margin_ms: int  # a window and the lateness
    _produced: int = -1
    _since_ms: int = 0

    def silent(self, produced: int, now_ms: int) -> bool:
        """Return whether nothing was produced for so long that the last windows should close."""
        if produced != self._produced:
            self._produced, self._since_ms = produced, now_ms
        return now_ms - self._since_ms >= self.quiet_ms

    def tick_at(self, newest_event_ms: int) -> int | None:
        """Return the event time to tick with, None before the first heartbeat."""
        return newest_event_ms + self.margin_ms if newest_event_ms >= 0 else None


@dataclasses.dataclass
class Retries:
    """Decides when to rebuild. Pure: it is told the time (s) and how it went, and answers."""

    _failed: int = 0
    _not_before_s: float = 0.0

    def due(self, now_s: float) -> bool:
        """Return whether a rebuild that is needed may start."""
        return self._failed < REBUILDS_MAX and now_s >= self._not_before_s

    def note(self, *, succeeded: bool, now_s: float) -> bool:
        """Take note of how a rebuild ended; return whether this was the last attempt."""
        if succeeded:
            self._failed, self._not_before_s = 0, 0.0
            return False
        self._failed += 1
        self._not_before_s = now_s + min(RETRY_S_MIN * 2 ** (self._failed - 1), RETRY_S_MAX)
        return self._failed == REBUILDS_MAX


class Ticker:
    """Ticks through one connection, made anew after the broker was away."""

    def __init__(
        self,
        connect: Callable[[], KafkaSource],
        bootstrap: str,
        newest_event_ms: Callable[[], int],
        silence: Silence,
    ) -> None:
        self._connect, self._bootstrap, self._silence = connect, bootstrap, silence
        self._newest_event_ms = newest_event_ms
        self._source: KafkaSource | None = None
        self._producer: KafkaProducer | None = None

    def step(self, now_ms: int) -> None:
        """Tick if it is time to.

        :raises KafkaAwayError, KafkaError, OSError: if the broker is away.
        :raises FlinkAwayError: if the cluster is, which alone knows the newest event.
        """
        try:
            self._source = self._source or self._connect()
            self._producer = self._producer or KafkaProducer(bootstrap_servers=self._bootstrap)
            if not self._silence.silent(sum(self._source.ends().values()), now_ms):
                return
            event_time_ms = self._silence.tick_at(self._newest_event_ms())
            if event_time_ms is not None:
                self._producer.send(tick.TOPIC, tick.VALUE, timestamp_ms=event_time_ms).get(timeout=10)
        except (KafkaAwayError, KafkaError, OSError):
            self._close()
            raise

    def _close(self) -> None:
        for connection in (self._source, self._producer):
            if connection is not None:
                with contextlib.suppress(KafkaError, OSError):
                    connection.close()
        self._source = self._producer = None


class Guard:
    """Starts a rebuild when the sentinel says that Redis lost its data, one at a time."""

    def __init__(self, sentinel: Sentinel, command: Sequence[str], log: Callable[[str], None]) -> None:
        self._sentinel, self._command, self._log = sentinel, command, log
        self._retries = Retries()
        self._rebuild: subprocess.Popen[bytes] | None = None

    def step(self, now_s: float) -> None:
        """See how the rebuild does, or whether one is needed.

        :raises RedisAwayError: if Redis does not answer.
        """
        if self._rebuild is not None:
            code = self._rebuild.poll()
            if code is None:
                return
            self._rebuild = None
            last = self._retries.note(succeeded=code == 0, now_s=now_s)
            self._log(f"rebuild of live state ended with exit code {code}")
            if last:
                self._log(f"gave up after {REBUILDS_MAX} attempts; run `meterbeat stream rebuild`")
        if self._sentinel.intact():
            self._retries.note(succeeded=True, now_s=now_s)
        elif self._retries.due(now_s):
            self._log("redis has no sentinel of this run of it: rebuilding live state from the archive")
            self._rebuild = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)


def watch(ticker: Ticker, guard: Guard, log: Callable[[str], None]) -> None:
    """Tick and guard for ever; a store that is away is waited for, and the other is not held up by it."""
    tick_at_s = guard_at_s = 0.0
    while True:
        if time.monotonic() >= tick_at_s:
            try:
                ticker.step(int(time.time() * 1000))
            except (KafkaAwayError, FlinkAwayError, KafkaError, OSError) as error:
                log(f"{error}; trying again")
                tick_at_s = time.monotonic() + WAIT_S
        if time.monotonic() >= guard_at_s:
            try:
                guard.step(time.monotonic())
            except RedisAwayError as error:
                log(f"{error}; trying again")
                guard_at_s = time.monotonic() + WAIT_S
        time.sleep(INTERVAL_S)
