"""Reads Prometheus endpoints: the metrics of other processes, summed over their labels.

What has not been counted yet is not the same as 0: it is None, as is what only an endpoint away could tell.
"""

import math
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

TIMEOUT_S = 3.0
BYTES_MAX = 8 * 1024**2
UNSET = -(2.0**62)  # below it a watermark that has not begun: Flink tells the least of all integers


class MetricsAwayError(RuntimeError):
    """No endpoint answers. Transient: names the addresses and the remedy."""


class Samples:
    """What the endpoints told; `away` names those that did not answer."""

    def __init__(self, samples: Iterable[Sample], away: Sequence[str] = ()) -> None:
        """Keep the samples that have a value."""
        self.away = tuple(away)
        self._samples = [one for one in samples if not math.isnan(one.value) and one.value > UNSET]

    def sum(self, name: str, **labels: str) -> float | None:
        """Return the sum of all samples of a name with these labels, None if there is none.

        A name is given whole or by its last words: `late` is ..._operator_late, not ..._translate.
        """
        return self._reduce(sum, name, labels)

    def min(self, name: str, **labels: str) -> float | None:
        """Return the least of the samples, as of a watermark; see `sum`."""
        return self._reduce(min, name, labels)

    def max(self, name: str, **labels: str) -> float | None:
        """Return the greatest of the samples; see `sum`."""
        return self._reduce(max, name, labels)

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """Return sums by the value of a label; samples without that label are left out."""
        sums: dict[str, float] = defaultdict(float)
        for sample in self._found(name, labels):
            if label in sample.labels:
                sums[sample.labels[label]] += sample.value
        return dict(sums)

    def buckets(self, name: str, **labels: str) -> dict[float, float]:
        """Return a histogram: its bounds and how many were at or below each, for `quantile`."""
        return {float(bound): count for bound, count in self.by(name, "le", **labels).items()}

    def _reduce(
        self, how: Callable[[list[float]], float], name: str, labels: Mapping[str, str]
    ) -> float | None:
        values = [sample.value for sample in self._found(name, labels)]
        return how(values) if values else None

    def _found(self, name: str, labels: Mapping[str, str]) -> Iterator[Sample]:
        for sample in self._samples:
            named = sample.name == name or sample.name.endswith(f"_{name}")
            if named and labels.items() <= sample.labels.items():
                yield sample


def scrape(urls: Iterable[str]) -> Samples:
    """Return what all endpoints tell, one after the other; those away are named in `away`.

    :raises MetricsAwayError: if none answers.
    """
    samples: list[Sample] = []
    away: dict[str, str] = {}
    answered = False
    for url in urls:
        try:
            samples += _read(url)
            answered = True
        except (OSError, HTTPException, ValueError) as error:
            away[url] = str(error)
    if not answered:
        told = "; ".join(f"{url}: {reason}" for url, reason in away.items()) or "no address is given"
        raise MetricsAwayError(f"no metrics are shown ({told}); start the processes with `meterbeat up`")
    return Samples(samples, list(away))


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Return the value below which so large a share (0..1) of a histogram lies, as Prometheus guesses it.

    None of an empty histogram. What lies above the greatest finite bound is told as that bound.
    """
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    rank = share * buckets[bounds[-1]]
    low, below = 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= rank:
            if math.isinf(bound):
                return low
            return low + (bound - low) * ((rank - below) / (count - below) if count > below else 1.0)
        low, below = bound, count
    return low


def _read(url: str) -> list[Sample]:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
        text = response.read(BYTES_MAX).decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]
