"""Single heartbeats of single meters, sent to a real stream and read back from live state."""

import time

import redis
from kafka import KafkaProducer

from infra.contracts.heartbeat import encode
from infra.contracts.live_state import decode_live_state, live_key

USER = 10_777_777
WAIT_S_MAX = 60


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

    def wait_for(self, utility, sent_at, user_id=USER, within_s=WAIT_S_MAX):
        """Return the meter once its newest heartbeat is the one sent at an instant."""
        deadline = time.monotonic() + within_s
        while (meter := self.meter(utility, user_id)) is None or meter.sent_at < sent_at:
            assert time.monotonic() < deadline, meter
            time.sleep(0.2)
        return meter
