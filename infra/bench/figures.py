"""From samples to the figures that a bench reports: pure."""

import math
from collections.abc import Mapping, Sequence

Sample = tuple[float, float]  # (instant in s, value)


def phase_s(duration_s: float) -> float:
    """Return how long the phases at a run's beginning and end are: a minute, or a quarter of a short run."""
    return min(60.0, duration_s / 4)


def mean_between(samples: Sequence[Sample], from_s: float, to_s: float) -> float | None:
    """Return the mean of the values sampled in [from, to), None if there are none."""
    values = [value for at_s, value in samples if from_s <= at_s < to_s]
    return math.fsum(values) / len(values) if values else None


def counted_since(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Return a histogram of what was counted between two cumulative ones of the same counters."""
    return {bound: count - before.get(bound, 0) for bound, count in after.items()}


def quantile(cumulative: Mapping[str, int], share: float) -> tuple[float | None, str]:
    """Return a quantile of a histogram, interpolated in its bucket, and the bucket that it lies in.

    `cumulative`: a bucket's upper bound as text, `+Inf` the last -> how many values are at most that.
    In the last bucket there is nothing to interpolate with, and of nothing there is no quantile: None.
    """
    bounds = sorted(cumulative, key=float)
    total = cumulative[bounds[-1]] if bounds else 0
    if not total:
        return None, "none"
    wanted, low, below = share * total, 0.0, 0
    for bound in bounds:
        count = cumulative[bound]
        if count >= wanted:
            if math.isinf(float(bound)):
                return None, f"over {low:g} s"
            part = (wanted - below) / (count - below) if count > below else 1.0
            return round(low + (float(bound) - low) * part, 3), f"{low:g} to {float(bound):g} s"
        low, below = float(bound), count
    raise AssertionError("the last bucket holds everything")
