"""What operators see: the stream's own words as figures, nulls where a store is away, and dead letters."""

import asyncio
import datetime
import logging
import time
from collections.abc import Callable, Sequence

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving_builders import InMemoryLive, InMemoryTruth, a_night, instant

from infra.contracts.durations import DAY_MS
from infra.contracts.heartbeat import encode
from infra.contracts.utility import Utility
from serving.api import shapes, shapes_operations
from serving.figures.letters import Letter, Letters, preview, still_wrong
from serving.figures.operations import Produced, Sample, stream_state
from serving.stores.kafka_source import KafkaSource
from serving.stores.sources import StoreAway
from serving.stores.stream_metrics_source import StreamMetricsSource, Told

NOW = instant("2026-06-04T20:30:05")
TEXT = """
# TYPE meterbeat_stream_store_up gauge
meterbeat_stream_store_up{store="kafka"} 1
meterbeat_stream_store_up{store="flink"} 0
# TYPE meterbeat_stream_sampled_timestamp_seconds gauge
meterbeat_stream_sampled_timestamp_seconds 1000
# TYPE meterbeat_stream_produced_messages counter
meterbeat_stream_produced_messages_total{topic="gas"} 4000
meterbeat_stream_produced_messages_total{topic="water"} 6000
# TYPE meterbeat_stream_lag_messages gauge
meterbeat_stream_lag_messages{job_name="meterbeat-fold",topic="gas"} 5
meterbeat_stream_lag_messages{job_name="meterbeat-fold",topic="water"} 7
meterbeat_stream_lag_messages{job_name="meterbeat-archive",topic="gas"} 90
# TYPE meterbeat_stream_watermark_age_seconds gauge
meterbeat_stream_watermark_age_seconds 4.5
# TYPE meterbeat_stream_dead_letters gauge
meterbeat_stream_dead_letters 3
# TYPE flink_taskmanager_job_task_operator_late gauge
flink_taskmanager_job_task_operator_late{subtask_index="0"} 2
flink_taskmanager_job_task_operator_late{subtask_index="1"} 9
# TYPE flink_jobmanager_job_lastCheckpointDuration gauge
flink_jobmanager_job_lastCheckpointDuration 900
# TYPE flink_jobmanager_job_lastCheckpointCompletedTimestamp gauge
flink_jobmanager_job_lastCheckpointCompletedTimestamp -9.223372036854775808e18
"""
NIGHTS = [datetime.date(2026, 6, day) for day in (3, 2, 1)]
Ask = Callable[..., httpx.Response]


