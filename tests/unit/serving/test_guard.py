"""A store that is away costs its callers no time after a few failures, and is tried again."""

import asyncio

import pytest

from serving.stores.sources import FAILURES_MAX, RESPITE_MS, RETRY_MS, Guard, StoreAway


class Store:
    """A question that is counted, and fails, hangs or answers."""

    def __init__(self) -> None:
        self.asked, self.error, self.delay_s, self.now_ms = 0, None, 0.0, 1_000_000
        self.guard = Guard("Store", 50, lambda: self.now_ms, ())

    async def answer(self) -> str:
        self.asked += 1
        await asyncio.sleep(self.delay_s)
        if self.error:
            raise self.error
        return "answer"

    def ask(self, times: int = 1) -> list[str]:
        async def one() -> str:
            try:
                return await self.guard.ask(self.answer)
            except StoreAway as away:
                return str(away)

        return [asyncio.run(one()) for _ in range(times)]


class TestGuard:
    def test_passes_answers_on(self) -> None:
        assert Store().ask() == ["answer"]

    def test_leaves_a_store_alone_that_keeps_failing(self) -> None:
        store = Store()
        store.error = OSError("refused")

        assert store.ask(FAILURES_MAX + 5) == ["Store is away"] * (FAILURES_MAX + 5)
        assert store.asked == FAILURES_MAX

    def test_probes_again_after_a_while(self) -> None:
        store = Store()
        store.error = OSError("refused")
        store.ask(FAILURES_MAX)
        store.error = None
        store.now_ms += RETRY_MS

        assert store.ask(2) == ["answer", "answer"]

    def test_probes_though_the_clock_was_set_back(self) -> None:
        store = Store()
        store.error = OSError("refused")
        store.ask(FAILURES_MAX)
        store.error = None
        store.now_ms -= 3_600_000

        assert store.ask() == ["answer"]

    def test_gives_up_on_a_store_that_hangs(self) -> None:
        store = Store()
        store.delay_s = 30

        assert store.ask() == ["Store is away"]

    def test_keeps_nobody_waiting_who_waited_behind_a_question_that_hung(self) -> None:
        store = Store()
        store.delay_s = 30

        async def told() -> tuple[str, str]:
            hung, behind = [await self._or_away(store) for _ in range(2)]
            assert (hung, behind, store.asked) == ("away", "away", 1)
            store.delay_s = 0
            store.now_ms += RESPITE_MS
            return await self._or_away(store), await self._or_away(store)

        assert asyncio.run(told()) == ("answer", "answer")

    @staticmethod
    async def _or_away(store: Store) -> str:
        try:
            return await store.guard.ask(store.answer)
        except StoreAway:
            return "away"

    def test_lets_a_fault_of_ours_through(self) -> None:
        store = Store()
        store.error = ValueError("bug")

        with pytest.raises(ValueError, match="bug"):
            store.ask()
