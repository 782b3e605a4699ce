"""What the fold tells Flink's metrics of its work; docs/metrics.md lists them. No label names a user."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Upper bounds of the time from a heartbeat's sending to its being visible in Redis, in milliseconds.
BOUNDS_MS = np.array([*range(500, 20_500, 500), 25_000, 30_000, 45_000, 60_000, 120_000, 300_000])


class FoldMetrics:
    """Counters of one worker; all begin at 0 with it."""

    def __init__(self, group: Any) -> None:
        """Register under a pyflink MetricGroup."""
        mine = group.add_group("meterbeat")
        self._folded, self._rejected = mine.counter("folded"), mine.counter("fence_rejects")
        bounds = [*(f"{bound / 1000:g}" for bound in BOUNDS_MS), "+Inf"]
        self._visible = [mine.add_group("le", bound).counter("visible_bucket") for bound in bounds]

    def note(self, sent_at: NDArray[np.int64], rejected: int, now_ms: int) -> None:
        """Count heartbeats that became visible now; `rejected` records were older than what was there."""
        self._folded.inc(len(sent_at))
        self._rejected.inc(rejected)
        for counter, count in zip(self._visible, cumulative(now_ms - sent_at), strict=True):
            if count:
                counter.inc(count)


def cumulative(ages_ms: NDArray[np.int64]) -> list[int]:
    """Return how many ages are at or below each of BOUNDS_MS, and then how many there are."""
    within = np.bincount(np.searchsorted(BOUNDS_MS, ages_ms), minlength=len(BOUNDS_MS) + 1)
    counts: list[int] = np.cumsum(within).tolist()
    return counts
