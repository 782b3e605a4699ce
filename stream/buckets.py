"""Labels for buckets that fall evenly on the job's subtasks.

Flink sends a key to the subtask that its hash chooses. Of a handful of buckets labelled 0, 1, 2, ... all may
land on one subtask while the others idle; so the labels are chosen by asking Flink where they would go.
"""

import collections
from collections.abc import Callable

from pyflink.java_gateway import get_gateway

MAX_PARALLELISM = 128  # Flink's own for jobs of up to 85 subtasks
STEPS, OFFSETS = range(1, 8), range(64)


def even_labels(buckets: int, subtask_of: Callable[[int], int]) -> tuple[int, int]:
    """Return (step, offset) such that the labels step * bucket + offset load the fullest subtask least."""

    def fullest(step: int, offset: int) -> int:
        loads = collections.Counter(subtask_of(step * bucket + offset) for bucket in range(buckets))
        return max(loads.values())

    return min(((step, offset) for step in STEPS for offset in OFFSETS), key=lambda found: fullest(*found))


def flink_subtask(parallelism: int) -> Callable[[int], int]:
    """Return where Flink sends a BIGINT key, as a function of the key."""
    java = get_gateway().jvm
    assign = java.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignKeyToParallelOperator
    known: dict[int, int] = {}

    def subtask_of(key: int) -> int:
        if key not in known:
            row = java.org.apache.flink.table.data.binary.BinaryRowData(1)
            writer = java.org.apache.flink.table.data.writer.BinaryRowWriter(row)
            writer.reset()
            writer.writeLong(0, key)
            writer.complete()
            known[key] = assign(row, MAX_PARALLELISM, parallelism)
        return known[key]

    return subtask_of
