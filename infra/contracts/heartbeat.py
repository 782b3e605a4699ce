"""One heartbeat on the wire: 32 bytes, little-endian, no padding, equal for every utility.

The Kafka key is the user id in decimal; a value that disagrees is malformed. The record's own timestamp is
the broker's: a heartbeat sent more than AHEAD_MS_MAX after it is malformed too, for no clock but a wrong one
is so far ahead. A fixed layout lets numpy and the JVM read a field without
looking at the ones before it, and makes a truncated message recognisable by its length alone.
"""

import re

import numpy as np

from infra.contracts.utility import UTILITIES, Utility

VERSION = 1
VALUE_BYTES = 32

# offset 0: version, 1: utility code, 2: region (ISO 3166-2, zero-padded), 8: user id,
# 12: rate, 16: sent_at, 24: register.
DTYPE = np.dtype(
    [
        ("version", "u1"),
        ("utility", "u1"),
        ("region", "S6"),
        ("user_id", "<u4"),
        ("rate", "<u4"),
        ("sent_at", "<i8"),
        ("register", "<i8"),
    ]
)
assert DTYPE.itemsize == VALUE_BYTES

USER_ID_MIN = 10_000_000
USER_ID_MAX = 99_999_999
REGISTER_MAX = 2**48 - 1
RATE_MAX = 2**31 - 1
INTERVAL_MS = 5_000
AHEAD_MS_MAX = 120_000
REGION_PATTERN = re.compile(rb"[A-Z]{2}-[A-Z0-9]{1,3}\Z")


class MalformedHeartbeatError(ValueError):
    """A message on a heartbeat topic that is not a heartbeat. Terminal: it goes to the dead letters."""


def encode(utility: Utility, user_id: int, sent_at: int, register: int, rate: int, region: str) -> bytes:
    """Return the 32 bytes of one heartbeat. The load path builds whole columns instead."""
    row = (VERSION, utility.code, region.encode(), user_id, rate, sent_at, register)
    return np.array([row], DTYPE).tobytes()


def decode(topic: str, key: bytes | None, value: bytes | None, appended_ms: int) -> dict[str, int | str]:
    """Return the heartbeat's fields, in the units of the contract; `appended_ms` is the broker's time.

    The JVM decoder of the stream answers the same, message for message; a contract test holds
    them together.

    :raises MalformedHeartbeatError: with the reason that goes into the dead letter's header.
    """
    if key is None or not re.fullmatch(rb"[1-9][0-9]{7}", key):
        raise MalformedHeartbeatError("key is not a user id of 8 digits")
    if value is None:
        raise MalformedHeartbeatError("value is null")
    if len(value) != VALUE_BYTES:
        raise MalformedHeartbeatError(f"value has {len(value)} bytes, not {VALUE_BYTES}")
    row = np.frombuffer(value, DTYPE)[0]
    if row["version"] != VERSION:
        raise MalformedHeartbeatError(f"version is {row['version']}, not {VERSION}")
    if row["utility"] >= len(UTILITIES) or UTILITIES[row["utility"]] != topic:
        raise MalformedHeartbeatError(f"utility is {row['utility']} on topic {topic}")
    if not REGION_PATTERN.match(value[2:8].rstrip(b"\0")):
        raise MalformedHeartbeatError("region is not an ISO 3166-2 code")
    if row["user_id"] != int(key):
        raise MalformedHeartbeatError("user_id differs from the key")
    if row["sent_at"] < 0:
        raise MalformedHeartbeatError("sent_at is before 1970")
    if row["sent_at"] > appended_ms + AHEAD_MS_MAX:
        raise MalformedHeartbeatError(
            f"sent_at is more than {AHEAD_MS_MAX // 1000} s ahead of the broker's clock"
        )
    if not 0 <= row["register"] <= REGISTER_MAX:
        raise MalformedHeartbeatError("register is out of range")
    if row["rate"] > RATE_MAX:
        raise MalformedHeartbeatError("rate is out of range")
    fields = {name: int(row[name]) for name in ("user_id", "sent_at", "register", "rate")}
    return {**fields, "region": row["region"].decode()}
