"""Questions that come while one is under way share the next one; each gets its own answer, or the failure."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.together import KEYS_ENOUGH, Together, each


class Store:
    """Answers when it is let, and remembers what it was asked together."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.failing = False
        self.let = asyncio.Event()

    async def ask(self, keys):
        self.asked.append(list(keys))
        await self.let.wait()
        if self.failing:
            raise ConnectionError("away")
        return [-key for key in keys]


class TestEach:
    def test_is_made_of_all_that_can_and_errors_stay_with_whom_they_were_found_for(self):
        before = ValueError("found before")

        made = each(lambda number: 6 // number, [1, before, 0, 3])

        assert made[:2] == [6, before]
        assert isinstance(made[2], ZeroDivisionError)
        assert made[3] == 2


class TestTogether:
    def test_one_alone_goes_at_once_and_the_rest_share(self):
        async def run():
            store = Store()
            together = Together(store.ask, keys_max=3, under_way_max=1)
            answers = [together.ask(key) for key in range(6)]
            await asyncio.sleep(0)
            assert store.asked == [[0, 1, 2]]
            store.let.set()
            assert await asyncio.gather(*answers) == [0, -1, -2, -3, -4, -5]
            return store.asked

        assert asyncio.run(run()) == [[0, 1, 2], [3, 4, 5]]

    def test_what_is_found_wrong_of_one_is_no_other_s(self):
        async def run():
            async def ask(keys):
                return [ValueError(key) if key == 1 else key for key in keys]

            together = Together(ask, keys_max=3, under_way_max=1)
            answers = [together.ask(key) for key in range(3)]
            return await asyncio.gather(*answers, return_exceptions=True)

        first, wrong, last = asyncio.run(run())
        assert (first, repr(wrong), last) == (0, "ValueError(1)", 2)

    def test_one_begins_a_moment_after_one_that_was_shared(self):
        async def run():
            store = Store()
            store.let.set()
            together = Together(store.ask, keys_max=9, under_way_max=2, apart_s=1.0)
            loop = asyncio.get_running_loop()
            began = loop.time()
            await together.ask(0)
            await asyncio.gather(together.ask(1), together.ask(2))
            answers = [together.ask(3), together.ask(4)]
            await asyncio.sleep(0)
            await asyncio.gather(*answers, together.ask(5))
            return store.asked, loop.time() - began

        asked, took_s = asyncio.run(run())
        assert asked == [[0], [1, 2], [3, 4, 5]]
        assert took_s >= 1.0

    def test_enough_wait_for_nobody_else(self):
        async def run():
            store = Store()
            store.let.set()
            together = Together(store.ask, keys_max=99, under_way_max=2, apart_s=3_600.0)
            await asyncio.gather(together.ask(1), together.ask(2))
            first = [together.ask(key) for key in range(KEYS_ENOUGH - 1)]
            await asyncio.sleep(0.01)
            assert len(store.asked) == 1
            async with asyncio.timeout(60):
                await asyncio.gather(*first, together.ask(-1))
            return store.asked[1]

        assert asyncio.run(run()) == [*range(KEYS_ENOUGH - 1), -1]

    def test_who_gives_up_is_not_asked_for(self):
        async def run():
            store = Store()
            together = Together(store.ask, keys_max=1, under_way_max=1)
            answers = [together.ask(key) for key in range(3)]
            await asyncio.sleep(0)
            answers[1].cancel()
            store.let.set()
            await asyncio.wait(answers)
            return store.asked, answers[2].result()

        assert asyncio.run(run()) == ([[0], [2]], -2)

    def test_those_who_wait_for_a_store_that_fails_fail_with_it_and_later_ones_ask_anew(self):
        async def run():
            store = Store()
            store.failing = True
            together = Together(store.ask, keys_max=1, under_way_max=1)
            answers = [together.ask(key) for key in range(3)]
            await asyncio.sleep(0)
            store.let.set()
            for answer in answers:
                with pytest.raises(ConnectionError):
                    await answer
            store.failing = False
            assert await together.ask(7) == -7
            return store.asked

        assert asyncio.run(run()) == [[0], [7]]

    @given(st.lists(st.integers(0, 50)), st.integers(1, 5), st.integers(1, 3))
    def test_everybody_gets_their_own_within_the_limits(self, keys, keys_max, under_way_max):
        under_way = []

        async def ask(asked):
            under_way.append(len(asked))
            assert len(asked) <= keys_max and len(under_way) <= under_way_max
            await asyncio.sleep(0)
            under_way.pop()
            return [key * 2 for key in asked]

        async def run():
            together = Together(ask, keys_max, under_way_max)
            return await asyncio.gather(*(together.ask(key) for key in keys))

        assert asyncio.run(run()) == [key * 2 for key in keys]
