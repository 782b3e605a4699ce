"""Ledger against Redis, every user and utility: the newest heartbeat's instant, register and rate."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import redis

from infra.contracts.live_state import NOW_DTYPE, NOW_FIELD, live_key
from infra.contracts.utility import UTILITIES

USERS_A_PIPELINE = 5_000
FIGURES = ("sent_at", "register", "rate")
_SLOTS_BYTES = NOW_DTYPE.itemsize * len(UTILITIES)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How many meters were compared, how many differ in any figure, and the first that does."""

    meters: int = 0
    differences: int = 0
    example: str | None = None

    def __add__(self, other: "Comparison") -> "Comparison":
        return Comparison(
            self.meters + other.meters, self.differences + other.differences, self.example or other.example
        )


def compare_all(newest: pathlib.Path, redis_url: str) -> Comparison:
    """Compare every user of the ledger's table of newest heartbeats with Redis, some thousands at a time."""
    found = Comparison()
    with redis.Redis.from_url(redis_url) as client:
        for rows in pq.ParquetFile(newest).iter_batches(batch_size=USERS_A_PIPELINE):
            with client.pipeline(transaction=False) as pipeline:
                for user_id in rows.column("user_id").to_pylist():
                    pipeline.hget(live_key(user_id), NOW_FIELD)
                found += compare(rows, pipeline.execute())
    return found


def compare(rows: pa.RecordBatch, slots: Sequence[bytes | None]) -> Comparison:
    """Compare the ledger's rows with the packed slots that Redis has of the same users, in their order.

    A meter that only one side knows differs; so does every meter of a user whose slots have another size.
    """
    live = _unpacked(slots)
    different = np.zeros((rows.num_rows, len(UTILITIES)), bool)
    expected: dict[str, npt.NDArray[Any]] = {}
    for utility in UTILITIES:
        for name in FIGURES:
            column = rows.column(f"{utility}_{name}").fill_null(0).to_numpy(zero_copy_only=False)
            expected[f"{utility}_{name}"] = column
            different[:, utility.code] |= column != live[:, utility.code][name].astype(np.int64)
    differences = int(different.sum())
    return Comparison(different.size, differences, _example(rows, live, different, expected))


def _unpacked(slots: Sequence[bytes | None]) -> npt.NDArray[Any]:
    """Return [user, utility] of NOW_DTYPE; what is missing or of another size can equal nothing."""
    unlike_any = b"\xff" * _SLOTS_BYTES
    whole = (packed if packed and len(packed) == _SLOTS_BYTES else unlike_any for packed in slots)
    return np.frombuffer(b"".join(whole), NOW_DTYPE).reshape(len(slots), len(UTILITIES))


def _example(
    rows: pa.RecordBatch,
    live: npt.NDArray[Any],
    different: npt.NDArray[np.bool_],
    expected: dict[str, npt.NDArray[Any]],
) -> str | None:
    places = np.argwhere(different)
    if not len(places):
        return None
    user, code = places[0].tolist()
    utility = UTILITIES[code]
    ledger = [int(expected[f"{utility}_{name}"][user]) for name in FIGURES]
    answer = [int(live[user, code][name]) for name in FIGURES]
    return f"user {rows.column('user_id')[user].as_py()}, {utility}: {FIGURES} are {answer}, not {ledger}"
