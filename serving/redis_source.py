"""Live state out of Redis: one round trip a user."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, cast

import redis.asyncio
from redis.exceptions import RedisError

from infra.contracts.live_state import (
    REGIONS_KEY,
    LiveState,
    RegionUse,
    decode_live_state,
    decode_region,
    live_key,
    region_key,
)
from infra.contracts.utility import Utility
from serving.sources import Guard, StoreAway

CONNECTIONS_MAX = 32


class RedisSource:
    """Reads live state. Holds at most CONNECTIONS_MAX connections; a question waits for one in its time."""

    def __init__(self, url: str, timeout_ms: int, now: Callable[[], int]) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=timeout_ms / 1000,
            socket_timeout=timeout_ms / 1000,
            socket_connect_timeout=timeout_ms / 1000,
        )
        self._client: Any = redis.asyncio.Redis(connection_pool=pool)
        self._pool = pool
        self._guard = Guard("Redis", timeout_ms, now, (RedisError,))

    async def live_state(self, user_id: int) -> LiveState | None:
        """See `LiveSource.live_state`; state that breaks its contract is no better than a store away."""
        fields = await self._guard.ask(lambda: self._client.hgetall(live_key(user_id)))
        if not fields:
            return None
        try:
            return decode_live_state(cast("Mapping[bytes, bytes]", fields))
        except (KeyError, IndexError, ValueError) as error:
            raise StoreAway(f"live state is malformed (user {user_id})") from error

    async def regions(self) -> Mapping[str, Mapping[Utility, RegionUse]]:
        """See `LiveSource.regions`."""
        return await self._guard.ask(self._regions)

    async def ping(self) -> None:
        """See `LiveSource.ping`."""
        await self._guard.ask(self._client.ping)

    async def close(self) -> None:
        """See `LiveSource.close`."""
        with contextlib.suppress(RedisError, OSError):
            await self._client.aclose()
            await self._pool.disconnect()

    async def _regions(self) -> dict[str, Mapping[Utility, RegionUse]]:
        codes = sorted(code.decode() for code in await self._client.smembers(REGIONS_KEY))
        pipeline = self._client.pipeline(transaction=False)
        for code in codes:
            pipeline.hgetall(region_key(code))
        return {
            code: decode_region(fields) for code, fields in zip(codes, await pipeline.execute(), strict=True)
        }
