"""Pipe Kafka: what the fleet's sink writes, the common client reads and the contract decodes."""

import collections
import contextlib
import os
import signal
import threading
import time

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from infra import platform as services_of
from infra.contracts.heartbeat import MalformedHeartbeatError, decode
from infra.contracts.utility import UTILITIES
from simulator.faults import Faults
from simulator.kafka_sink import KafkaSink
from simulator.ledger import counts_of, last_delivered
from simulator.options import Rate
from simulator.s3_sink import S3Sink
from simulator.send import Send
from tests.support.services import running_platform

# Below the ports that the system hands out: nobody takes the broker's while it is down.
PORT_BASE = 27_000
BUCKET = "heartbeats"
SEED = 7
FAULTS = "late=2%,doubled=2%,lost=2%,malformed=2%"
HOUR = 1_760_000_400_000  # 2025-10-09T09:00:00Z
MINUTE_MS = 60_000
WAIT_S_MAX = 90
AWAY_S = 1


@pytest.fixture(scope="module")
def broker(services, tmp_path_factory):
    """A broker of its own beside the session's other services, so that its end hurts nobody else."""
    others = ("redis_url", "s3_endpoint", "mysql_port", "flink_rest")
    elsewhere = {name: getattr(services.settings, name) for name in others}
    home = tmp_path_factory.mktemp("broker")
    with running_platform(home, port_base=PORT_BASE, s3_bucket=BUCKET, **elsewhere) as platform:
        yield platform


@pytest.fixture(scope="module")
def s3(broker):
    settings = broker.settings
    return S3Sink(
        settings.s3_endpoint, BUCKET, settings.s3_region, settings.s3_access_key, settings.s3_secret_key
    )


@pytest.fixture(scope="module")
def sent(broker, s3):
    """The run of a fleet with every fault over the turn of an hour, and all messages on the topics."""
    kafka = KafkaSink(broker.settings.kafka_bootstrap, UTILITIES, time.sleep)
    with reading(broker) as topics:
        since = topics.ends()
        run = Send(SEED, 20, Faults.parse(FAULTS), s3, kafka).run(
            from_ms=HOUR - 15 * MINUTE_MS + 1_234,
            to_ms=HOUR + 15 * MINUTE_MS + 4_321,
            rate=Rate(unlimited=True),
            clock=time.monotonic,
            stop=threading.Event(),
            on_progress=lambda _: None,
            on_trouble=pytest.fail,
        )
        kafka.close()
        return run, topics.messages(since)


class Topics:
    """The heartbeat topics as the common client sees them."""

    def __init__(self, consumer):
        self._consumer = consumer
        self._all = [
            TopicPartition(utility, partition)
            for utility in UTILITIES
            for partition in sorted(consumer.partitions_for_topic(utility))
        ]
        consumer.assign(self._all)

    def ends(self):
        return self._consumer.end_offsets(self._all)

    def messages(self, since):
        """Return all messages from these offsets up to the ends."""
        until = self.ends()
        for target, offset in since.items():
            self._consumer.seek(target, offset)
        found = []
        deadline = time.monotonic() + WAIT_S_MAX
        while any(self._consumer.position(target) < until[target] for target in self._all):
            assert time.monotonic() < deadline, f"{len(found)} messages read"
            for messages in self._consumer.poll(timeout_ms=500, max_records=5_000).values():
                found += messages
        return found


@contextlib.contextmanager
def reading(platform):
    consumer = KafkaConsumer(
        bootstrap_servers=platform.settings.kafka_bootstrap, check_crcs=True, enable_auto_commit=False
    )
    with contextlib.closing(consumer):
        yield Topics(consumer)


def decoded(messages):
    """Return (topic, heartbeat) of each well-formed message, and the number of all others by topic."""
    heartbeats, malformed = [], collections.Counter()
    for message in messages:
        try:
            heartbeat = decode(message.topic, message.key, message.value, message.timestamp)
        except MalformedHeartbeatError:
            malformed[message.topic] += 1
        else:
            heartbeats.append((message.topic, heartbeat))
    return heartbeats, malformed


def distinct(heartbeats):
    """Return how many heartbeats each topic holds, doubled ones counted once."""
    identities = {(topic, heartbeat["user_id"], heartbeat["sent_at"]) for topic, heartbeat in heartbeats}
    return collections.Counter(topic for topic, _, _ in identities)


