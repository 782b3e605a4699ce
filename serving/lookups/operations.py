"""How the platform does, from whatever answers, and dead letters with their way back."""

import asyncio
import dataclasses
import logging
from collections.abc import Sequence
from typing import Protocol, cast

from infra.addresses import redacted
from serving.access.refusal import Refusal
from serving.figures.letters import Letter, Letters, still_wrong
from serving.figures.operations import Produced, StreamState, produced, stream_state
from serving.figures.records import PublishedNight
from serving.lookups.cursors import CursorRefused, cursor, place
from serving.lookups.lookup import Lookup, or_away
from serving.stores.sources import StoreAway, StoreState, TruthSource
from serving.stores.stream_metrics_source import Told

LOG = logging.getLogger("serving")
NIGHTS = 7
RATE_S_MIN = 4.0  # between the two samples that a rate is of


class MetricsSource(Protocol):
    """The metrics of the stream."""

    async def read(self) -> Told:
        """Return what the addresses told within the time limit."""


class LetterSource(Protocol):
    """Dead letters. No method outlasts its time limit."""

    async def letters(self, before: int | None, limit: int) -> Letters:
        """Return at most `limit` of the newest letters before a place, the newest first.

        :raises StoreAway: where Kafka did not answer.
        """

    async def letter(self, place: int) -> Letter | None:
        """Return the letter at a place, None where there is none.

        :raises StoreAway: where Kafka did not answer.
        """

    async def put_back(self, letter: Letter) -> None:
        """Put a letter's own bytes back on the topic that they came from.

        :raises StoreAway: where Kafka did not confirm it.
        """

    async def close(self) -> None:
        """Give back all connections."""


class NoMetrics:
    """A stream of which nothing is known."""

    async def read(self) -> Told:
        """See `MetricsSource.read`."""
        return Told((), ("the stream's metrics",))


class NoLetters:
    """A Kafka that is not to be had."""

    async def letters(self, before: int | None, limit: int) -> Letters:
        """See `LetterSource.letters`."""
        del before, limit
        raise StoreAway("Kafka is away")

    async def letter(self, place: int) -> Letter | None:
        """See `LetterSource.letter`."""
        del place
        raise StoreAway("Kafka is away")

    async def put_back(self, letter: Letter) -> None:
        """See `LetterSource.put_back`."""
        del letter
        raise StoreAway("Kafka is away")

    async def close(self) -> None:
        """See `LetterSource.close`."""


@dataclasses.dataclass(frozen=True)
class OperationsAnswer:
    """How the platform does; `nights` is None where MySQL is away."""

    now_ms: int
    stream: StreamState
    nights: Sequence[PublishedNight] | None
    stores: dict[str, StoreState]
    notes: tuple[str, ...]


class OperationsLookup:
    """Answers for operators."""

    def __init__(
        self, lookup: Lookup, truth: TruthSource, metrics: MetricsSource, letters: LetterSource
    ) -> None:
        self._lookup, self._truth, self._metrics, self._letters = lookup, truth, metrics, letters
        self._produced: tuple[Produced, Produced] | None = None

    def now(self) -> int:
        """Return ms since 1970."""
        return self._lookup.now()

    async def operations(self) -> OperationsAnswer:
        """Return how the platform does; what is away is a note and no figure."""
        told, nights, stores = await asyncio.gather(
            self._metrics.read(), or_away(self._truth.nights(None, NIGHTS)), self._lookup.states()
        )
        now_ms = self._lookup.now()
        stream = stream_state(told.samples, self._before(told), now_ms)
        notes = [f"no metrics at {redacted(url)}: what it would tell is not known" for url in told.away]
        if isinstance(nights, StoreAway):
            notes.append("the nightly truth is away; nights are not known")
        return OperationsAnswer(
            now_ms, stream, None if isinstance(nights, StoreAway) else nights, stores, tuple(notes)
        )

    async def letters(self, after: str | None, limit: int) -> tuple[Sequence[Letter], str | None]:
        """Return at most `limit` dead letters, the newest first, and the cursor of those that follow.

        :raises CursorRefused: where the cursor is not of this list.
        :raises StoreAway: where Kafka is away.
        """
        before = None
        if after is not None:
            [before] = cast(list[int], place("dead-letters", after, (int,)))
            if not 0 <= before < 2**62:
                raise CursorRefused()
        found = await self._letters.letters(before, limit)
        return found.items, None if found.next is None else cursor("dead-letters", found.next)

    async def replay(self, place: int, topic: str, partition: int, offset: int, by: str) -> Letter:
        """Put the dead letter at a place back on its topic if it is a heartbeat now, and log who did.

        :raises Refusal: where there is no such letter, or it is still no heartbeat.
        :raises StoreAway: where Kafka is away.
        """
        letter = await self._letters.letter(place)
        named = f"{topic}/{partition}/{offset}"
        if letter is None or (letter.topic, letter.partition, letter.offset) != (topic, partition, offset):
            detail = f"dead letter is unknown: none at {place} is of {named}; list them anew"
            raise Refusal(404, "dead-letter-unknown", "Dead letter is unknown", detail)
        wrong = still_wrong(letter, self._lookup.now())
        if wrong:
            detail = f"dead letter {named} is no heartbeat: {wrong}"
            raise Refusal(409, "still-malformed", "Dead letter is still malformed", detail)
        await self._letters.put_back(letter)
        LOG.warning("dead letter put back: letter=%s by=%s", named, by)
        return letter

    def _before(self, told: Told) -> Produced | None:
        """Return what was produced some seconds before, and remember what is now."""
        newest = produced(told.samples)
        if newest is None:
            return None
        older, last = self._produced or (newest, newest)
        if newest.at_s - last.at_s >= RATE_S_MIN or newest.messages < last.messages:
            older, last = last, newest
        self._produced = (older, last)
        return older if older.at_s < newest.at_s else None
