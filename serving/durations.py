"""How long things took, as a histogram of Prometheus that is counted on the event loop alone, without locks.

The library's own takes a lock for each of its sums, which costs an answer as much as one of its meters.
"""

import bisect
import itertools
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class Durations:
    """The durations of one series: `observe` tells one in seconds."""

    __slots__ = ("_bounds_s", "_counts", "_sum_s")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect.bisect_left(self._bounds_s, seconds)] += 1
        self._sum_s += seconds

    def told(self) -> tuple[list[tuple[str, float]], float]:
        """Return how many took up to each bound, the last of which is infinite, and the sum in seconds."""
        bounds = (*(str(bound) for bound in self._bounds_s), "+Inf")
        counts: Iterator[float] = itertools.accumulate(self._counts)
        return list(zip(bounds, counts, strict=True)), self._sum_s


class DurationsByLabels(Collector):
    """A histogram whose series are told apart by labels."""

    def __init__(
        self,
        name: str,
        about: str,
        labels: Sequence[str],
        bounds_s: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._about, self._labels, self._bounds_s = name, about, labels, bounds_s
        self._series: dict[tuple[str, ...], Durations] = {}
        registry.register(self)

    def of(self, *labels: str) -> Durations:
        """Return the series of some labels, which is shown from now on."""
        assert len(labels) == len(self._labels), "a series has all labels"
        return self._series.setdefault(labels, Durations(self._bounds_s))

    def collect(self) -> Iterator[Metric]:
        """Tell all series."""
        family = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        for labels, durations in self._series.items():
            buckets, sum_s = durations.told()
            family.add_metric(labels, buckets, sum_s)
        yield family
