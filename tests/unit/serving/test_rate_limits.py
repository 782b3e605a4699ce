"""Rate limits: how many a bucket gives, what is asked of the shared one, and how much memory it takes."""

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.access import limits
from serving.access.identity import Identity, Role
from serving.access.limits import Buckets, Grant, SharedAway, network_of
from serving.access.refusal import Refusal

START = 1_780_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ms = START

    def __call__(self) -> int:
        return self.now_ms


class Shared:
    """Buckets in memory as Redis would keep them; away when told so."""

    def __init__(self, clock: Clock, per_minute: int) -> None:
        self.buckets, self.away, self.asked = Buckets(per_minute, clock), False, 0

    async def take(self, subject: str, wanted: int, per_minute: int) -> Grant:
        self.asked += 1
        if self.away:
            raise SharedAway
        return self.buckets.take(subject, wanted)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limited(clock: Clock, per_minute: int = 600) -> tuple[limits.Limit, Shared]:
    shared = Shared(clock, per_minute)
    return limits.Limit("requests", per_minute, shared, clock), shared


def spent(limit: limits.Limit, subject: str, times: int) -> tuple[int, Refusal | None]:
    """Return how many of so many requests were let through, and the last refusal."""

    async def spend() -> tuple[int, Refusal | None]:
        let_through, refusal = 0, None
        for _ in range(times):
            try:
                await limit.spend(subject)
                let_through += 1
            except Refusal as refused:
                refusal = refused
        return let_through, refusal

    return asyncio.run(spend())


class TestABucket:
    @given(
        per_minute=st.integers(1, 10_000),
        asked=st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 50)), max_size=60),
    )
    def test_never_gives_more_than_it_holds_and_gains(self, per_minute: int, asked: Any) -> None:
        clock = Clock()
        bucket, given_out = Buckets(per_minute, clock), []
        for later_ms, wanted in asked:
            clock.now_ms += later_ms
            grant = bucket.take("user:1", wanted)
            assert 0 <= grant.taken <= wanted
            assert (grant.wait_us > 0) == (grant.taken == 0)
            given_out.append((clock.now_ms, grant.taken))
            interval_us = limits.MINUTE_US // per_minute
            for since, _ in given_out:
                total = sum(taken for at, taken in given_out if at >= since)
                assert total <= per_minute + (clock.now_ms - since) * 1_000 / interval_us + 1

    @given(st.integers(1, 10_000))
    def test_gives_one_after_the_wait_it_told(self, per_minute: int) -> None:
        clock = Clock()
        bucket = Buckets(per_minute, clock)
        assert bucket.take("user:1", per_minute).taken == per_minute

        refused = bucket.take("user:1")
        clock.now_ms += -(-refused.wait_us // 1_000)

        assert refused.taken == 0
        assert bucket.take("user:1").taken == 1

    def test_locks_nobody_out_when_the_clock_is_set_back(self, clock: Clock) -> None:
        bucket = Buckets(60, clock)
        bucket.take("user:1", 60)

        clock.now_ms -= 86_400_000

        assert bucket.take("user:1").wait_us <= limits.MINUTE_US // 60

    def test_is_one_of_at_most_so_many(self, clock: Clock) -> None:
        buckets = Buckets(60, clock)
        for subject in range(limits.SUBJECTS_MAX + 1_000):
            buckets.take(str(subject))

        assert len(buckets) == limits.SUBJECTS_MAX


class TestALimit:
    def test_asks_nobody_within_the_local_share(self, clock: Clock) -> None:
        limit, shared = limited(clock)

        assert spent(limit, "user:1", 60) == (60, None)
        assert shared.asked == 0

    def test_lets_through_the_shared_bucket_and_the_local_share(self, clock: Clock) -> None:
        limit, shared = limited(clock)

        let_through, refusal = spent(limit, "user:1", 2_000)

        assert let_through == 600 + 60
        assert shared.asked == 600 // 60 + 1
        assert refusal is not None
        assert (refusal.status, refusal.kind) == (429, "too-many-requests")
        assert int(refusal.headers["Retry-After"]) >= 1

    def test_locks_nobody_out_when_the_clock_is_set_back(self, clock: Clock) -> None:
        limit, _ = limited(clock, per_minute=60)
        spent(limit, "user:1", 200)

        clock.now_ms -= 3_600_000
        _, refusal = spent(limit, "user:1", 1)
        clock.now_ms += 1_000

        assert refusal is None or refusal.headers["Retry-After"] == "1"
        assert spent(limit, "user:1", 1) == (1, None)

    def test_is_that_of_all_processes_together(self, clock: Clock) -> None:
        shared = Shared(clock, 600)
        processes = [limits.Limit("requests", 600, shared, clock) for _ in range(4)]

        assert sum(spent(limit, "user:1", 1_000)[0] for limit in processes) == 600 + 4 * 60

    def test_of_one_is_not_that_of_another(self, clock: Clock) -> None:
        limit, _ = limited(clock)
        spent(limit, "user:1", 2_000)

        assert spent(limit, "user:2", 100) == (100, None)

    def test_lets_through_again_when_it_said(self, clock: Clock) -> None:
        limit, _ = limited(clock)
        _, refusal = spent(limit, "user:1", 2_000)
        assert refusal is not None

        clock.now_ms += 1_000 * int(refusal.headers["Retry-After"])

        assert spent(limit, "user:1", 1) == (1, None)

    def test_while_the_shared_bucket_is_away_is_held_in_the_process(self, clock: Clock) -> None:
        limit, shared = limited(clock)
        shared.away = True

        assert spent(limit, "user:1", 2_000)[0] == 600 + 60

    def test_takes_bounded_memory_however_many_ask(self, clock: Clock) -> None:
        limit, _ = limited(clock, per_minute=1)
        for subject in range(limits.SUBJECTS_MAX + 1_000):
            spent_by(limit, str(subject))

        assert limit.size <= 4 * limits.SUBJECTS_MAX


def spent_by(limit: limits.Limit, subject: str) -> None:
    """Make three requests without a loop of their own: nothing in them waits."""
    for _ in range(3):
        with contextlib.suppress(StopIteration, Refusal):
            limit.spend(subject).send(None)


class TestWhoIsCounted:
    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("fe80::1%eth0", "fe80::/64"),
            ("", "unknown"),
            ("x\nrate:y", "unknown"),
        ],
    )
    def test_is_a_client_and_not_each_of_its_addresses(self, address: str, network: str) -> None:
        assert network_of(address) == network

    def test_is_one_by_all_its_tokens(self, clock: Clock) -> None:
        shared = Shared(clock, 10)
        held = limits.limits(shared, 10, 10, clock)

        async def asked(subject: str, token_id: str) -> bool:
            try:
                await held.asked(Identity(subject, Role.ANALYST, None, token_id, START))
            except Refusal:
                return False
            return True

        async def all_asked() -> tuple[list[bool], bool]:
            ada = [await asked("analyst:ada", f"token {one}") for one in range(12)]
            return ada, await asked("analyst:grace", "token 0")

        assert asyncio.run(all_asked()) == ([True] * 11 + [False], True)
