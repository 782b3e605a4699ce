"""Households that are answered together: each is told what it would be alone, whatever befalls another."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import orjson
import pytest
from serving_builders import ELECTRICITY, USER_ID, InMemoryLive, InMemoryTruth, Meter, a_household, instant

from infra.contracts.durations import DAY_MS
from infra.contracts.live_state import LiveState
from serving.access.identity import OwnedUser, owned_by_this_machine
from serving.api.households import answer
from serving.figures.household import UserNotFound
from serving.lookups.lookup import HouseholdAnswer, Lookup
from serving.stores.sources import StoreAway

START = instant("2026-06-01T00:00")
NOW = instant("2026-06-04T20:30:05")
METER = Meter(START, [100] * 24 * 5)
NIGHTS = METER.truth(START + DAY_MS, START + 2 * DAY_MS)
BROKEN, UNREADABLE, STRANGER, FAR = USER_ID + 1, USER_ID + 2, USER_ID + 3, USER_ID + 4
USERS = [owned_by_this_machine(user) for user in (USER_ID, BROKEN, UNREADABLE, STRANGER, FAR, USER_ID)]


class Live(InMemoryLive):
    """Live state, of which one user's is a fault of ours and one user's cannot be read."""

    async def live_state_of_each(self, users: Sequence[OwnedUser]) -> list[LiveState | Exception | None]:  # type: ignore[override]
        return [await self._one(user) for user in users]

    async def _one(self, user: OwnedUser) -> LiveState | Exception | None:
        if user.user_id == BROKEN:
            return RuntimeError("a fault of ours")
        return StoreAway("malformed") if user.user_id == UNREADABLE else await self.live_state(user)


@pytest.fixture
def live() -> Live:
    state = METER.live(NOW - 5_000)
    return Live(dict.fromkeys((USER_ID, UNREADABLE, FAR), state))


@pytest.fixture
def truth() -> InMemoryTruth:
    known = {user: a_household() for user in (USER_ID, BROKEN, UNREADABLE)}
    known[FAR] = a_household()._replace(zone="Asia/Kolkata")
    return InMemoryTruth(known, dict.fromkeys(known, NIGHTS))


@pytest.fixture
def told(live: Live, truth: InMemoryTruth) -> Callable[[], list[HouseholdAnswer | Exception]]:
    """Return what users are told together; it is what each is told alone."""

    async def both() -> list[HouseholdAnswer | Exception]:
        lookup = Lookup(live, truth, lambda: NOW)
        together = await lookup.households(USERS)
        alone = [await _or_error(lookup.household(user)) for user in USERS]
        assert list(map(repr, together)) == list(map(repr, alone))
        return together

    return lambda: asyncio.run(both())


async def _or_error(answer: Awaitable[HouseholdAnswer]) -> HouseholdAnswer | Exception:
    try:
        return await answer
    except Exception as error:
        return error


def sources(answer: HouseholdAnswer | Exception) -> tuple[str, str]:
    assert isinstance(answer, HouseholdAnswer)
    return answer.redis, answer.mysql


Told = Callable[[], list[HouseholdAnswer | Exception]]


class TestHouseholds:
    def test_are_each_told_their_own(self, told: Told) -> None:
        first, broken, unreadable, stranger, far, again = told()

        assert sources(first) == sources(far) == ("ok", "ok")
        assert sources(unreadable) == ("away", "ok")
        assert repr(broken) == "RuntimeError('a fault of ours')"
        assert isinstance(stranger, UserNotFound)
        assert again == first
        assert isinstance(first, HouseholdAnswer) and isinstance(far, HouseholdAnswer)
        assert (first.view.user_id, far.view.user_id) == (USER_ID, FAR)
        assert first.view.utilities[ELECTRICITY] != far.view.utilities[ELECTRICITY]

    def test_are_answered_by_one_store_while_the_other_is_away(
        self, told: Told, truth: InMemoryTruth
    ) -> None:
        truth.away = True

        first, broken, unreadable, stranger, far, _ = told()

        assert sources(first) == sources(far) == ("ok", "away")
        assert isinstance(broken, RuntimeError)
        assert isinstance(unreadable, StoreAway) and isinstance(stranger, StoreAway)

    def test_have_a_fault_in_one_view_to_themselves(self, told: Told, truth: InMemoryTruth) -> None:
        truth.truths = {**truth.truths, FAR: None}  # type: ignore[dict-item]

        first, *_, far, again = told()

        assert sources(first) == sources(again) == ("ok", "ok")
        assert isinstance(far, AttributeError)

    def test_all_hear_of_a_store_that_breaks(self, live: Live, truth: InMemoryTruth) -> None:
        async def broken(_: object) -> None:
            raise RuntimeError("a fault of ours")

        live.live_state_of_each = broken  # type: ignore[assignment, method-assign]

        async def asked() -> list[bytes | BaseException]:
            answers = map(answer(Lookup(live, truth, lambda: NOW), lambda _: None), USERS)
            return await asyncio.gather(*answers, return_exceptions=True)

        assert {repr(found) for found in asyncio.run(asked())} == {"RuntimeError('a fault of ours')"}


class TestAnswers:
    def test_are_each_users_own_whoever_hangs_up_or_fails(self, live: Live, truth: InMemoryTruth) -> None:
        def answered(found: HouseholdAnswer) -> None:
            if found.view.user_id == UNREADABLE:
                raise RuntimeError("a fault in what is made of it")

        async def asked() -> list[bytes | BaseException]:
            of_user = answer(Lookup(live, truth, lambda: NOW), answered)
            answers = [asyncio.ensure_future(of_user(user)) for user in USERS]
            await asyncio.sleep(0)
            answers[-1].cancel()
            return await asyncio.gather(*answers, return_exceptions=True)

        first, broken, unreadable, stranger, far, gone = asyncio.run(asked())

        assert isinstance(first, bytes) and isinstance(far, bytes)
        assert [orjson.loads(one)["user_id"] for one in (first, far)] == [USER_ID, FAR]
        assert repr(broken) == "RuntimeError('a fault of ours')"
        assert repr(unreadable) == "RuntimeError('a fault in what is made of it')"
        assert isinstance(stranger, UserNotFound)
        assert isinstance(gone, asyncio.CancelledError)
