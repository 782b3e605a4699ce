"""Late heartbeats on their way: held until they are due, then let go in the order they are due."""

from typing import Any

import numpy as np
import numpy.typing as npt

from infra.contracts.heartbeat import DTYPE
from simulator.hashes import Ints

LATE_DTYPE = np.dtype([("due_ms", "<i8"), ("key", "S8"), ("value", DTYPE)])
# Held without field names: numpy joins such rows ten times faster.
_PLAIN = np.dtype((np.void, LATE_DTYPE.itemsize))
_BUCKET_MS = 10_000


class LateHeartbeats:
    """A queue by due time. Bucketed, so that letting some go never touches those due much later."""

    def __init__(self) -> None:
        self._buckets: dict[int, list[npt.NDArray[Any]]] = {}

    def hold(self, due_ms: Ints, keys: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
        """Keep heartbeats until their due time."""
        rows = np.empty(len(due_ms), LATE_DTYPE)
        rows["due_ms"], rows["key"], rows["value"] = due_ms, keys, values
        order = np.argsort(due_ms, kind="stable")
        bucket = due_ms[order] // _BUCKET_MS
        plain = rows.view(_PLAIN)[order]
        starts = np.flatnonzero(np.diff(bucket, prepend=-1)).tolist()
        for start, stop in zip(starts, [*starts[1:], len(plain)], strict=False):
            self._buckets.setdefault(int(bucket[start]), []).append(plain[start:stop])

    def release(self, until_ms: int | None) -> npt.NDArray[Any]:
        """Return and forget what is due before `until_ms` (None: all), in the order of due times."""
        ripe = []
        for bucket in sorted(self._buckets):
            if until_ms is not None and bucket * _BUCKET_MS >= until_ms:
                break
            plain = np.concatenate(self._buckets.pop(bucket))
            due = plain.view(LATE_DTYPE)["due_ms"]
            order = np.argsort(due, kind="stable")
            split = len(order) if until_ms is None else int((due < until_ms).sum())
            if split < len(order):
                self._buckets[bucket] = [plain[order[split:]]]
            ripe.append(plain[order[:split]])
        rows: npt.NDArray[Any] = np.concatenate([np.empty(0, _PLAIN), *ripe]).view(LATE_DTYPE)
        return rows
