"""Live updates for many listeners: one poll of a store a subject, however many listen to it.

A listener is told what is other than what it has seen, in order, and never the same twice. It is told when
the store is away and hears the state again as soon as it is back.
"""

import asyncio
import contextlib
import dataclasses
import functools
import logging
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from typing import Any

from serving.access.refusal import Refusal
from serving.stores.sources import StoreAway

PING_S = 15.0
LISTENERS_MAX = 1_000  # of a process
LISTENERS_A_SUBJECT_MAX = 10  # one who asks may have so many pages open
RETRY_AFTER_S = 10
LOG = logging.getLogger("serving")


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A state: `mark` differs where there is anything new to tell, `newest_ms` says how new that is.

    A mark is made of what has the same text in every process.
    """

    newest_ms: int
    mark: Hashable
    data: dict[str, Any]
    known: bool = True  # whether the store holds anything of the subject

    @functools.cached_property
    def event_id(self) -> str:
        """What a listener that comes back says it has seen; many states may have one newest instant."""
        return f"{self.newest_ms}-{zlib.crc32(repr(self.mark).encode()):08x}"


@dataclasses.dataclass(frozen=True)
class News:
    """What a listener is told: a snapshot, that the store is away (why), or None: nothing new."""

    snapshot: Snapshot | None = None
    trouble: str | None = None


class Feed:
    """One subject's state, asked for every `every_s` while anybody listens."""

    def __init__(self, ask: Callable[[], Awaitable[Snapshot]], every_s: float) -> None:
        self._ask = ask
        self._every_s = every_s
        self._told = asyncio.Event()
        self.version = 0
        self.latest: Snapshot | StoreAway | None = None
        self.listeners = 0

    async def poll(self) -> None:
        """Ask for ever, and wake listeners when there is something new."""
        while True:
            found = await self._asked()
            news = not _same(found, self.latest)
            # Kept though nothing is new: who comes next is told how old it is by now, not by then.
            self.latest = found
            if news:
                self.version += 1
                self.wake()
            await asyncio.sleep(self._every_s)

    def wake(self) -> None:
        """Have every listener look again."""
        self._told.set()
        self._told = asyncio.Event()

    async def changed(self, version: int, within_s: float) -> None:
        """Return when there is a version other than this one, somebody wakes all, or the time is over."""
        if self.version != version:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._told.wait()

    async def first(self) -> Snapshot | StoreAway:
        """Return the newest state, waiting for the first one."""
        while self.latest is None:
            await self._told.wait()
        return self.latest

    async def _asked(self) -> Snapshot | StoreAway:
        try:
            return await self._ask()
        except StoreAway as away:
            return away
        except Exception:
            # A poll that ends would leave its listeners waiting for ever.
            LOG.exception("live updates failed")
            return StoreAway("live state could not be read")


class Feeds:
    """All feeds of a process, and how many listen."""

    def __init__(self, ending: asyncio.Event) -> None:
        self._feeds: dict[Hashable, tuple[Feed, asyncio.Task[None]]] = {}
        self._ending = ending
        self._by_subject: dict[str, int] = {}
        self.listeners = 0

    @contextlib.asynccontextmanager
    async def listening(
        self, subject: str, key: Hashable, ask: Callable[[], Awaitable[Snapshot]], every_s: float
    ) -> AsyncIterator[Feed]:
        """Give a listener the feed of a key; it is polled as long as somebody has it.

        :raises Refusal: where the process, or the one that asks, has too many already.
        """
        self._admit(subject)
        self.listeners += 1
        self._by_subject[subject] = self._by_subject.get(subject, 0) + 1
        if key not in self._feeds:
            feed = Feed(ask, every_s)
            self._feeds[key] = feed, asyncio.create_task(feed.poll(), name=f"poll {key}")
        feed, task = self._feeds[key]
        feed.listeners += 1
        try:
            yield feed
        finally:
            feed.listeners -= 1
            if not feed.listeners:
                del self._feeds[key]
                task.cancel()
            self.listeners -= 1
            self._by_subject[subject] -= 1
            if not self._by_subject[subject]:
                del self._by_subject[subject]

    async def end(self) -> None:
        """Wake every listener once the process ends, so that it sees that."""
        await self._ending.wait()
        self.wake()

    def wake(self) -> None:
        """Wake every listener, so that each sees whether it may go on."""
        for feed, _ in list(self._feeds.values()):
            feed.wake()

    async def news(self, feed: Feed, last_id: str | None, left_s: Callable[[], float]) -> AsyncIterator[News]:
        """Yield what is new to a listener that has seen `last_id`, until the process or `left_s` ends.

        Nothing new for PING_S is told too, so that a connection that is gone shows.
        """
        version, mark = 0, None
        while not self._ending.is_set() and left_s() > 0:
            found = feed.latest
            if feed.version != version and found is not None:
                version = feed.version
                if isinstance(found, StoreAway):
                    mark = None
                    yield News(trouble=str(found))
                elif found.mark != mark:
                    mark = found.mark
                    if found.event_id != last_id:
                        yield News(found)
                last_id = None
            else:
                yield News()
            # While it was told the process may have ended, and nobody wakes it again.
            if self._ending.is_set():
                return
            await feed.changed(version, min(PING_S, max(left_s(), 0.0)))

    def _admit(self, subject: str) -> None:
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        if self._by_subject.get(subject, 0) >= LISTENERS_A_SUBJECT_MAX:
            raise Refusal(
                429,
                "too-many-streams",
                "Too many live connections",
                f"{subject} has {LISTENERS_A_SUBJECT_MAX} live connections open; close one",
                headers,
            )
        if self.listeners >= LISTENERS_MAX or self._ending.is_set():
            raise Refusal(
                503,
                "streams-full",
                "No live connection is free",
                "no live connection is free here; try again soon",
                headers,
            )


def _same(found: Snapshot | StoreAway, latest: Snapshot | StoreAway | None) -> bool:
    if isinstance(found, StoreAway) or isinstance(latest, StoreAway) or latest is None:
        return isinstance(found, StoreAway) and isinstance(latest, StoreAway)
    return found.mark == latest.mark
