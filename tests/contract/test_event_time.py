"""Event time with a real job: what a partition, a topic or a clock does wrong holds nobody else back."""

import time

import pytest
import redis
from kafka import KafkaProducer

from infra.contracts.heartbeat import INTERVAL_MS, encode
from infra.contracts.live_state import decode_live_state, live_key
from infra.contracts.utility import Utility

USER, OTHER = 10_777_777, 10_777_778
WAIT_S_MAX = 60
AHEAD_MS = 3_600_000
BEATS = 24


class Meters:
    """Sends single heartbeats and reads live state back."""

    def __init__(self, settings):
        self._producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
        self._redis = redis.Redis.from_url(settings.redis_url)

    def send(self, utility, sent_at, register, user_id=USER):
        value = encode(utility, user_id, sent_at, register, rate=7, region="US-CA")
        self._producer.send(utility.value, key=str(user_id).encode(), value=value)

    def send_malformed(self, utility, user_id=USER):
        self._producer.send(utility.value, key=str(user_id).encode(), value=b"?")

    def flush(self):
        self._producer.flush()

    def meter(self, utility, user_id=USER):
        fields = self._redis.hgetall(live_key(user_id))
        return decode_live_state(fields).meters.get(utility) if fields else None

    def wait_for(self, utility, sent_at, user_id=USER):
        """Return the meter once its newest heartbeat is the one sent at an instant."""
        deadline = time.monotonic() + WAIT_S_MAX
        while (meter := self.meter(utility, user_id)) is None or meter.sent_at < sent_at:
            assert time.monotonic() < deadline, meter
            time.sleep(0.2)
        return meter


@pytest.fixture(scope="module")
def meters(services):
    services.ask("stream", "run")
    return Meters(services.settings)


def out_of_order(start):
    """Return (sent_at, register) of beats that rise, each pair swapped and some doubled."""
    beats = [(start + index * 1_000, 1_000 + index) for index in range(BEATS)]
    swapped = [beat for pair in zip(beats[1::2], beats[::2], strict=True) for beat in pair]
    return swapped + swapped[-4:]


def test_a_clock_far_ahead_moves_neither_the_watermark_nor_the_fence(services, meters):
    """The topics gas and water are silent meanwhile, and one partition of gas gets nothing but garbage."""
    before = len(services.ask("stream", "dead-letters"))
    start = int(time.time() * 1000) - BEATS * 1_000
    meters.send(Utility.ELECTRICITY, start + AHEAD_MS, 999_999)
    for sent_at, register in out_of_order(start):
        meters.send(Utility.ELECTRICITY, sent_at, register)
        meters.send_malformed(Utility.GAS)
    meters.flush()

    meter = meters.wait_for(Utility.ELECTRICITY, start + (BEATS - 1) * 1_000)

    letters = services.ask("stream", "dead-letters")
    assert (meter.sent_at, meter.register) == (start + (BEATS - 1) * 1_000, 1_000 + BEATS - 1)
    assert len(letters) == before + 1 + len(out_of_order(start))
    assert "sent_at is more than 120 s ahead of the broker's clock" in [one["reason"] for one in letters]
    assert services.ask("stream", "status")["watermark_ms"] < start + AHEAD_MS / 2


def test_a_topic_that_wakes_up_is_on_time_again(services, meters):
    late = services.ask("stream", "status")["late"]
    start = int(time.time() * 1000)
    for beat in range(3):
        meters.send(Utility.WATER, start + beat * 100, 500 + beat, OTHER)
        meters.flush()

    meter = meters.wait_for(Utility.WATER, start + 200, OTHER)

    assert meter.register == 502
    assert services.ask("stream", "status")["late"] == late


def test_a_late_heartbeat_is_counted_and_steps_nothing_back(services, meters):
    late = services.ask("stream", "status")["late"]
    newest = int(time.time() * 1000)
    meters.send(Utility.GAS, newest, 900)
    meters.flush()
    meters.wait_for(Utility.GAS, newest)

    meters.send(Utility.GAS, newest - 20 * INTERVAL_MS, 800)
    meters.flush()

    deadline = time.monotonic() + WAIT_S_MAX
    while services.ask("stream", "status")["late"] == late:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    meter = meters.meter(Utility.GAS)
    assert (meter.sent_at, meter.register) == (newest, 900)
