"""In which order a period's beats leave: spans of event time that all topics go through in lock-step."""

import dataclasses
import math
from collections.abc import Callable, Iterator

from infra.contracts.heartbeat import INTERVAL_MS
from simulator.record_batch import ROWS_MAX
from simulator.shapes import BEATS

PACED_SPAN_MS = 200  # of wall time; short enough to be flat, long enough to fill batches
BEHIND_MS_MAX = 1_000  # of a live fleet; further behind, the longest spans make up for it


@dataclasses.dataclass(frozen=True)
class Span:
    """Some slots (5 s since 1970) of one hour, and which of their phases."""

    first_slot: int
    slots: int
    phase_from_ms: int
    phase_to_ms: int

    @property
    def until_ms(self) -> int:
        """The instant up to which all beats are sent once this span is."""
        return (self.first_slot + self.slots - 1) * INTERVAL_MS + self.phase_to_ms


def step_ms(users_per_partition: float, speed: float | None) -> int:
    """Return how much event time one span covers: part of a slot, or whole slots.

    `speed` is event time over wall time, None for as fast as possible.
    """
    step = 0.9 * ROWS_MAX / max(users_per_partition, 1) * INTERVAL_MS
    if speed is not None:
        step = min(step, speed * PACED_SPAN_MS)
    if step >= INTERVAL_MS:
        return min(int(step) // INTERVAL_MS, BEATS) * INTERVAL_MS
    return max(int(step), 1)


def spans(from_ms: int, to_ms: int | None, step: int) -> Iterator[Span]:
    """Yield the spans of the period, without end if `to_ms` is None."""
    at = from_ms
    while to_ms is None or at < to_ms:
        slot, phase = divmod(at, INTERVAL_MS)
        slots = min(step // INTERVAL_MS, BEATS - slot % BEATS)
        if to_ms is not None:
            slots = min(slots, (to_ms - at) // INTERVAL_MS)
        if phase == 0 and slots > 0:
            span = Span(slot, slots, 0, INTERVAL_MS)
        else:
            phase_to = min(phase - phase % step + step, INTERVAL_MS)
            if to_ms is not None:
                phase_to = min(phase_to, to_ms - slot * INTERVAL_MS)
            span = Span(slot, 1, phase, phase_to)
        yield span
        at = span.until_ms


def paced_spans(from_ms: int, to_ms: int | None, longest: int, speed: float) -> Iterator[Span]:
    """Yield the spans of a period at `speed`: as many in every second of wall time, none above `longest` ms.

    Spans of so many whole ms would not divide a second evenly, and some seconds would get one more.
    """
    in_a_second = math.ceil(1_000 * speed / longest)
    at, number = from_ms, 0
    while to_ms is None or at < to_ms:
        number += 1
        until = from_ms + int(1_000 * speed * number / in_a_second)
        until = until if to_ms is None else min(until, to_ms)
        yield from spans(at, until, INTERVAL_MS)
        at = until


def live_spans(
    from_ms: int, to_ms: int | None, paced: int, longest: int, now_ms: Callable[[], float]
) -> Iterator[Span]:
    """Yield the spans of a period at the wall clock's pace: the longest up to now, short ones from there."""
    at = from_ms
    while to_ms is None or at < to_ms:
        now = int(now_ms())
        behind = now - at > BEHIND_MS_MAX
        until = now if behind else (at // BEHIND_MS_MAX + 1) * BEHIND_MS_MAX
        until = until if to_ms is None else min(until, to_ms)
        yield from spans(at, until, longest if behind else paced)
        at = until
