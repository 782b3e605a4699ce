"""A run of the fleet: span by span, all lanes in lock-step, at the pace asked for."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from simulator.counts import Counts
from simulator.lane import Lane
from simulator.record_batch import ROWS_MAX, Records
from simulator.schedule import Span


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run has come: all beats before `until_ms`, and late ones due before it, by topic."""

    until_ms: int
    counts: Mapping[str, Counts]


class Sink(Protocol):
    """Where records go. May block; a mark is acknowledged with everything handed over before it."""

    def send(self, records: Mapping[tuple[str, int], Records], mark: Progress | None) -> None:
        """Take records over; at most ROWS_MAX a partition."""

    def flush(self) -> None:
        """Wait until everything taken over is acknowledged."""


class Pace:
    """Holds the event clock to `speed` times the wall clock (None: not at all) and hears a stop."""

    def __init__(
        self,
        from_ms: int,
        from_s: float,
        speed: float | None,
        clock: Callable[[], float],
        wait: Callable[[float], bool],
    ) -> None:
        """`clock` gives seconds and shows `from_s` when the event clock shows `from_ms`.

        `wait` waits up to so many seconds and says whether to stop.
        """
        self._from_ms = from_ms
        self._from_s = from_s
        self._speed = speed
        self._clock = clock
        self._wait = wait

    def stopped_before(self, until_ms: int) -> bool:
        """Wait until the event clock shows `until_ms`; return True if the run is to stop instead."""
        if self._speed is None:
            return self._wait(0)
        due_s = self._from_s + (until_ms - self._from_ms) / 1_000 / self._speed
        return self._wait(max(0.0, due_s - self._clock()))


def run(
    lanes: Sequence[Lane], spans: Iterable[Span], sink: Sink, pace: Pace, start: Progress
) -> Iterator[Progress]:
    """Send the spans and yield after each; at the end or a stop, send all that is late, and flush.

    The last progress yielded is that of everything delivered.
    """
    progress = start
    for span in spans:
        if pace.stopped_before(span.until_ms):
            break
        progress = _send(sink, [(lane, *lane.beats(span)) for lane in lanes], progress, span.until_ms)
        yield progress
    progress = _send(sink, [(lane, *lane.rest()) for lane in lanes], progress, progress.until_ms)
    sink.flush()
    yield progress


def _send(
    sink: Sink, beats: Sequence[tuple[Lane, Records, Counts]], before: Progress, until_ms: int
) -> Progress:
    counts = dict(before.counts)
    for lane, _, made in beats:
        counts[lane.utility] = counts.get(lane.utility, Counts()) + made
    progress = Progress(until_ms, counts)
    longest = max((len(records) for _, records, _ in beats), default=0)
    for start in range(0, max(longest, 1), ROWS_MAX):
        parts = {
            (str(lane.utility), lane.partition): records.cut(start, start + ROWS_MAX)
            for lane, records, _ in beats
            if len(records) > start
        }
        sink.send(parts, progress if start + ROWS_MAX >= longest else None)
    return progress
