"""Serving processes and the cores they stay on."""

import os

from infra.serving import cores_of


class TestCoresOf:
    def test_gives_each_process_its_own_where_there_are_as_many(self):
        cores = os.sched_getaffinity(0)

        assert set(cores_of(len(cores))) == cores

    def test_binds_nobody_where_there_are_more_or_fewer(self):
        count = len(os.sched_getaffinity(0)) + 1

        assert cores_of(count) == [None] * count
