"""The histogram of how long heartbeats take to become visible."""

import numpy as np

from stream.fold_metrics import BOUNDS_MS, cumulative


def test_counts_each_age_at_or_below_its_bound_and_all_at_the_end():
    counts = cumulative(np.array([-5, 0, 500, 501, 19_999, 400_000], np.int64))

    assert len(counts) == len(BOUNDS_MS) + 1
    assert counts[:2] == [3, 4]
    assert counts[BOUNDS_MS.tolist().index(20_000)] == 5
    assert counts[-2:] == [5, 6]


def test_of_nothing_counts_nothing():
    assert not any(cumulative(np.array([], np.int64)))
