"""The JSON shapes of operations: the stream, the stores, the last nights, dead letters."""

from typing import Literal

from pydantic import Field

from serving.api.shapes import Note, Shape, UtcTime
from serving.api.shapes_country import NightItem
from serving.api.shapes_usage import A_CURSOR, NEXT, Cursor

State = Literal["ok", "away"]


class Archive(Shape):
    """How the archive keeps up."""

    lag_heartbeats: int | None = Field(
        description="on the topics, and in no file that its last checkpoint covers", examples=[812_004]
    )


class Checkpoints(Shape):
    """Flink's checkpoints, over both jobs."""

    age_s: float | None = Field(description="since the older job's last one", examples=[7.2])
    duration_s: float | None = Field(description="of the longer last one", examples=[0.9])
    failed: int | None = Field(description="since the jobs were started", examples=[0])


class RedisMemory(Shape):
    """Redis' memory."""

    used_bytes: int | None = Field(examples=[512_004_551])
    limit_bytes: int | None = Field(description="0: none", examples=[0])


class StoreStates(Shape):
    """Whether each store answers: redis and mysql serving itself, kafka and flink the stream's watch."""

    redis: State
    mysql: State
    kafka: State | None
    flink: State | None


class Operations(Shape):
    """How the platform does; null is what is not known, and a note says why."""

    as_of: UtcTime
    notes: list[Note]
    lag_heartbeats: int | None = Field(description="on the topics, and not yet folded", examples=[50_112])
    watermark_age_s: float | None = Field(description="event time behind the clock", examples=[4.1])
    newest_event_age_s: float | None = Field(description="of the newest heartbeat read", examples=[0.8])
    heartbeats_per_s: int | None = Field(
        description="over the last seconds; null until the process has looked twice", examples=[150_004]
    )
    late: int | None = Field(
        description="heartbeats behind the watermark, since the job began", examples=[1_204]
    )
    malformed: int | None = Field(description="messages on the topic of dead letters", examples=[12])
    live_users: int | None = Field(description="users with live state", examples=[802_113])
    archive: Archive
    checkpoints: Checkpoints
    redis: RedisMemory
    stores: StoreStates
    nights: list[NightItem] | None = Field(description="the newest ones; null while MySQL is away")


class DeadLetter(Shape):
    """A message that was no heartbeat."""

    place: int = Field(description="among the dead letters; a replay names it", examples=[812])
    topic: str = Field(examples=["electricity"])
    partition: int = Field(examples=[3])
    offset: int = Field(examples=[8_112_004])
    reason: str = Field(examples=["value has 31 bytes, not 32"])
    at: UtcTime = Field(description="when the broker took it")
    size_bytes: int = Field(description="of its value", examples=[31])
    value_preview: str | None = Field(
        description="its first 256 bytes in hexadecimal; null without a value", examples=["010055532d4e59"]
    )


class DeadLetters(Shape):
    """Dead letters, the newest first, each once."""

    items: list[DeadLetter]
    next: Cursor = Field(description=NEXT, examples=[A_CURSOR])


class Replay(Shape):
    """Which dead letter to put back: its place, and where it came from, which must be as listed."""

    place: int = Field(ge=0, le=2**62, examples=[812])
    topic: Literal["electricity", "gas", "water"]
    partition: int = Field(ge=0, le=100_000, examples=[3])
    offset: int = Field(ge=0, le=2**62, examples=[8_112_004])


class Replayed(Shape):
    """A dead letter that was put back on its topic."""

    topic: str = Field(examples=["electricity"])
    partition: int = Field(examples=[3])
    offset: int = Field(examples=[8_112_004])
    replayed_at: UtcTime
