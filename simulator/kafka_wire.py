"""The three requests of Kafka's protocol that a producer needs, as bytes: no sockets here."""

import dataclasses
import struct
from collections.abc import Mapping

CLIENT_ID = b"meterbeat-simulator"
# (api key, version): the newest versions without tagged fields, understood by brokers 1.0 to 4.x.
PRODUCE = (0, 7)
METADATA = (3, 5)
INIT_PRODUCER = (22, 0)
_ACKS_ALL = -1

# What each code means and what to do about it; any code not here and not RETRIABLE is named by number.
TERMINAL = {
    10: ("MESSAGE_TOO_LARGE", "Raise max.message.bytes of the topic"),
    17: ("INVALID_TOPIC_EXCEPTION", "Make the topics with `meterbeat up`"),
    29: ("TOPIC_AUTHORIZATION_FAILED", "Allow this client to write the topic"),
    31: ("CLUSTER_AUTHORIZATION_FAILED", "Allow this client to write with idempotence"),
    32: ("INVALID_TIMESTAMP", "Send no period of the future, or raise message.timestamp.after.max.ms"),
    87: ("INVALID_RECORD", "Look into the broker's log for what it refused"),
}
UNKNOWN_TOPIC = 3
# The broker already has the batch: an answer was lost on the way, not the batch.
DUPLICATE_SEQUENCE = 46
# The broker forgot the producer's last batches, as one that crashed may, or an earlier batch failed.
SEQUENCE_LOST = frozenset({45, 59})
RETRIABLE = frozenset({2, UNKNOWN_TOPIC, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 41, 56, 72, 74, 75, 78, 89})

TopicPartition = tuple[str, int]


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Where the cluster is: addresses by node, leading node by partition, errors by topic."""

    nodes: Mapping[int, tuple[str, int]]
    leaders: Mapping[TopicPartition, int]
    errors: Mapping[str, int]


def frame(api: tuple[int, int], correlation_id: int, body: bytes) -> bytes:
    """Return a whole request: length, header and body."""
    header = struct.pack(">hhi", *api, correlation_id) + _string(CLIENT_ID)
    return struct.pack(">i", len(header) + len(body)) + header + body


def metadata_request(topics: list[str]) -> bytes:
    """Return the body that asks for topics, without making them."""
    return struct.pack(">i", len(topics)) + b"".join(_string(topic.encode()) for topic in topics) + b"\0"


def init_producer_request() -> bytes:
    """Return the body that asks for a producer id outside transactions."""
    return struct.pack(">hi", -1, 60_000)


def produce_request(batches: Mapping[TopicPartition, bytes], timeout_ms: int) -> bytes:
    """Return the body that writes one record batch to each partition."""
    by_topic: dict[str, list[bytes]] = {}
    for (topic, partition), batch in batches.items():
        by_topic.setdefault(topic, []).extend((struct.pack(">ii", partition, len(batch)), batch))
    parts = [struct.pack(">hhii", -1, _ACKS_ALL, timeout_ms, len(by_topic))]
    for topic, pieces in by_topic.items():
        parts += [_string(topic.encode()), struct.pack(">i", len(pieces) // 2), *pieces]
    return b"".join(parts)


def _string(text: bytes) -> bytes:
    return struct.pack(">h", len(text)) + text


class _Reader:
    """Takes numbers and strings off the front of an answer."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._at = 0

    def take(self, form: str) -> tuple[int, ...]:
        numbers = struct.unpack_from(">" + form, self._answer, self._at)
        self._at += struct.calcsize(">" + form)
        return numbers

    def number(self, form: str) -> int:
        return self.take(form)[0]

    def string(self) -> str:
        length = max(self.number("h"), 0)
        self._at += length
        return self._answer[self._at - length : self._at].decode()

    def numbers(self) -> tuple[int, ...]:
        return self.take("i" * self.number("i"))


def read_metadata(answer: bytes) -> Metadata:
    """Read the answer to METADATA."""
    reader = _Reader(answer)
    reader.number("i")
    nodes: dict[int, tuple[str, int]] = {}
    for _ in range(reader.number("i")):
        node, host, port = reader.number("i"), reader.string(), reader.number("i")
        nodes[node] = (host, port)
        reader.string()
    reader.string()
    reader.number("i")
    leaders: dict[TopicPartition, int] = {}
    errors: dict[str, int] = {}
    for _ in range(reader.number("i")):
        error, topic = reader.number("h"), reader.string()
        errors[topic] = error
        reader.number("b")
        for _ in range(reader.number("i")):
            _, partition, leader = reader.take("hii")
            leaders[topic, partition] = leader
            for _ in ("replicas", "in sync", "offline"):
                reader.numbers()
    return Metadata(nodes, leaders, errors)


def read_init_producer(answer: bytes) -> tuple[int, int, int]:
    """Read the answer to INIT_PRODUCER: (error, producer id, epoch)."""
    _, error, producer_id, epoch = _Reader(answer).take("ihqh")
    return error, producer_id, epoch


def read_produce(answer: bytes) -> dict[TopicPartition, int]:
    """Read the answer to PRODUCE: the error of each partition, 0 for none."""
    reader = _Reader(answer)
    errors: dict[TopicPartition, int] = {}
    for _ in range(reader.number("i")):
        topic = reader.string()
        for _ in range(reader.number("i")):
            partition, error, _, _, _ = reader.take("ihqqq")
            errors[topic, partition] = error
    return errors
