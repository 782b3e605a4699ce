"""Serving processes and the cores they stay on."""

import pytest

from infra.serving import own_core

CORES = {4, 0, 2}


class TestOwnCore:
    def test_is_another_for_each_process_where_there_are_as_many(self):
        assert [own_core(number, 3, CORES) for number in (1, 2, 3)] == [0, 2, 4]

    @pytest.mark.parametrize("processes", [1, 2, 4])
    def test_is_none_where_there_are_more_or_fewer(self, processes):
        assert own_core(1, processes, CORES) is None
