"""Tokens that were taken back before their end: one list for all processes, and a copy of it in each.

A request is held against the copy, so that none costs a round trip; the copy is brought up to date once a
second. While the list cannot be read the copy holds, and what is taken back here meanwhile is written as soon
as it can be. A list that was lost is written anew by whoever has a copy.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple, Protocol

from serving.access.identity import Identity
from serving.access.refusal import unauthenticated

REVOKED_MAX = 65_536
NEWS_MAX = 1_000  # of one answer
REFRESH_S = 1.0
PRUNE_MS = 60_000
LOG = logging.getLogger("serving")


class Revoked(NamedTuple):
    """A token that was taken back: its id, and when it would have ended (seconds since 1970)."""

    token_id: str
    expires_at: int


class RevokedNews(NamedTuple):
    """What was taken back after a place on the list, the place up to which that is, and the list's length."""

    revoked: Sequence[Revoked]
    place: int
    held: int


class RevocationsAway(Exception):  # noqa: N818 - a state of the store, which is answered around
    """The list cannot be asked now."""


class SharedRevocations(Protocol):
    """The list of all processes."""

    async def revoke(self, revoked: Sequence[Revoked]) -> None:
        """Put tokens on the list, which forgets them once no token can last that long.

        :raises RevocationsAway: where it cannot be asked.
        """

    async def revoked_since(self, place: int) -> RevokedNews:
        """Return at most NEWS_MAX tokens that were taken back after a place; 0 is before the first.

        :raises RevocationsAway: where it cannot be asked.
        """


class Revocations:
    """A process' copy of the list, of at most REVOKED_MAX tokens; `now` tells ms since 1970."""

    def __init__(self, shared: SharedRevocations, now: Callable[[], int]) -> None:
        self._shared, self._now = shared, now
        self._ends_at: dict[str, int] = {}
        self._unsaved: dict[str, int] = {}
        self._place = 0
        self._pruned_at = 0
        self._news = False

    def hold(self, identity: Identity) -> bool:
        """Return whether a token was taken back."""
        return identity.token_id in self._ends_at

    def refuse(self, identity: Identity) -> None:
        """Let a token through that was not taken back.

        :raises Refusal: 401 where it was.
        """
        if self.hold(identity):
            raise unauthenticated("token-revoked", "the token was taken back; log in anew")

    async def revoke(self, revoked: Revoked) -> None:
        """Take a token back: here at once, elsewhere within a second, or once the list can be asked."""
        self._add(revoked)
        self._unsaved[revoked.token_id] = revoked.expires_at
        with contextlib.suppress(RevocationsAway):
            await self._save()

    async def refresh(self) -> bool:
        """Bring the copy up to date; return whether anything was taken back since, here or elsewhere.

        :raises RevocationsAway: where the list cannot be asked.
        """
        await self._save()
        while True:
            news = await self._shared.revoked_since(self._place)
            for one in news.revoked:
                self._add(one)
            self._place = news.place
            if len(news.revoked) < NEWS_MAX:
                break
        self._prune()
        # What was taken back here in this very moment may be on its way there.
        if news.held < len(self._ends_at) - len(self._unsaved):
            LOG.warning("revoked tokens were lost: held=%d known=%d", news.held, len(self._ends_at))
            self._unsaved, self._place = dict(self._ends_at), 0
        news_since, self._news = self._news, False
        return news_since

    @contextlib.asynccontextmanager
    async def following(self, told: Callable[[], None]) -> AsyncIterator[None]:
        """Keep the copy up to date; begins with one that is, where the list can be asked."""
        with contextlib.suppress(RevocationsAway):
            await self.refresh()
        following = asyncio.create_task(self.follow(told))
        yield
        following.cancel()

    async def follow(self, told: Callable[[], None]) -> None:
        """Bring the copy up to date for ever; `told` hears of each time when there was news."""
        while True:
            try:
                if await self.refresh():
                    told()
            except RevocationsAway:
                # Whoever watches the store is told of it already.
                pass
            except Exception:
                # One that ends would leave revoked tokens valid.
                LOG.exception("revoked tokens could not be read")
            await asyncio.sleep(REFRESH_S)

    async def _save(self) -> None:
        while self._unsaved:
            some = [Revoked(*one) for one in list(self._unsaved.items())[:NEWS_MAX]]
            await self._shared.revoke(some)
            for one in some:
                self._unsaved.pop(one.token_id, None)

    def _add(self, revoked: Revoked) -> None:
        if revoked.expires_at * 1000 <= self._now():
            return
        self._news = self._news or revoked.token_id not in self._ends_at
        self._ends_at[revoked.token_id] = revoked.expires_at
        if len(self._ends_at) > REVOKED_MAX:
            soonest = min(self._ends_at, key=self._ends_at.__getitem__)
            LOG.error("more than %d tokens are revoked: one that ends soon is forgotten", REVOKED_MAX)
            del self._ends_at[soonest]

    def _prune(self) -> None:
        now_ms = self._now()
        if now_ms - self._pruned_at >= PRUNE_MS:
            self._pruned_at = now_ms
            self._ends_at = {one: end for one, end in self._ends_at.items() if end * 1000 > now_ms}
