"""Dead letters out of Kafka, and the way back onto their topic; bounded in time, number and bytes."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from infra.contracts import dead_letter
from serving.figures.letters import Letter, Letters
from serving.stores.sources import Guard
from serving.threads import Threads

TIMEOUT_MS = 2_000
FETCH_BYTES_MAX = 4 * 1024**2
# A batch that is larger comes whole all the same: no letter is beyond reach.
ONE_BYTES_MAX = 64 * 1024
# Offsets of transactions' own marks hold no letter: a page looks at a few times as many as it shows.
WINDOWS_MAX = 20
PARTITION = TopicPartition(dead_letter.TOPIC, 0)
Answer = TypeVar("Answer")


class KafkaSource:
    """Reads dead letters, one question at a time, over connections made for it: they are asked for rarely."""

    def __init__(self, bootstrap: str, now: Callable[[], int]) -> None:
        self._bootstrap = bootstrap
        self._thread = Threads(1, "kafka")
        self._guard = Guard("Kafka", TIMEOUT_MS + 500, now, (KafkaError,))

    async def letters(self, before: int | None, limit: int) -> Letters:
        """Return at most `limit` of the newest letters before a place on the topic, the newest first.

        :raises StoreAway: where Kafka did not answer in time.
        """
        return await self._ask(lambda deadline: self._letters(before, limit, deadline))

    async def letter(self, place: int) -> Letter | None:
        """Return the letter at a place on the topic, None where there is none; nothing else is read.

        :raises StoreAway: where Kafka did not answer in time.
        """
        return await self._ask(lambda deadline: self._letter(place, deadline))

    async def put_back(self, letter: Letter) -> None:
        """Put a letter's own bytes on the topic and partition that they came from; doubled does no harm.

        :raises StoreAway: where Kafka did not confirm it in time.
        """
        await self._ask(lambda deadline: self._put_back(letter, deadline))

    async def close(self) -> None:
        """Wait for what is being asked."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def _ask(self, question: Callable[[float], Answer]) -> Answer:
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + TIMEOUT_MS / 1000
        return await self._guard.ask(lambda: loop.run_in_executor(self._thread, question, deadline))

    def _letters(self, before: int | None, limit: int, deadline: float) -> Letters:
        with self._consumer(limit, FETCH_BYTES_MAX) as consumer:
            first = consumer.beginning_offsets([PARTITION])[PARTITION]
            end = consumer.end_offsets([PARTITION])[PARTITION]
            until = end if before is None else max(first, min(before, end))
            found: dict[tuple[str, int, int], Letter] = {}
            for _ in range(WINDOWS_MAX):
                since = max(first, until - limit)
                for letter in reversed(self._window(consumer, since, until, deadline)):
                    # One written again after a crash is the same letter.
                    found.setdefault((letter.topic, letter.partition, letter.offset), letter)
                until = since
                if len(found) >= limit or until <= first:
                    break
            items = list(found.values())[:limit]
            more = len(found) > limit or until > first
            return Letters(items, (items[-1].place if items else until) if more else None)

    def _letter(self, place: int, deadline: float) -> Letter | None:
        with self._consumer(1, ONE_BYTES_MAX) as consumer:
            first = consumer.beginning_offsets([PARTITION])[PARTITION]
            if not first <= place < consumer.end_offsets([PARTITION])[PARTITION]:
                return None
            found = self._window(consumer, place, place + 1, deadline)
            return found[0] if found else None

    def _window(self, consumer: Any, since: int, until: int, deadline: float) -> list[Letter]:
        consumer.seek(PARTITION, since)
        letters: list[Letter] = []
        while consumer.position(PARTITION) < until:
            left_ms = int((deadline - time.monotonic()) * 1000)
            if left_ms <= 0:
                raise TimeoutError("dead letters took too long to read")
            for messages in consumer.poll(timeout_ms=left_ms).values():
                letters += [_letter(message) for message in messages if message.offset < until]
        return letters

    def _put_back(self, letter: Letter, deadline: float) -> None:
        producer = KafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            # Nothing is sent again: who asked is told, and asks again.
            enable_idempotence=False,
            retries=0,
            max_block_ms=TIMEOUT_MS,
            delivery_timeout_ms=TIMEOUT_MS,
            request_timeout_ms=TIMEOUT_MS,
            bootstrap_timeout_ms=TIMEOUT_MS,
        )
        try:
            sent = producer.send(letter.topic, letter.value, letter.key, partition=letter.partition)
            sent.get(timeout=max(0.1, deadline - time.monotonic()))
        finally:
            producer.close(timeout=1)

    @contextlib.contextmanager
    def _consumer(self, limit: int, bytes_max: int) -> Iterator[Any]:
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            request_timeout_ms=TIMEOUT_MS,
            bootstrap_timeout_ms=TIMEOUT_MS,
            isolation_level="read_committed",
            max_poll_records=limit,
            max_partition_fetch_bytes=bytes_max,
            fetch_max_bytes=bytes_max,
        )
        try:
            consumer.assign([PARTITION])
            yield consumer
        finally:
            consumer.close()


def _letter(message: Any) -> Letter:
    """Return a message of the topic; one that does not say where it came from came from there."""
    headers: dict[str, bytes] = dict(message.headers)

    def told(header: str, otherwise: object) -> str:
        return headers[header].decode(errors="replace") if header in headers else str(otherwise)

    return Letter(
        place=message.offset,
        topic=told(dead_letter.HEADER_TOPIC, message.topic),
        partition=int(told(dead_letter.HEADER_PARTITION, message.partition)),
        offset=int(told(dead_letter.HEADER_OFFSET, message.offset)),
        at_ms=int(told(dead_letter.HEADER_TIMESTAMP, message.timestamp)),
        reason=told(dead_letter.HEADER_REASON, "not told"),
        key=message.key,
        value=message.value,
    )
