"""An answer that goes on for a while and holds a place meanwhile."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class HeldStream(StreamingResponse):
    """A stream that gives up what it holds however it ends."""

    def __init__(
        self, held: AsyncExitStack, parts: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(parts, headers=headers, media_type=media_type)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the parts until they end or the client is gone."""
        async with self._held:
            await super().__call__(scope, receive, send)