def samples() -> list[Sample]:
    return [
        Sample(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(TEXT)
        for sample in family.samples
    ]


class Stream:
    """Metrics of a stream that goes on producing."""

    def __init__(self) -> None:
        self.away: tuple[str, ...] = ()

    async def read(self) -> Told:
        return Told(() if self.away else samples(), self.away)


def a_letter(
    place: int, value: bytes | None = b"\x01gone", reason: str = "value has 5 bytes, not 32"
) -> Letter:
    return Letter(place, "gas", 1, 100 + place, NOW - DAY_MS + place, reason, b"10000042", value)


class LettersOnATopic:
    """Dead letters in memory; what was put back is in `back`."""

    def __init__(self, letters: Sequence[Letter]) -> None:
        self.held, self.back, self.away = list(letters), list[Letter](), False

    async def letters(self, before: int | None, limit: int) -> Letters:
        if self.away:
            raise StoreAway("Kafka is away")
        older = [one for one in reversed(self.held) if before is None or one.place < before]
        return Letters(older[:limit], older[limit - 1].place if len(older) > limit else None)

    async def letter(self, place: int) -> Letter | None:
        return next((one for one in self.held if one.place == place), None)

    async def put_back(self, letter: Letter) -> None:
        self.back.append(letter)

    async def close(self) -> None:
        pass


class TestStreamState:
    def test_is_what_the_metrics_tell(self) -> None:
        state = stream_state(samples(), Produced(990, 8_500), NOW)

        assert (state.lag_heartbeats, state.archive_lag_heartbeats) == (12, 90)
        assert (state.watermark_age_s, state.late, state.malformed) == (4.5, 11, 3)
        assert state.heartbeats_per_s == 150
        assert (state.checkpoint_duration_s, state.checkpoint_age_s) == (0.9, None)
        assert state.stores == {"kafka": True, "flink": False}

    def test_of_nothing_is_nothing_known_and_never_0(self) -> None:
        state = stream_state([], None, NOW)

        assert all(value is None for name, value in vars(state).items() if name != "stores")

    @pytest.mark.parametrize("before", [None, Produced(1_000, 9_000), Produced(990, 11_000)])
    def test_has_no_rate_without_two_samples_that_follow_each_other(self, before: Produced | None) -> None:
        assert stream_state(samples(), before, NOW).heartbeats_per_s is None


class TestLetter:
    def test_that_was_ahead_of_the_clock_is_a_heartbeat_later(self) -> None:
        value = encode(Utility.GAS, 10_000_042, NOW, 5, 6, "US-NY")
        letter = a_letter(1, value)

        assert still_wrong(letter, NOW) is None
        assert "ahead" in (still_wrong(letter, NOW - DAY_MS) or "")

    def test_of_another_topic_or_of_no_heartbeat_stays_one(self) -> None:
        value = encode(Utility.GAS, 10_000_042, NOW, 5, 6, "US-NY")

        assert still_wrong(a_letter(1, value)._replace(topic="dead-letter"), NOW)
        assert still_wrong(a_letter(1, value)._replace(topic="water"), NOW)
        assert still_wrong(a_letter(1), NOW) == "value has 5 bytes, not 32"
        assert still_wrong(a_letter(1, None), NOW) == "value is null"

    def test_is_previewed_in_part(self) -> None:
        assert preview(a_letter(1)) == "01676f6e65"
        assert len(preview(a_letter(1, bytes(10_000))) or "") == 512
        assert preview(a_letter(1, None)) is None


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def letters() -> LettersOnATopic:
    good = encode(Utility.GAS, 10_000_042, NOW - 1_000, 5, 6, "US-NY")
    return LettersOnATopic([*(a_letter(place) for place in range(9)), a_letter(9, good, "sent_at is ahead")])


@pytest.fixture
def truth() -> InMemoryTruth:
    truth = InMemoryTruth()
    truth.published = [a_night(night) for night in NIGHTS]
    return truth


@pytest.fixture
def ask(asking: Callable[..., Ask], truth: InMemoryTruth, stream: Stream, letters: LettersOnATopic) -> Ask:
    return asking(InMemoryLive(), truth, NOW, stream=stream, letters=letters)


class TestOperations:
    def test_tell_how_the_platform_does(self, ask: Ask) -> None:
        document = shapes_operations.Operations.model_validate_json(ask("/api/v1/operations").content)

        assert (document.lag_heartbeats, document.watermark_age_s) == (12, 4.5)
        assert document.stores.model_dump() == {
            "redis": "ok",
            "mysql": "ok",
            "kafka": "ok",
            "flink": "away",
        }
        assert document.nights is not None
        assert [one.night for one in document.nights] == ["2026-06-03", "2026-06-02", "2026-06-01"]
        assert document.notes == []

    def test_are_nulls_and_notes_where_everything_is_away(
        self, ask: Ask, stream: Stream, truth: InMemoryTruth
    ) -> None:
        stream.away, truth.away = ("http://watch/metrics",), True

        document = shapes_operations.Operations.model_validate_json(ask("/api/v1/operations").content)

        assert (document.lag_heartbeats, document.nights, document.stores.kafka) == (None, None, None)
        assert document.stores.mysql == "away"
        assert len(document.notes) == 2


class TestDeadLetters:
    PATH = "/api/v1/operations/dead-letters"

    def test_are_told_with_the_newest_first(self, ask: Ask) -> None:
        page = shapes_operations.DeadLetters.model_validate_json(ask(f"{self.PATH}?limit=4").content)
        rest = ask(f"{self.PATH}?limit=100&cursor={page.next}").json()

        assert [item.offset for item in page.items] == [109, 108, 107, 106]
        assert [item["offset"] for item in rest["items"]] == [105, 104, 103, 102, 101, 100]
        assert (page.items[1].size_bytes, page.items[1].value_preview) == (5, "01676f6e65")
        assert rest["next"] is None

    def test_are_503_while_kafka_is_away(self, ask: Ask, letters: LettersOnATopic) -> None:
        letters.away = True

        answer = ask(self.PATH)

        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0

    def test_go_back_where_they_came_from(
        self, ask: Ask, letters: LettersOnATopic, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            answer = ask(
                f"{self.PATH}/replay",
                method="POST",
                body={"place": 9, "topic": "gas", "partition": 1, "offset": 109},
            )

        shapes_operations.Replayed.model_validate_json(answer.content)
        assert letters.back == [letters.held[-1]]
        assert "dead letter put back: letter=gas/1/109 by=operator" in caplog.text

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"place": 8, "topic": "gas", "partition": 1, "offset": 108}, 409),
            ({"place": 500, "topic": "gas", "partition": 1, "offset": 500}, 404),
            ({"place": 9, "topic": "gas", "partition": 1, "offset": 108}, 404),
            ({"place": 9, "topic": "water", "partition": 1, "offset": 109}, 404),
            ({"place": 8, "topic": "tick", "partition": 1, "offset": 108}, 422),
            ({"place": 8, "topic": "gas", "partition": -1, "offset": 108}, 422),
            ({"place": 8, "topic": "gas", "partition": "1", "offset": 108}, 422),
            ({"place": -1, "topic": "gas", "partition": 1, "offset": 108}, 422),
            ({"topic": "gas", "partition": 1, "offset": 108}, 422),
            ({"topic": "gas"}, 422),
            ([], 422),
        ],
    )
    def test_that_cannot_are_refused(
        self, ask: Ask, letters: LettersOnATopic, body: object, status: int
    ) -> None:
        answer = ask(f"{self.PATH}/replay", method="POST", body=body)

        assert answer.status_code == status, answer.text
        assert shapes.Problem.model_validate_json(answer.content).status == status
        assert letters.back == []


class TestSourcesAway:
    def test_cost_no_more_than_their_time_limit(self) -> None:
        """Addresses where nothing listens."""
        began = time.monotonic()

        told = asyncio.run(StreamMetricsSource(["http://127.0.0.1:1/metrics"] * 2, 500).read())

        assert (told.samples, len(told.away)) == ([], 2)
        assert time.monotonic() - began < 5

    def test_kafka_is_a_store_away(self) -> None:
        async def asked() -> None:
            source = KafkaSource("127.0.0.1:1", lambda: NOW)
            with pytest.raises(StoreAway):
                await source.letters(None, 5)
            await source.close()

        began = time.monotonic()
        asyncio.run(asked())

        assert time.monotonic() - began < 15
