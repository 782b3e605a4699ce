"""Messages on the topic gas that are no heartbeats, each with the reason that its dead letter must give."""

import struct

from infra.contracts.heartbeat import encode
from infra.contracts.utility import Utility

KEY = b"10000001"
SENT_AT = 1_780_000_000_123
GOOD = encode(Utility.GAS, user_id=10_000_001, sent_at=SENT_AT, register=1_000, rate=20, region="US-CA")


def patched(offset: int, replacement: bytes) -> bytes:
    """Return the good heartbeat with some bytes replaced."""
    return GOOD[:offset] + replacement + GOOD[offset + len(replacement) :]


MALFORMED: list[tuple[bytes | None, bytes | None, str]] = [
    (KEY, None, "value is null"),
    (KEY, b"", "value has 0 bytes, not 32"),
    (KEY, GOOD[:31], "value has 31 bytes, not 32"),
    (KEY, GOOD + b"\0", "value has 33 bytes, not 32"),
    (KEY, b"\0" * 3_000_000, "value has 3000000 bytes, not 32"),
    (KEY, b'{"user_id": 10000001, "register": "x"}', "value has 38 bytes, not 32"),
    (KEY, b"not,a,number,not,a,number,not,a,", "version is 110, not 1"),
    (KEY, patched(0, b"\2"), "version is 2, not 1"),
    (KEY, patched(1, b"\0"), "utility is 0 on topic gas"),
    (KEY, patched(1, b"\x09"), "utility is 9 on topic gas"),
    (KEY, patched(2, b"us-ca\0"), "region is not an ISO 3166-2 code"),
    (KEY, patched(2, b"US-\0\0\0"), "region is not an ISO 3166-2 code"),
    (KEY, patched(2, b"US-C\0A"), "region is not an ISO 3166-2 code"),
    (KEY, patched(8, struct.pack("<I", 10_000_002)), "user_id differs from the key"),
    (KEY, patched(16, struct.pack("<q", -1)), "sent_at is before 1970"),
    (KEY, patched(16, struct.pack("<q", 2**62)), "sent_at is more than 120 s ahead of the broker's clock"),
    (KEY, patched(24, struct.pack("<q", -1)), "register is out of range"),
    (KEY, patched(24, struct.pack("<q", 2**48)), "register is out of range"),
    (KEY, patched(12, struct.pack("<I", 2**31)), "rate is out of range"),
    (None, GOOD, "key is not a user id of 8 digits"),
    (b"", GOOD, "key is not a user id of 8 digits"),
    (b"1000001", GOOD, "key is not a user id of 8 digits"),
    (b"01000001", GOOD, "key is not a user id of 8 digits"),
    (b"+1000001", GOOD, "key is not a user id of 8 digits"),
    (b"user-one", GOOD, "key is not a user id of 8 digits"),
]
