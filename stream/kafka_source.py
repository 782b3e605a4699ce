"""What can be learnt of the input without reading it: its end, how far the job is."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import CoordinatorNotAvailableError, KafkaError

from infra.contracts import dead_letter
from infra.contracts.utility import UTILITIES

CONNECT_MS_MAX = 5_000
READ_MS_MAX = 5_000
COORDINATOR_S_MAX, COORDINATOR_AGAIN_S = 10, 0.2
LETTERS_MAX = 100_000
PARTITIONS_S_MAX = 60  # how long their list is taken for true; asking for it costs as much as all the rest


class KafkaAwayError(RuntimeError):
    """The broker does not answer. Transient: names the address and the remedy."""


@dataclasses.dataclass(frozen=True)
class InputProgress:
    """Where a group is on some of the input. Offsets count messages."""

    produced: int
    checkpointed: int  # read, folded and archived as of the last checkpoint

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
        self._partitions: list[TopicPartition] = []
        self._partitions_until_s = 0.0
        try:
            self._admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=CONNECT_MS_MAX)
        except KafkaError as error:
            raise KafkaAwayError(
                f"kafka at {bootstrap} does not answer ({error}); start it with `meterbeat up`"
            ) from None

    def close(self) -> None:
        """Give up the connection."""
        self._admin.close()

    def ends(self) -> dict[TopicPartition, int]:
        """Return the offset that the next message of each partition will get.

        :raises KafkaAwayError: if the broker went away.
        """
        with self._told_when_away():
            ends = self._admin.list_partition_offsets(
                dict.fromkeys(self._known_partitions(), OffsetSpec.LATEST)
            )
            return {part: int(end.offset) for part, end in ends.items()}

    def by_topic(self, group_ids: Sequence[str]) -> dict[str, dict[str, InputProgress]]:
        """Return where the input and several groups are now: by group, then by topic.

        :raises KafkaAwayError: if the broker went away.
        """
        ends = self.ends()
        with self._told_when_away():
            committed = self._committed(group_ids)
        found: dict[str, dict[str, InputProgress]] = {}
        for group_id in group_ids:
            of_group = committed[group_id]
            sums: dict[str, InputProgress] = {}
            for part, end in ends.items():
                before = sums.get(part.topic, InputProgress(0, 0))
                read = of_group[part].offset if part in of_group else 0
                sums[part.topic] = InputProgress(before.produced + end, before.checkpointed + read)
            found[group_id] = sums
        return found

    def covers(self, ends: dict[TopicPartition, int]) -> bool:
        """Return whether the group's last checkpoint covers all messages before these offsets.

        :raises KafkaAwayError: if the broker went away.
        """
        with self._told_when_away():
            committed = self._committed([self._group_id])[self._group_id]
            return all(
                not end or (part in committed and committed[part].offset >= end) for part, end in ends.items()
            )

    def dead_letter_count(self) -> int:
        """Return how many letters the topic holds; one written again after a crash counts again.

        :raises KafkaAwayError: if the broker went away.
        """
        partition = TopicPartition(dead_letter.TOPIC, 0)
        with self._told_when_away():
            first = self._admin.list_partition_offsets({partition: OffsetSpec.EARLIEST})[partition].offset
            end = self._admin.list_partition_offsets({partition: OffsetSpec.LATEST})[partition].offset
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

    def _known_partitions(self) -> list[TopicPartition]:
        if time.monotonic() >= self._partitions_until_s:
            topics = self._admin.describe_topics([utility.value for utility in UTILITIES])
            self._partitions = [
                TopicPartition(topic["name"], part["partition_index"])
                for topic in topics
                for part in topic["partitions"]
            ]
            self._partitions_until_s = time.monotonic() + PARTITIONS_S_MAX
        return self._partitions

    def _committed(self, group_ids: Sequence[str]) -> Mapping[str, Mapping[TopicPartition, Any]]:
        """Return the offsets of groups. A broker that had none yet makes room for them when first asked."""
        until_s = time.monotonic() + COORDINATOR_S_MAX
        while True:
            try:
                found: Mapping[str, Mapping[TopicPartition, Any]] = self._admin.list_group_offsets(
                    list(group_ids)
                )
                return found
            except CoordinatorNotAvailableError:
                if time.monotonic() >= until_s:
                    raise
                time.sleep(COORDINATOR_AGAIN_S)

    @contextlib.contextmanager
    def _told_when_away(self) -> Iterator[None]:
        try:
            yield
        except KafkaError as error:
            raise KafkaAwayError(
                f"kafka at {self._bootstrap} went away ({error}); start it with `meterbeat up`"
            ) from None


def _letter(key: bytes | None, value: bytes | None, headers: dict[str, bytes]) -> DeadLetter:
    return DeadLetter(
        topic=headers[dead_letter.HEADER_TOPIC].decode(),
        partition=int(headers[dead_letter.HEADER_PARTITION]),
        offset=int(headers[dead_letter.HEADER_OFFSET]),
        reason=headers[dead_letter.HEADER_REASON].decode(),
        key=key,
        value=value,
    )
