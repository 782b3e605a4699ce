"""Percentiles of times, every one of them kept: pure."""

import math
from collections.abc import Sequence

SHARES = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99, "p99_9_ms": 0.999}


def summary(times_s: Sequence[float]) -> dict[str, float | None]:
    """Return the percentiles and the maximum in milliseconds, None of nothing."""
    ordered = sorted(times_s)
    told: dict[str, float | None] = {name: _at(ordered, share) for name, share in SHARES.items()}
    return told | {"max_ms": _ms(ordered[-1]) if ordered else None}


def highest(tried: Sequence[tuple[int, bool]]) -> int | None:
    """Return the highest rate that was held, of (rate, held), below all that were not; None if none was."""
    broken = min((rate for rate, held in tried if not held), default=math.inf)
    return max((rate for rate, held in tried if held and rate < broken), default=None)


def next_rate(tried: Sequence[tuple[int, bool]], growth: float, step: int) -> int | None:
    """Return the rate to try next: higher while all were held, else between; None once known to a step."""
    held = highest(tried)
    broken = min((rate for rate, ok in tried if not ok), default=None)
    if broken is None:
        return math.ceil(max(rate for rate, _ in tried) * growth / step) * step
    if held is None:
        lower = broken // 2 // step * step
        return lower or None
    middle = (held + broken) // 2 // step * step
    return middle if middle > held else None


def _at(ordered: Sequence[float], share: float) -> float | None:
    """Return the least time that so large a share is at most: one that was seen, never one between."""
    return _ms(ordered[math.ceil(share * len(ordered)) - 1]) if ordered else None


def _ms(seconds: float) -> float:
    return round(seconds * 1_000, 2)
