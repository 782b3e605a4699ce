"""Dead letters as they are shown to operators, and which of them may go back: pure."""

from collections.abc import Sequence
from typing import NamedTuple

from infra.contracts import heartbeat
from infra.contracts.utility import UTILITIES

PREVIEW_BYTES_MAX = 256


class Letter(NamedTuple):
    """A message that was no heartbeat: where it came from, when (ms), why it is one, and its own bytes.

    `place` is its own offset on the topic of dead letters.
    """

    place: int
    topic: str
    partition: int
    offset: int
    at_ms: int
    reason: str
    key: bytes | None
    value: bytes | None


class Letters(NamedTuple):
    """Some letters, the newest first, and the place before which the next ones are; None at the end."""

    items: Sequence[Letter]
    next: int | None


def still_wrong(letter: Letter, now_ms: int) -> str | None:
    """Return why a letter's bytes are no heartbeat now either, None where they are one."""
    if letter.topic not in UTILITIES:
        return f"{letter.topic} is no topic of heartbeats"
    try:
        heartbeat.decode(letter.topic, letter.key, letter.value, now_ms)
    except heartbeat.MalformedHeartbeatError as error:
        return str(error)
    return None


def preview(letter: Letter) -> str | None:
    """Return the beginning of a letter's value as hexadecimal digits."""
    return None if letter.value is None else letter.value[:PREVIEW_BYTES_MAX].hex()
