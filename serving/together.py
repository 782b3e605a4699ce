"""Questions about single users that are answered together, as many as came while others were being answered.

One question alone goes at once. Once several have come together the next question begins a moment later, and
those who come in between share its round trip and its statement, so that each costs less the more there are.
Once they are enough to be cheap they wait for nobody else.
"""

import asyncio
import collections
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

# Whoever shares a question waits half of this for it, and costs less the longer it is: at 4 ms two busy cores
# had more to do and answers came later, at 12 ms they came later as well.
APART_S = 0.008
# More than these would cost less each, but the last of them would wait for the work on all the others: at 8
# answers came later. At 3 they came sooner on cores with room to spare, and later on busy ones.
KEYS_ENOUGH = 5

Key = TypeVar("Key")
Found = TypeVar("Found")
Made = TypeVar("Made")
Asked = list[tuple[Key, asyncio.Future[Found]]]


class Together(Generic[Key, Found]):
    """Collects keys; `ask` is given some and returns what was found for each, in their order.

    What was found for one may be an error, which then is that one's alone.

    At most `under_way_max` questions are under way at a time, each of at most `keys_max` keys. After
    one of several keys the next begins `apart_s` later, or as soon as KEYS_ENOUGH wait.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Key]], Awaitable[Sequence[Found | Exception]]],
        keys_max: int,
        under_way_max: int,
        apart_s: float = 0.0,
    ) -> None:
        self._ask = ask
        self._keys_max = keys_max
        self._under_way_max = under_way_max
        self._apart_s = apart_s
        self._next_at = 0.0
        self._pause: asyncio.Future[None] | None = None  # until then, or until there are enough
        self._waiting: collections.deque[tuple[Key, asyncio.Future[Found]]] = collections.deque()
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the event loop alone would forget them

    def ask(self, key: Key) -> asyncio.Future[Found]:
        """Return what will be found for a key, or whatever `ask` raises or finds for it.

        Whoever waits for a question that fails fails with it: its store would keep the next ones waiting too.
        """
        future: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, future))
        if self._pause and len(self._waiting) >= KEYS_ENOUGH:
            _end(self._pause)
        if self._under_way < self._under_way_max:
            self._under_way += 1
            task = asyncio.get_running_loop().create_task(self._go())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def _go(self) -> None:
        loop = asyncio.get_running_loop()
        # In one breath with the last look at who waits: nobody comes between and finds it still under way.
        try:
            while self._waiting:
                while self._next_at > loop.time() and len(self._waiting) < KEYS_ENOUGH:
                    await asyncio.shield(self._paused())  # others wait for the same
                if asked := self._next():
                    self._next_at = loop.time() + (self._apart_s if len(asked) > 1 else 0.0)
                    await self._answer(asked)
        except BaseException:
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()
            raise
        finally:
            self._under_way -= 1

    def _paused(self) -> asyncio.Future[None]:
        if not self._pause or self._pause.done():
            loop = asyncio.get_running_loop()
            self._pause = loop.create_future()
            loop.call_at(self._next_at, _end, self._pause)
        return self._pause

    async def _answer(self, asked: Asked[Key, Found]) -> None:
        try:
            found = await self._ask([key for key, _ in asked])
        except Exception as error:
            self._fail(asked, error)
            return
        except BaseException:
            for _, future in asked:
                future.cancel()
            raise
        for (_, future), one in zip(asked, found, strict=True):
            if future.done():
                continue
            if isinstance(one, Exception):
                future.set_exception(one)
            else:
                future.set_result(one)

    def _next(self) -> Asked[Key, Found]:
        """Take the keys of the next question; those who gave up meanwhile are left out."""
        asked: Asked[Key, Found] = []
        while self._waiting and len(asked) < self._keys_max:
            key, future = self._waiting.popleft()
            if not future.done():
                asked.append((key, future))
        return asked

    def _fail(self, asked: Asked[Key, Found], error: Exception) -> None:
        for _, future in (*asked, *self._waiting):
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()


def each(make: Callable[[Found], Made], found: Iterable[Found | Exception]) -> list[Made | Exception]:
    """Return what is made of each; an error found for one, or that making raises, is that one's alone.

    What many share is best made a step at a time for all of them: a processor that goes on with the same code
    is faster by half.
    """
    return [one if isinstance(one, Exception) else _made(make, one) for one in found]


def _made(make: Callable[[Found], Made], found: Found) -> Made | Exception:
    try:
        return make(found)
    except Exception as error:
        return error


def _end(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)
