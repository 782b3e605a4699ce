"""Buckets load all subtasks alike, and end their windows one after the other."""

import collections
import os

import pytest

from infra.flink import cluster


@pytest.fixture(scope="module")
def jvm(services):
    os.environ.update(cluster.environment(services.settings))
    from pyflink.java_gateway import get_gateway  # noqa: PLC0415 - reads the variables set above

    return get_gateway().jvm


@pytest.mark.parametrize(("buckets", "parallelism"), [(2, 2), (8, 2), (8, 4), (5, 4), (1, 3)])
def test_buckets_fall_evenly_on_subtasks(jvm, buckets, parallelism):
    assign = jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignKeyToParallelOperator

    labels = list(jvm.meterbeat.Buckets.evenLabels(buckets, parallelism, 128))

    loads = collections.Counter(assign(label, 128, parallelism) for label in labels)
    assert len(set(labels)) == buckets
    assert max(loads.values()) == -(-buckets // parallelism)


def test_buckets_end_their_windows_one_after_the_other(jvm):
    end_of = jvm.meterbeat.Buckets.windowEnd
    instants = [0, 1, 624, 625, 4_999, 5_000, 1_795_000_000_123]

    for instant in instants:
        ends = [end_of(instant, bucket, 8, 5_000) for bucket in range(8)]

        assert all(instant < end <= instant + 5_000 for end in ends)
        assert [end % 5_000 for end in ends] == [625 * bucket for bucket in range(8)]