def ledger(run, count):
    return {topic: getattr(made, count) for topic, made in counts_of(run).items()}


class TestHeartbeats:
    def test_are_as_many_as_the_ledger_calls_delivered(self, sent):
        run, messages = sent

        heartbeats, _ = decoded(messages)

        assert distinct(heartbeats) == ledger(run, "delivered")
        assert run.counts == counts_of(run)

    def test_are_doubled_and_malformed_as_often_as_the_ledger_says(self, sent):
        run, messages = sent

        heartbeats, malformed = decoded(messages)

        doubled = collections.Counter(topic for topic, _ in heartbeats) - distinct(heartbeats)
        assert doubled == ledger(run, "doubled")
        assert malformed == ledger(run, "malformed")
        assert min(*doubled.values(), *malformed.values()) > 0

    def test_show_the_registers_of_the_ledger(self, sent):
        run, messages = sent

        newest = {}
        for topic, beat in decoded(messages)[0]:
            reading = (beat["sent_at"], beat["register"], beat["rate"])
            meter = beat["user_id"], topic
            newest[meter] = max(newest.get(meter, reading), reading)

        assert len(newest) == 20 * len(UTILITIES)
        for (user_id, topic), reading in newest.items():
            last = last_delivered([run], user_id, UTILITIES[UTILITIES.index(topic)], None)
            assert reading == (last.sent_at, last.register, last.rate)

    def test_carry_when_they_were_sent_and_their_record_the_brokers_own_time(self, sent):
        run, messages = sent

        heartbeats, _ = decoded(messages)

        log_append_time = 1
        assert {message.timestamp_type for message in messages} == {log_append_time}
        assert all(run.from_ms <= heartbeat["sent_at"] < run.to_ms for _, heartbeat in heartbeats)

    def test_are_where_the_common_client_puts_their_user(self, broker, sent):
        _, messages = sent
        placed = collections.defaultdict(set)
        for message in messages:
            if message.key is not None and message.key.isdigit():
                placed[message.topic, message.key].add(message.partition)

        producer = KafkaProducer(bootstrap_servers=broker.settings.kafka_bootstrap)
        chosen = {
            (topic, key): {producer.send(topic, key=key, value=b"").get(timeout=30).partition}
            for topic, key in placed
        }
        producer.close()

        assert placed == chosen
        assert len(placed) == 20 * len(UTILITIES)


class TestABrokerThatIsKilled:
    def test_holds_up_the_run_and_costs_no_heartbeat(self, broker, s3):
        [kafka] = [one for one in services_of.services(broker.settings) if one.name == "kafka"]
        from_ms = HOUR + 24 * 60 * MINUTE_MS
        with reading(broker) as topics:
            since = topics.ends()
        run = broker.start(
            *("simulate", "--users", "40", "--seed", str(SEED), "--faults", FAULTS),
            *("--rate", "2500", "--from", "2025-10-10T09:00:00Z", "--to", "2025-10-10T09:10:00Z"),
        )
        try:
            with reading(broker) as topics:
                before = wait_for(topics, sum(since.values()) + 2_500) - sum(since.values())
            os.killpg(kafka.pid(), signal.SIGKILL)
            time.sleep(AWAY_S)
            waited = run.poll() is None
            kafka.start()
            kafka.wait()
            code = run.wait(timeout=WAIT_S_MAX)
        finally:
            run.kill()
            run.wait()
        with reading(broker) as topics:
            heartbeats, malformed = decoded(topics.messages(since))

        [recorded] = [one for one in s3.read_runs() if one.from_ms == from_ms]
        assert waited
        assert (code, recorded.finished) == (0, True)
        assert before < sum(ledger(recorded, "delivered").values())
        assert distinct(heartbeats) == ledger(recorded, "delivered")
        assert malformed >= collections.Counter(ledger(recorded, "malformed"))


def wait_for(topics, end):
    """Return the sum of the ends of all partitions once it is so great."""
    deadline = time.monotonic() + WAIT_S_MAX
    while (now := sum(topics.ends().values())) < end:
        assert time.monotonic() < deadline, f"{now} of {end} messages"
        time.sleep(0.1)
    return now
