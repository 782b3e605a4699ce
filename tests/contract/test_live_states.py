"""Pipe Redis, several users at a time: each is told of their own hash, whatever is wrong with another's."""

import asyncio

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
from serving.stores.sources import StoreAway

FIRST, MANY = 10_000_500, 64
NOW = 495_000 * HOUR_MS + 5_000
TIMEOUT_MS = 400


@pytest.fixture(scope="module")
def store(services):
    """A database of Redis of its own with MANY users, each with a register by their id."""
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
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def source(store):
    return RedisSource(_url(store), TIMEOUT_MS, lambda: NOW)


def _url(store):
    at = store.connection_pool.connection_kwargs
    return f"redis://{at['host']}:{at['port']}/{at['db']}"


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

        found = asking(source, lambda: source.live_states(users(*asked)))

        assert [register(state) for state in found] == asked

    def test_of_one_that_cannot_be_read_or_is_not_there_are_no_others(self, source, store):
        wrong, malformed = FIRST + MANY, FIRST + MANY + 1
        store.rpush(live_key(wrong), "no hash")
        store.hset(live_key(malformed), NOW_FIELD, b"short")

        async def twice():
            asked = users(FIRST, wrong, FIRST + 1, malformed, FIRST + MANY + 2, FIRST + 2)
            return [await source.live_states(asked) for _ in range(2)]

        for first, unreadable, second, broken, none, third in asking(source, twice):
            assert [register(state) for state in (first, second, third)] == [FIRST, FIRST + 1, FIRST + 2]
            assert str(unreadable) == f"live state cannot be read (user {wrong})"
            assert str(broken) == f"live state is malformed (user {malformed})"
            assert none is None

    def test_are_asked_anew_after_a_server_that_was_silent(self, source, store):
        async def through_silence():
            before = await source.live_states(users(FIRST))
            store.client_pause(3 * TIMEOUT_MS, all=True)
            with pytest.raises(StoreAway):
                await source.live_states(users(FIRST + 1, FIRST + 2))
            await asyncio.sleep(3 * TIMEOUT_MS / 1_000)
            return before, await source.live_states(users(FIRST + 3, FIRST + 4))

        before, after = asking(source, through_silence)

        # What was given up comes late, and is nobody's answer.
        assert [register(state) for state in (*before, *after)] == [FIRST, FIRST + 3, FIRST + 4]
