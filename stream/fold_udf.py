"""The fold as Flink calls it: packed heartbeats in, Redis written, the regions' shares handed on.

Flink keeps a window's heartbeats as state until the watermark passes; after a failure it hands the same
window in again, and the fence of the sink makes that harmless.
"""

import time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyflink.table import AggregateFunction, DataTypes, FunctionContext, ScalarFunction
from pyflink.table.udf import udaf, udf

from stream.fold import PACKED, REGION_SHARE, fold, region_shares, sum_shares
from stream.fold_metrics import FoldMetrics
from stream.pace import Pace
from stream.redis_sink import RedisSink

REDIS_URL = "meterbeat.redis-url"
EPOCH = "meterbeat.epoch"
LATENESS_MS = "meterbeat.lateness-ms"  # how long after its end a window is complete


def _sink(function_context: FunctionContext) -> RedisSink:
    url = function_context.get_job_parameter(REDIS_URL, "")
    return RedisSink(url, int(function_context.get_job_parameter(EPOCH, "1")))


class FoldLive(ScalarFunction):  # type: ignore[misc]
    """Heartbeats of one bucket into live state; returns the regions' shares as bytes, None if late."""

    def open(self, function_context: FunctionContext) -> None:
        """Connect; Flink calls it once a worker."""
        self._sink = _sink(function_context)
        self._pace = Pace(int(function_context.get_job_parameter(LATENESS_MS, "0")))
        self._metrics = FoldMetrics(function_context.get_metric_group())

    def eval(self, window_end: int, late: bool, packed: bytes) -> bytes | None:
        """Fold one whole window (its end in ms), or some heartbeats that came late."""
        heartbeats = np.frombuffer(packed, PACKED)
        if late:
            self._write(fold(heartbeats, singly=True), heartbeats, rest_s=0.0)
            return None
        rest_s = self._pace.rest_s(time.monotonic(), int(time.time() * 1000) - window_end)
        records = fold(heartbeats)
        self._write(records, heartbeats, rest_s)
        shares = region_shares(records, window_end).tobytes()
        self._pace.done(time.monotonic())
        return shares

    def _write(self, records: NDArray[np.void], heartbeats: NDArray[np.void], rest_s: float) -> None:
        written = self._sink.write_live(records, rest_s)
        self._metrics.note(heartbeats["sent_at"], written.rejected, int(time.time() * 1000))

    def is_deterministic(self) -> bool:
        """Return False: the planner must neither repeat nor skip a call that writes."""
        return False


class FoldRegions(AggregateFunction):  # type: ignore[misc]
    """The shares of all buckets of one window into the regions' state; returns how many were newer."""

    def open(self, function_context: FunctionContext) -> None:
        """Connect; Flink calls it once a worker."""
        self._sink = _sink(function_context)

    def create_accumulator(self) -> list[Any]:
        """Return what `accumulate` fills."""
        return []

    def accumulate(self, accumulator: list[int], shares: pd.Series) -> None:
        """Sum one window whole; Flink calls it once a window."""
        rows = np.frombuffer(b"".join(shares), REGION_SHARE)
        accumulator.append(self._sink.write_regions(sum_shares(rows)))

    def get_value(self, accumulator: list[int]) -> int:
        """Return the window's result."""
        return accumulator[0]


fold_live = udf(FoldLive(), result_type=DataTypes.BYTES())
fold_regions = udaf(FoldRegions(), result_type=DataTypes.BIGINT(), func_type="pandas")
