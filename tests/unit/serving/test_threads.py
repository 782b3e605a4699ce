"""An event loop kept to a core does not keep its threads there."""

import asyncio
import os

import pytest

from serving.threads import Threads, keep_loop_to

CORES = os.sched_getaffinity(0)


@pytest.mark.skipif(len(CORES) < 2, reason="this machine lets the tests use one core")
class TestKeepLoopTo:
    def test_keeps_the_loop_to_its_core_and_no_thread(self):
        async def look():
            others = Threads(1, "others")
            keep_loop_to(min(CORES))
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(others, os.sched_getaffinity, 0)
            return os.sched_getaffinity(0), await asyncio.to_thread(os.sched_getaffinity, 0), await asked

        try:
            of_loop, of_default, of_others = asyncio.run(look())
        finally:
            os.sched_setaffinity(0, CORES)

        assert of_loop == {min(CORES)}
        assert of_default == of_others == CORES
