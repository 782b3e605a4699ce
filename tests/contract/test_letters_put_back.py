"""Dead letters over a real Kafka: listed newest first, read by their place, put back where they came from."""

import asyncio
import time

from fleet_builders import NOW
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from infra.contracts import dead_letter
from infra.contracts.heartbeat import encode
from infra.contracts.utility import Utility
from serving.stores.kafka_source import KafkaSource


class TestDeadLetters:
    VALUE = encode(Utility.GAS, 99_999_996, NOW - 1_000, 5, 6, "US-NY")

    def letters(self, services, *values):
        """Put letters on the topic, the last one the newest; return where they say they came from."""
        producer = KafkaProducer(bootstrap_servers=services.settings.kafka_bootstrap)
        origin = time.time_ns()
        for number, value in enumerate(values):
            headers = {
                dead_letter.HEADER_TOPIC: "gas",
                dead_letter.HEADER_PARTITION: "1",
                dead_letter.HEADER_OFFSET: str(origin + number),
                dead_letter.HEADER_TIMESTAMP: str(NOW),
                dead_letter.HEADER_REASON: f"reason {number}",
            }
            told = [(name, text.encode()) for name, text in headers.items()]
            producer.send(dead_letter.TOPIC, value, b"99999996", told, partition=0)
        producer.flush()
        producer.close()
        return [origin + number for number in range(len(values))]

    def asked(self, services, question):
        async def asking():
            source = KafkaSource(services.settings.kafka_bootstrap, lambda: NOW)
            try:
                return await question(source)
            finally:
                await source.close()

        return asyncio.run(asking())

    def test_are_read_newest_first_and_in_pages_once(self, services):
        offsets = self.letters(services, b"one", b"two", None, b"four", b"four")

        async def pages(source):
            first = await source.letters(None, 2)
            return first.items, (await source.letters(first.next, 3)).items

        first, second = self.asked(services, pages)

        assert [letter.offset for letter in (*first, *second)] == offsets[::-1]
        assert [letter.value for letter in second] == [None, b"two", b"one"]
        assert (first[0].topic, first[0].partition, first[0].reason) == ("gas", 1, "reason 4")

    def test_of_a_place_is_read_without_the_others(self, services):
        offsets = self.letters(services, b"one", b"\0" * 300_000, b"three")

        async def singly(source):
            newest = (await source.letters(None, 3)).items
            end = newest[0].place + 1
            return newest, [await source.letter(one.place) for one in newest], await source.letter(end)

        newest, found, beyond = self.asked(services, singly)

        assert found == list(newest)
        assert [one.offset for one in found] == offsets[::-1]
        assert beyond is None

    def test_go_back_to_the_partition_they_came_from(self, services):
        [offset] = self.letters(services, self.VALUE)
        part = TopicPartition("gas", 1)
        consumer = KafkaConsumer(bootstrap_servers=services.settings.kafka_bootstrap)
        consumer.assign([part])
        end = consumer.end_offsets([part])[part]

        async def back(source):
            [letter] = (await source.letters(None, 1)).items
            assert letter.offset == offset
            await source.put_back(letter)

        self.asked(services, back)

        consumer.seek(part, end)
        messages = [one for found in consumer.poll(timeout_ms=10_000).values() for one in found]
        consumer.close()
        assert [(one.key, one.value) for one in messages] == [(b"99999996", self.VALUE)]
