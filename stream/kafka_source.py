"""What can be learnt of the input without reading it: its end, its newest event, how far the job is."""

import dataclasses

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError

from infra.contracts import dead_letter
from infra.contracts.utility import UTILITIES

CONNECT_MS_MAX = 5_000
READ_MS_MAX = 5_000
LETTERS_MAX = 100_000


class KafkaAwayError(RuntimeError):
    """The broker does not answer. Transient: names the address and the remedy."""


@dataclasses.dataclass(frozen=True)
class InputProgress:
    """The three topics together. Offsets count messages."""

    produced: int
    checkpointed: int  # read, folded and archived as of the last checkpoint
    newest_event_ms: int  # -1 while there is none

    @property
    def lag(self) -> int:
        """How many messages the last checkpoint does not cover."""
        return self.produced - self.checkpointed


@dataclasses.dataclass(frozen=True)
class DeadLetter:
    """One message that was no heartbeat, with its origin and the reason."""

    topic: str
    partition: int
    offset: int
    reason: str
    key: bytes | None
    value: bytes | None


class KafkaSource:
    """A view of the broker's bookkeeping. Not for threads; close it."""

    def __init__(self, bootstrap: str, group_id: str) -> None:
        """Connect.

        :raises KafkaAwayError: if the broker does not answer.
        """
        self._bootstrap, self._group_id = bootstrap, group_id
        try:
            self._admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=CONNECT_MS_MAX)
        except KafkaError as error:
            raise KafkaAwayError(
                f"kafka at {bootstrap} does not answer ({error}); start it with `meterbeat up`"
            ) from None

    def close(self) -> None:
        """Give up the connection."""
        self._admin.close()

    def progress(self) -> InputProgress:
        """Return where the input and the job are now.

        :raises KafkaAwayError: if the broker went away.
        """
        try:
            topics = self._admin.describe_topics([utility.value for utility in UTILITIES])
            partitions = [
                TopicPartition(topic["name"], part["partition_index"])
                for topic in topics
                for part in topic["partitions"]
            ]
            ends = self._admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
            newest = self._admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.MAX_TIMESTAMP))
            committed = self._admin.list_group_offsets([self._group_id])[self._group_id]
        except KafkaError as error:
            raise KafkaAwayError(
                f"kafka at {self._bootstrap} went away ({error}); start it with `meterbeat up`"
            ) from None
        return InputProgress(
            produced=sum(end.offset for end in ends.values()),
            checkpointed=sum(committed[part].offset for part in partitions if part in committed),
            newest_event_ms=max((found.timestamp for found in newest.values()), default=-1),
        )

    def dead_letter_count(self) -> int:
        """Return how many letters the topic holds; one written again after a crash counts again.

        :raises KafkaAwayError: if the broker went away.
        """
        partition = TopicPartition(dead_letter.TOPIC, 0)
        try:
            first = self._admin.list_partition_offsets({partition: OffsetSpec.EARLIEST})[partition].offset
            end = self._admin.list_partition_offsets({partition: OffsetSpec.LATEST})[partition].offset
        except KafkaError as error:
            raise KafkaAwayError(
                f"kafka at {self._bootstrap} went away ({error}); start it with `meterbeat up`"
            ) from None
        return int(end - first)

    def dead_letters(self) -> list[DeadLetter]:
        """Return every dead letter once, at most LETTERS_MAX; one written again after a crash is dropped."""
        consumer = KafkaConsumer(bootstrap_servers=self._bootstrap, consumer_timeout_ms=READ_MS_MAX)
        partition = TopicPartition(dead_letter.TOPIC, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        letters: dict[tuple[str, int, int], DeadLetter] = {}
        while consumer.position(partition) < end and len(letters) < LETTERS_MAX:
            polled = consumer.poll(timeout_ms=READ_MS_MAX)
            if not polled:
                raise KafkaAwayError(
                    f"kafka at {self._bootstrap} gave no dead letter in {READ_MS_MAX} ms; "
                    "start it with `meterbeat up`"
                )
            for messages in polled.values():
                for message in messages:
                    letter = _letter(message.key, message.value, dict(message.headers))
                    letters[letter.topic, letter.partition, letter.offset] = letter
        consumer.close()
        return list(letters.values())


def _letter(key: bytes | None, value: bytes | None, headers: dict[str, bytes]) -> DeadLetter:
    return DeadLetter(
        topic=headers[dead_letter.HEADER_TOPIC].decode(),
        partition=int(headers[dead_letter.HEADER_PARTITION]),
        offset=int(headers[dead_letter.HEADER_OFFSET]),
        reason=headers[dead_letter.HEADER_REASON].decode(),
        key=key,
        value=value,
    )
