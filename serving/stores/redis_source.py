"""Live state out of Redis, a trip for all who wait; and what processes share: limits, revoked tokens."""

import asyncio
import contextlib
import pathlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import hiredis
import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from infra.contracts.live_state import (
    REGIONS_KEY,
    LiveState,
    RegionUse,
    decode_live_state,
    decode_load,
    decode_region,
    live_key,
    load_key,
    region_key,
)
from infra.contracts.utility import Utility
from serving.access.identity import OwnedUser
from serving.access.limits import MINUTE_US, Grant, SharedAway
from serving.access.revocation import NEWS_MAX, REVOKED_MAX, RevocationsAway, Revoked, RevokedNews
from serving.access.tokens import LIFETIME_S_MAX
from serving.figures.load import Course
from serving.stores.sources import Guard, StoreAway
from serving.together import APART_S, Together

CONNECTIONS_MAX = 32
REVOKED_KEY = "revoked"
REVOKE = (pathlib.Path(__file__).parent / "revoke.lua").read_text()
USERS_A_TRIP_MAX = 64
TRIPS_UNDER_WAY_MAX = 2
RATE_LIMIT = (pathlib.Path(__file__).parent / "rate_limit.lua").read_text()


class RedisSource:
    """Reads live state. Holds at most CONNECTIONS_MAX connections; a question waits for one in its time."""

    def __init__(self, url: str, timeout_ms: int, now: Callable[[], int]) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=timeout_ms / 1000,
            socket_connect_timeout=timeout_ms / 1000,
        )
        # Whatever the URL says: answers are read as this protocol has them, and the guards limit each
        # question's time, while the client would set a timer at each answer as well.
        pool.connection_kwargs.update(protocol=2, socket_timeout=None)
        self._client: Any = redis.asyncio.Redis(connection_pool=pool)
        self._pool = pool
        self._together = Together(self.live_state_of_each, USERS_A_TRIP_MAX, TRIPS_UNDER_WAY_MAX, APART_S)
        self._rate_limit = self._client.register_script(RATE_LIMIT)
        self._revoke = self._client.register_script(REVOKE)
        self._guard = Guard("Redis", timeout_ms, now, (RedisError,))
        # Of its own: a server that lets us read and not count must not look away to those who read.
        self._limit_guard = Guard("Redis (rate limits)", timeout_ms, now, (RedisError,))

    def live_state(self, user: OwnedUser) -> Awaitable[LiveState | None]:
        """See `LiveSource.live_state`; state that breaks its contract is no better than a store away."""
        return self._together.ask(user)

    async def live_state_of_each(self, users: Sequence[OwnedUser]) -> list[LiveState | Exception | None]:
        """See `LiveSource.live_state_of_each`; state that breaks its contract is as good as a store away."""
        user_ids = [user.user_id for user in users]
        found = await self._guard.ask(lambda: self._fields(user_ids))
        return [_state(user_id, fields) for user_id, fields in zip(user_ids, found, strict=True)]

    async def _fields(self, user_ids: Sequence[int]) -> list[list[bytes] | ResponseError]:
        """Return the names and values of each user's hash, one after the other, or the server's error.

        The client's own pipeline takes twice as long to write the commands and to read their answers.
        """
        # Its types say that a command has one word.
        commands = [hiredis.pack_command(("HGETALL", live_key(user_id))) for user_id in user_ids]  # type: ignore[arg-type]
        connection = await self._pool.get_connection()
        try:
            await connection.send_packed_command(b"".join(commands))
            return [await _answer(connection) for _ in user_ids]
        finally:
            await self._pool.release(connection)

    async def regions(self) -> Mapping[str, Mapping[Utility, RegionUse]]:
        """See `LiveSource.regions`."""
        return await self._guard.ask(self._regions)

    async def take(self, subject: str, wanted: int, per_minute: int) -> Grant:
        """See `limits.SharedBuckets.take`."""
        arguments = (wanted, per_minute, MINUTE_US // per_minute)
        try:
            taken, wait_us = await self._limit_guard.ask(
                lambda: self._rate_limit(keys=[f"rate:{subject}"], args=arguments)
            )
        except StoreAway as error:
            raise SharedAway from error
        return Grant(taken, wait_us)

    async def revoke(self, revoked: Sequence[Revoked]) -> None:
        """See `revocation.SharedRevocations.revoke`."""
        entries: list[str] = [f"{one.expires_at}:{one.token_id}" for one in revoked]
        arguments: list[int | str] = [LIFETIME_S_MAX * 1_000_000, REVOKED_MAX, *entries]
        try:
            await self._limit_guard.ask(lambda: self._revoke(keys=[REVOKED_KEY], args=arguments))
        except StoreAway as error:
            raise RevocationsAway from error

    async def revoked_since(self, place: int) -> RevokedNews:
        """See `revocation.SharedRevocations.revoked_since`; a list of another form is none."""
        try:
            found, held = await self._limit_guard.ask(lambda: self._revoked_since(place))
            entries = [(entry.decode().partition(":"), int(score)) for entry, score in found]
            revoked = [Revoked(token_id, int(expires_at)) for (expires_at, _, token_id), _ in entries]
        except (StoreAway, ValueError) as error:
            raise RevocationsAway from error
        return RevokedNews(revoked, entries[-1][1] if entries else place, held)

    async def loads(self) -> Mapping[str, Course]:
        """See `LiveSource.loads`; courses that break their contract are no better than a store away."""
        found = await self._guard.ask(self._loads)
        try:
            # The courses of a whole country take a while to decode.
            return await asyncio.to_thread(
                lambda: {code: decode_load(packed) for code, packed in found.items()}
            )
        except ValueError as error:
            raise StoreAway("load is malformed") from error

    async def ping(self) -> None:
        """See `LiveSource.ping`."""
        await self._guard.ask(self._client.ping)

    async def close(self) -> None:
        """See `LiveSource.close`."""
        with contextlib.suppress(RedisError, OSError):
            await self._client.aclose()
            await self._pool.disconnect()

    async def _loads(self) -> dict[str, bytes]:
        codes = sorted(code.decode() for code in await self._client.smembers(REGIONS_KEY))
        found = await self._client.mget([load_key(code) for code in codes]) if codes else []
        return {code: packed for code, packed in zip(codes, found, strict=True) if packed}

    async def _revoked_since(self, place: int) -> list[Any]:
        pipeline = self._client.pipeline(transaction=True)
        pipeline.zrangebyscore(REVOKED_KEY, f"({place}", "+inf", 0, NEWS_MAX, withscores=True)
        pipeline.zcard(REVOKED_KEY)
        return cast("list[Any]", await pipeline.execute())

    async def _regions(self) -> dict[str, Mapping[Utility, RegionUse]]:
        codes = sorted(code.decode() for code in await self._client.smembers(REGIONS_KEY))
        pipeline = self._client.pipeline(transaction=False)
        for code in codes:
            pipeline.hgetall(region_key(code))
        return {
            code: decode_region(fields) for code, fields in zip(codes, await pipeline.execute(), strict=True)
        }


async def _answer(connection: Any) -> list[bytes] | ResponseError:
    try:
        answer: list[bytes] = await connection.read_response()
    except ResponseError as error:
        return error
    return answer


def _state(user_id: int, fields: Sequence[bytes] | Exception) -> LiveState | StoreAway | None:
    """Return the live state that a user's hash holds, or what to tell of one that cannot be read."""
    if isinstance(fields, Exception):
        return _because(fields, StoreAway(f"live state cannot be read (user {user_id})"))
    try:
        return decode_live_state(dict(zip(fields[::2], fields[1::2], strict=True))) if fields else None
    except (KeyError, IndexError, ValueError) as error:
        return _because(error, StoreAway(f"live state is malformed (user {user_id})"))


def _because(cause: Exception, away: StoreAway) -> StoreAway:
    away.__cause__ = cause
    return away
