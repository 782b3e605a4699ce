"""Heartbeats into Kafka: few requests in flight, each batch acknowledged by all replicas, once.

What fails on the way is sent again in its order, with the same sequence numbers, so the broker drops
what it already has and nothing is skipped. Only a broker that crashed and forgot the sequence may keep
a batch twice, which readers must bear anyway. What the broker refuses for good stops the run.
"""

import collections
import contextlib
import dataclasses
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from simulator import kafka_wire as wire
from simulator.kafka_wire import TopicPartition
from simulator.record_batch import Producer, Records, count_of, encode, restamp

# The broker remembers the last five batches of a producer and partition; more could not be told apart.
IN_FLIGHT_MAX = 5
ANSWER_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 3.0
RETRY_DELAY_S_MIN = 0.1
RETRY_DELAY_S_MAX = 5.0
RETRIES_MAX = 30
RETRIES_AT_START_MAX = 4  # a second and a half
_SEQUENCES = 2**31

Mark = TypeVar("Mark")


class KafkaAwayError(Exception):
    """The broker did not answer in all the time it was given."""


class KafkaRefusalError(Exception):
    """The broker will never accept what it was sent."""


class _RetriableError(Exception):
    """A retriable error of the broker."""


class _Connection:
    """One socket to one broker; answers come in the order of requests."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, CONNECT_TIMEOUT_S)
        self._socket.settimeout(ANSWER_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sent = self._received = 0

    def send(self, api: tuple[int, int], body: bytes) -> None:
        self._sent += 1
        self._socket.sendall(wire.frame(api, self._sent, body))

    def receive(self) -> bytes:
        [size] = struct.unpack(">i", self._exactly(4))
        answer = self._exactly(size)
        self._received += 1
        if struct.unpack_from(">i", answer) != (self._received,):
            raise ConnectionError("answers are out of step with requests")
        return answer[4:]

    def ask(self, api: tuple[int, int], body: bytes) -> bytes:
        self.send(api, body)
        return self.receive()

    def close(self) -> None:
        self._socket.close()

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            if not part:
                raise ConnectionError("the broker closed the connection")
            parts += part
        return bytes(parts)


@dataclasses.dataclass
class _Block(Generic[Mark]):
    """What was handed over together: batches not yet acknowledged, and the mark they lead to."""

    batches: dict[TopicPartition, bytes]
    mark: Mark | None
    asked: list[int] = dataclasses.field(default_factory=list)
    """Nodes that still owe an answer."""


class KafkaSink(Generic[Mark]):
    """A producer for topics that exist. Blocks while IN_FLIGHT_MAX blocks await their answers.

    :raises KafkaAwayError: here if no broker answers, later if none does for some minutes.
    :raises KafkaRefusalError: if a topic is missing or a batch is refused for good.
    """

    def __init__(self, bootstrap: str, topics: Iterable[str], sleep: Callable[[float], object]) -> None:
        self._bootstrap = bootstrap
        self._topics = list(topics)
        self._sleep = sleep
        self._connections: dict[int, _Connection] = {}
        self._blocks: collections.deque[_Block[Mark]] = collections.deque()
        self._sequences: collections.Counter[TopicPartition] = collections.Counter()
        self._producer = Producer()
        self._retries = 0
        self.acknowledged: Mark | None = None
        self._recover(RETRIES_AT_START_MAX)

    @property
    def partitions(self) -> dict[str, int]:
        """The number of partitions of each topic."""
        return dict(collections.Counter(topic for topic, _ in self._leaders))

    def send(self, records: Mapping[TopicPartition, Records], mark: Mark | None) -> None:
        """Hand over at most one batch a partition; `mark` is acknowledged once these and all before are."""
        # Only then encode: recovering may have brought another producer id.
        self._settle(IN_FLIGHT_MAX - 1)
        batches = {}
        for target, rows in records.items():
            batches[target] = encode(rows, self._producer, self._sequences[target])
            self._count(target, len(rows))
        block = _Block(batches, mark)
        self._blocks.append(block)
        try:
            self._transmit(block)
        except (OSError, _RetriableError) as error:
            self._wait_before_retry(RETRIES_MAX, error)
            self._recover(RETRIES_MAX)
        self._forget_settled()

    def flush(self) -> None:
        """Wait until everything handed over is acknowledged."""
        self._settle(0)

    def close(self) -> None:
        """Hang up. What is not acknowledged is not promised."""
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                connection.close()
        self._connections = {}

    def _settle(self, blocks_max: int) -> None:
        """Take answers until at most so many blocks are unanswered."""
        while len(self._blocks) > blocks_max:
            try:
                self._take_answer(self._blocks[0])
            except (OSError, _RetriableError) as error:
                self._wait_before_retry(RETRIES_MAX, error)
                self._recover(RETRIES_MAX)
            self._forget_settled()

    def _forget_settled(self) -> None:
        while self._blocks and not self._blocks[0].batches:
            mark = self._blocks.popleft().mark
            if mark is not None:
                self.acknowledged = mark

    def _transmit(self, block: _Block[Mark]) -> None:
        """Send a block's batches to the brokers that lead their partitions."""
        by_node: dict[int, dict[TopicPartition, bytes]] = {}
        for target, batch in block.batches.items():
            by_node.setdefault(self._leaders.get(target, -1), {})[target] = batch
        for node, batches in by_node.items():
            if node not in self._connections:
                if node not in self._nodes:
                    raise _RetriableError(f"a partition of {sorted(batches)} has no leader")
                self._connections[node] = _Connection(self._nodes[node])
            body = wire.produce_request(batches, int(ANSWER_TIMEOUT_S * 1_000))
            self._connections[node].send(wire.PRODUCE, body)
            block.asked.append(node)

    def _take_answer(self, block: _Block[Mark]) -> None:
        answer = self._connections[block.asked[0]].receive()
        del block.asked[0]
        for (topic, partition), error in wire.read_produce(answer).items():
            if error in (0, wire.DUPLICATE_SEQUENCE):
                block.batches.pop((topic, partition))
                self._retries = 0
            elif error in wire.SEQUENCE_LOST:
                self._producer = Producer()
                raise _RetriableError(f"topic {topic} partition {partition} lost count of batches")
            elif error in wire.RETRIABLE:
                raise _RetriableError(f"topic {topic} partition {partition} answered error {error}")
            else:
                name, remedy = wire.TERMINAL.get(error, (f"error {error}", "Look into the broker's log"))
                raise KafkaRefusalError(f"Kafka refused a batch on topic {topic}: {name}. {remedy}")

    def _recover(self, retries_max: int) -> None:
        """Connect anew and send everything unanswered again, waiting longer for each retry in a row."""
        while True:
            try:
                self._reconnect()
                for block in self._blocks:
                    block.asked.clear()
                    self._transmit(block)
                return
            except (OSError, _RetriableError) as error:
                self._wait_before_retry(retries_max, error)

    def _wait_before_retry(self, retries_max: int, reason: Exception) -> None:
        if self._retries >= retries_max:
            raise KafkaAwayError(
                f"Kafka did not answer at {self._bootstrap} ({reason}). Start it with `meterbeat up`"
            ) from None
        self._sleep(min(RETRY_DELAY_S_MIN * 2**self._retries, RETRY_DELAY_S_MAX))
        self._retries += 1

    def _reconnect(self) -> None:
        self.close()
        connection = self._first_that_answers()
        try:
            metadata = wire.read_metadata(connection.ask(wire.METADATA, wire.metadata_request(self._topics)))
            # A topic may be unknown to a broker that has just started, never at the start of a run.
            for topic, error in metadata.errors.items():
                if error == wire.UNKNOWN_TOPIC and not self._blocks:
                    raise KafkaRefusalError(
                        f"Kafka has no topic {topic} at {self._bootstrap}. Make it with `meterbeat up`"
                    )
                if error:
                    raise _RetriableError(f"topic {topic} answered error {error}")
            self._nodes, self._leaders = metadata.nodes, metadata.leaders
            if self._producer.producer_id < 0:
                self._become_producer(connection)
        finally:
            connection.close()

    def _become_producer(self, connection: _Connection) -> None:
        """Take a producer id, under which everything unanswered is counted from zero."""
        error, producer_id, epoch = wire.read_init_producer(
            connection.ask(wire.INIT_PRODUCER, wire.init_producer_request())
        )
        if error:
            raise _RetriableError(f"a producer id was refused with error {error}")
        self._producer = Producer(producer_id, epoch)
        self._sequences.clear()
        for block in self._blocks:
            for target, batch in block.batches.items():
                block.batches[target] = restamp(batch, self._producer, self._sequences[target])
                self._count(target, count_of(batch))

    def _count(self, target: TopicPartition, records: int) -> None:
        self._sequences[target] = (self._sequences[target] + records) % _SEQUENCES

    def _first_that_answers(self) -> _Connection:
        failure: OSError = ConnectionError("no address is given")
        for address in self._bootstrap.split(","):
            host, _, port = address.strip().rpartition(":")
            try:
                return _Connection((host, int(port)))
            except ValueError:
                raise KafkaRefusalError(f"Kafka's address is {address!r}. Give host:port") from None
            except OSError as error:
                failure = error
        raise failure
