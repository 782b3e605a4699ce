"""Pipe Redis, several users at a time: each is told of their own hash, whatever is wrong with another's."""

import asyncio
import contextlib
import time

import numpy as np
import pytest
import redis

from infra.contracts.durations import HOUR_MS
from infra.contracts.live_state import (
    MARKS_FIELD,
    MARKS_HEAD_DTYPE,
    NOW_DTYPE,
    NOW_FIELD,
    REGION_FIELD,
    live_key,
)
from infra.contracts.utility import Utility
from serving.access.identity import owned_by_this_machine
from serving.stores.redis_source import RedisSource
from serving.stores.sources import RESPITE_MS, StoreAway

FIRST, MANY = 10_000_500, 64
NOW = 495_000 * HOUR_MS + 5_000
TIMEOUT_MS = 400


@pytest.fixture(scope="module")
def store(services):
    """The URL of a database of its own with MANY users, each with a register by their id."""
    url = services.settings.redis_url.rpartition("/")[0] + "/8"
    client = redis.Redis.from_url(url)
    client.flushdb()
    for user in range(FIRST, FIRST + MANY):
        now, heads = np.zeros(3, NOW_DTYPE), np.zeros(3, MARKS_HEAD_DTYPE)
        now[0] = (NOW, user, 700, 1)
        client.hset(
            live_key(user),
            mapping={NOW_FIELD: now.tobytes(), MARKS_FIELD: heads.tobytes(), REGION_FIELD: b"US-CA"},
        )
    yield url
    client.flushdb()
    client.close()


@pytest.fixture
def source(store):
    return RedisSource(store, TIMEOUT_MS, lambda: time.time_ns() // 1_000_000)


def users(*numbers):
    return [owned_by_this_machine(number) for number in numbers]


def register(state):
    return state.meters[Utility.ELECTRICITY].register


def asking(source, ask):
    async def asked():
        try:
            return await ask()
        finally:
            await source.close()

    return asyncio.run(asked())


class TestLiveStates:
    def test_are_each_users_own(self, source):
        asked = [FIRST + number * 7 % MANY for number in range(MANY)]

        found = asking(source, lambda: source.live_state_of_each(users(*asked)))

        assert [register(state) for state in found] == asked

    def test_of_one_that_cannot_be_read_or_is_not_there_are_no_others(self, source, store):
        wrong, malformed = FIRST + MANY, FIRST + MANY + 1
        with redis.Redis.from_url(store) as client:
            client.rpush(live_key(wrong), "no hash")
            client.hset(live_key(malformed), NOW_FIELD, b"short")

        async def twice():
            asked = users(FIRST, wrong, FIRST + 1, malformed, FIRST + MANY + 2, FIRST + 2)
            return [await source.live_state_of_each(asked) for _ in range(2)]

        for first, unreadable, second, broken, none, third in asking(source, twice):
            assert [register(state) for state in (first, second, third)] == [FIRST, FIRST + 1, FIRST + 2]
            assert str(unreadable) == f"live state cannot be read (user {wrong})"
            assert str(broken) == f"live state is malformed (user {malformed})"
            assert none is None

    @pytest.mark.parametrize("gives_up", ["the guard", "who asks"])
    def test_are_nobody_else_s_after_a_question_that_was_given_up(self, source, store, gives_up):
        pause_ms = 2 * TIMEOUT_MS

        async def through_silence():
            before = await source.live_state_of_each(users(FIRST))
            with redis.Redis.from_url(store) as client:
                client.client_pause(pause_ms, all=True)
            given_up = asyncio.ensure_future(source.live_state_of_each(users(FIRST + 1, FIRST + 2)))
            if gives_up == "who asks":
                await asyncio.sleep(TIMEOUT_MS / 4_000)
                given_up.cancel()
            with pytest.raises(asyncio.CancelledError if gives_up == "who asks" else StoreAway):
                await given_up
            # The server is silent still: what it says then is the late answer first.
            await asyncio.sleep(RESPITE_MS / 500)
            found = []
            while not found:
                with contextlib.suppress(StoreAway):
                    found = await source.live_state_of_each(users(FIRST + 3, FIRST + 4))
            return before, found

        before, after = asking(source, through_silence)

        assert [register(state) for state in (*before, *after)] == [FIRST, FIRST + 3, FIRST + 4]

    def test_are_asked_for_by_a_new_connection_where_the_server_closed_it(self, source, store):
        async def through_a_cut():
            before = await source.live_state_of_each(users(FIRST))
            with redis.Redis.from_url(store) as client:
                client.client_kill_filter(_type="normal", skipme=True)
            await asyncio.sleep(0.05)
            return before, await source.live_state_of_each(users(FIRST + 1, FIRST + 2))

        before, after = asking(source, through_a_cut)

        assert [register(state) for state in (*before, *after)] == [FIRST, FIRST + 1, FIRST + 2]
