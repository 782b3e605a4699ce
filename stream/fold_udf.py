"""The fold as Flink calls it: pandas columns in, Redis written, the regions' shares handed on.

Flink keeps a window's heartbeats as state until the watermark passes; after a failure it hands the same
window in again, and the fence of the sink makes that harmless.
"""

from typing import Any

import numpy as np
import pandas as pd
from pyflink.table import AggregateFunction, DataTypes, FunctionContext
from pyflink.table.udf import udaf

from stream.fold import REGION_SHARE, fold, region_shares, sum_shares
from stream.redis_sink import RedisSink

REDIS_URL = "meterbeat.redis-url"
EPOCH = "meterbeat.epoch"
WINDOW_MS = "meterbeat.window-ms"


class _Fold(AggregateFunction):  # type: ignore[misc]
    """What both folds share: a sink of their own in each Python worker."""

    def open(self, function_context: FunctionContext) -> None:
        url = function_context.get_job_parameter(REDIS_URL, "")
        epoch = function_context.get_job_parameter(EPOCH, "1")
        self._sink = RedisSink(url, int(epoch))
        self._window_ms = int(function_context.get_job_parameter(WINDOW_MS, "10000"))

    def create_accumulator(self) -> list[Any]:
        return []

    def get_value(self, accumulator: list[Any]) -> Any:
        return accumulator[0]


class FoldLive(_Fold):
    """Heartbeats of one bucket and window into live state; returns the regions' shares as bytes."""

    def accumulate(self, accumulator: list[bytes], *columns: pd.Series) -> None:
        """Fold one window whole; Flink calls it once a group."""
        records = fold(*(column.to_numpy(np.int64) for column in columns))
        self._sink.write_live(records)
        accumulator.append(region_shares(records, self._window_ms).tobytes())


class FoldLate(_Fold):
    """Late heartbeats of one bucket into live state; returns how many records were newer."""

    def accumulate(self, accumulator: list[int], *columns: pd.Series) -> None:
        """Fold what came late in one window of arrival."""
        records = fold(*(column.to_numpy(np.int64) for column in columns), singly=True)
        accumulator.append(self._sink.write_live(records))


class FoldRegions(_Fold):
    """The shares of all buckets of one window into the regions' state; returns how many were newer."""

    def accumulate(self, accumulator: list[int], shares: pd.Series) -> None:
        """Sum one window whole; Flink calls it once a window."""
        rows = np.frombuffer(b"".join(shares), REGION_SHARE)
        accumulator.append(self._sink.write_regions(sum_shares(rows)))


fold_live = udaf(FoldLive(), result_type=DataTypes.BYTES(), func_type="pandas")
fold_late = udaf(FoldLate(), result_type=DataTypes.BIGINT(), func_type="pandas")
fold_regions = udaf(FoldRegions(), result_type=DataTypes.BIGINT(), func_type="pandas")
