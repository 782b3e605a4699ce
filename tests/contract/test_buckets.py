"""Flink sends a key where its hash says; labels of buckets are chosen so that each subtask gets as many."""

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
