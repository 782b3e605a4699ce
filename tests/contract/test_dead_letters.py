"""Pipe Kafka: the decoder in the JVM and the contract in Python answer the same, message for message."""

import time

import pytest
from kafka import KafkaConsumer, KafkaProducer

from infra.contracts import dead_letter
from infra.contracts.heartbeat import MalformedHeartbeatError, decode
from tests.support.malformed import GOOD, KEY, MALFORMED

WAIT_S_MAX = 90


@pytest.fixture(scope="module")
def letters(services):
    """The dead letters that the job wrote for MALFORMED, by (partition, offset) of their origin."""
    services.ask("stream", "run")
    producer = KafkaProducer(
        bootstrap_servers=services.settings.kafka_bootstrap,
        compression_type="lz4",
        max_request_size=4_000_000,
    )
    sent = {}
    for key, value, _ in [*MALFORMED, (KEY, GOOD, "")]:
        placed = producer.send("gas", key=key, value=value).get(timeout=10)
        sent[placed.partition, placed.offset] = (key, value)
    # Other tests' letters are of the same topic, and say that they come from elsewhere in it.
    own = {part: sorted(offset for other, offset in sent if other == part) for part, _ in sent}
    found = {}
    consumer = KafkaConsumer(
        dead_letter.TOPIC,
        bootstrap_servers=services.settings.kafka_bootstrap,
        auto_offset_reset="earliest",
        consumer_timeout_ms=1_000,
    )
    deadline = time.monotonic() + WAIT_S_MAX
    while len(found) < len(MALFORMED) and time.monotonic() < deadline:
        for message in consumer:
            headers = {name: raw.decode() for name, raw in message.headers}
            origin = int(headers[dead_letter.HEADER_PARTITION]), int(headers[dead_letter.HEADER_OFFSET])
            ours = origin[0] in own and own[origin[0]][0] <= origin[1] <= own[origin[0]][-1]
            if headers[dead_letter.HEADER_TOPIC] == "gas" and ours:
                found[origin] = (message.key, message.value, headers)
    consumer.close()
    return sent, found


class TestDeadLetters:
    def test_every_malformed_message_is_there_with_its_bytes_and_no_other_is(self, letters):
        sent, found = letters

        good = {origin for origin, message in sent.items() if message == (KEY, GOOD)}

        assert {origin: (key, value) for origin, (key, value, _) in found.items()} == {
            origin: (key, value and value[: dead_letter.VALUE_BYTES_MAX])
            for origin, (key, value) in sent.items()
            if origin not in good
        }

    def test_the_reason_is_the_contracts_own(self, letters):
        for key, value, headers in letters[1].values():
            if value and len(value) == dead_letter.VALUE_BYTES_MAX:
                assert headers[dead_letter.HEADER_REASON] == "value has 3000000 bytes, not 32"
                continue
            with pytest.raises(MalformedHeartbeatError) as malformed:
                decode("gas", key, value, int(headers[dead_letter.HEADER_TIMESTAMP]))
            assert headers[dead_letter.HEADER_REASON] == str(malformed.value)

    def test_the_origin_names_topic_and_the_brokers_time(self, letters):
        for _, _, headers in letters[1].values():
            assert headers[dead_letter.HEADER_TOPIC] == "gas"
            age_s = time.time() - int(headers[dead_letter.HEADER_TIMESTAMP]) / 1000
            assert 0 <= age_s < 2 * WAIT_S_MAX

    def test_the_count_is_visible(self, services, letters):
        assert services.ask("stream", "status")["dead_letters"] >= len(MALFORMED)

    def test_the_job_goes_on(self, services, letters):
        status = services.ask("stream", "status")

        assert (status["state"], status["restarts"]) == ("RUNNING", 0)
