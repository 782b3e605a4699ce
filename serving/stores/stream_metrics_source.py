"""The Prometheus text of the stream's watch and of Flink, over HTTP; each within a time limit."""

import asyncio
import contextlib
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from serving.figures.operations import Sample

BYTES_MAX = 2 * 1024**2


class Told(NamedTuple):
    """What the addresses told, and which of them told nothing in time."""

    samples: Sequence[Sample]
    away: Sequence[str]


class StreamMetricsSource:
    """Reads metrics. An address away is told of, never waited for longer than `timeout_ms`."""

    def __init__(self, urls: Sequence[str], timeout_ms: int) -> None:
        self._urls, self._timeout_s = tuple(urls), timeout_ms / 1000

    async def read(self) -> Told:
        """Return the samples of all addresses that answer; asks all of them at once."""
        found = await asyncio.gather(*(self._within_time(url) for url in self._urls))
        samples = [sample for one in found for sample in one or ()]
        return Told(samples, [url for url, one in zip(self._urls, found, strict=True) if one is None])

    async def _within_time(self, url: str) -> list[Sample] | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.to_thread(self._read, url)
        return None

    def _read(self, url: str) -> list[Sample] | None:
        try:
            with urllib.request.urlopen(url, timeout=self._timeout_s) as response:
                text = response.read(BYTES_MAX).decode()
            return [
                Sample(sample.name, sample.labels, sample.value)
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            ]
        except (OSError, HTTPException, ValueError):
            return None
