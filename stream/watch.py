"""Watches the input and ticks while it is silent, so that the last windows close.

Event time stands still when no heartbeat comes, and with it the windows that hold the last ones. A tick
says that nothing older will come: its time is the newest event's plus a whole window and the lateness.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable

from kafka import KafkaProducer
from kafka.errors import KafkaError

from infra.contracts import tick
from stream.kafka_source import InputProgress, KafkaAwayError, KafkaSource

INTERVAL_S = 1.0
AHEAD_MS_MAX = 100_000  # stays below what the broker refuses as too far ahead of its clock


@dataclasses.dataclass
class Silence:
    """Decides when to tick. Pure: it is told the time (ms) and the progress, and answers."""

    quiet_ms: int  # how long the input must stand still; longer than a partition takes to be idle
    margin_ms: int  # a window and the lateness
    _produced: int = -1
    _since_ms: int = 0

    def tick_at(self, progress: InputProgress, now_ms: int) -> int | None:
        """Return the event time to tick with, None while heartbeats come or before the first one."""
        if progress.produced != self._produced:
            self._produced, self._since_ms = progress.produced, now_ms
        if progress.newest_event_ms < 0 or now_ms - self._since_ms < self.quiet_ms:
            return None
        return min(progress.newest_event_ms + self.margin_ms, now_ms + AHEAD_MS_MAX)


def watch(
    connect: Callable[[], KafkaSource], bootstrap: str, silence: Silence, log: Callable[[str], None]
) -> None:
    """Tick for ever; a broker that is away is waited for."""
    while True:
        try:
            with (
                contextlib.closing(connect()) as source,
                contextlib.closing(_producer(bootstrap)) as producer,
            ):
                while True:
                    event_time_ms = silence.tick_at(source.progress(), int(time.time() * 1000))
                    if event_time_ms is not None:
                        producer.send(tick.TOPIC, tick.VALUE, timestamp_ms=event_time_ms).get(timeout=10)
                    time.sleep(INTERVAL_S)
        except (KafkaAwayError, KafkaError, OSError) as error:
            log(f"{error}; trying again")
            time.sleep(5 * INTERVAL_S)


def _producer(bootstrap: str) -> KafkaProducer:
    return KafkaProducer(bootstrap_servers=bootstrap)
