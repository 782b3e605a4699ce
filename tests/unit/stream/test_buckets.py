"""Labels that load every subtask alike, whatever the hash does."""

import pytest

from stream.buckets import even_labels

# Where Flink sends the keys 0 to 31 with a parallelism of 2; the hash is Flink's, not to be had here.
TWO = "11110010010000101101100001110011"


@pytest.mark.parametrize("buckets", [2, 4, 8])
def test_even_labels_fall_evenly(buckets):
    def subtask_of(key: int) -> int:
        return int(TWO[key % 32])

    step, offset = even_labels(buckets, subtask_of)

    used = [subtask_of(step * bucket + offset) for bucket in range(buckets)]
    assert sum(used) == buckets // 2
