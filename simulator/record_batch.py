"""Whole Kafka record batches (format 2) built as numpy columns instead of message by message.

Rows whose varints have the same widths have the same layout, so each layout is one structured array;
records of odd sizes are encoded one by one in between.
"""

import dataclasses
import functools
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import crc32c
import lz4.frame
import numpy as np
import numpy.typing as npt

from infra.contracts.heartbeat import DTYPE
from simulator.hashes import Ints

KEY_DTYPE = np.dtype("S8")
# A heartbeat without field names: numpy copies such rows as a whole, eight times faster than by field.
PLAIN = np.dtype((np.void, DTYPE.itemsize))
# As many rows as stay below the usual message.max.bytes even if they did not compress at all.
ROWS_MAX = 16_384
# Up to here a run is filled by itself; beyond, gathering rows by layout costs less than so many calls.
RUNS_MAX = 32
_LZ4 = 3
_MAGIC = 2
_SEAL = ">qiiBI"
_SEALED_FROM = struct.calcsize(_SEAL)
_PRODUCER_AT = struct.calcsize(">hiqq")
_Odd = tuple[bytes | None, bytes | None]
_Rows = npt.NDArray[Any]
# Neighbouring rows of one layout: first row, row after the last, layout; layout 0 is that of odd records.
_Run = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Records:
    """Messages in their order: keys (S8), values (heartbeats), the record's timestamp being `sent_at`."""

    keys: _Rows
    values: _Rows
    odd: Mapping[int, _Odd] = dataclasses.field(default_factory=dict)
    """Position -> the key and value that stand there instead; the timestamp is the row's."""

    def __len__(self) -> int:
        return len(self.values)

    def cut(self, start: int, stop: int) -> "Records":
        """Return the messages from start up to stop."""
        odd = {position - start: pair for position, pair in self.odd.items() if start <= position < stop}
        return Records(self.keys[start:stop], self.values[start:stop], odd)

    def messages(self) -> Iterator[tuple[bytes | None, bytes | None, int]]:
        """Yield (key, value, timestamp in ms) one by one: for tests and tools, not for load."""
        for position, (key, value) in enumerate(zip(self.keys.tolist(), self.values, strict=True)):
            yield (*self.odd.get(position, (key, value.tobytes())), int(value["sent_at"]))


@dataclasses.dataclass(frozen=True)
class Producer:
    """Who writes, as the broker numbered it; (id, epoch, sequence) lets it drop what it already has."""

    producer_id: int = -1
    epoch: int = -1


def encode(records: Records, producer: Producer, sequence: int) -> bytes:
    """Return one batch of 1..ROWS_MAX records, lz4-compressed, `sequence` being the first record's."""
    assert 0 < len(records) <= ROWS_MAX
    sent_at = records.values["sent_at"]
    payload: bytes = lz4.frame.compress(
        b"".join(_pieces(records, sent_at - sent_at[0])), block_linked=False, store_size=False
    )
    count = len(records)
    head = struct.pack(
        ">hiqqqhii",
        _LZ4,
        count - 1,
        sent_at[0],
        sent_at.max(),
        producer.producer_id,
        producer.epoch,
        sequence,
        count,
    )
    return _sealed(head + payload)


def restamp(batch: bytes, producer: Producer, sequence: int) -> bytes:
    """Return the same batch as another producer's."""
    stamped = bytearray(batch[_SEALED_FROM:])
    struct.pack_into(">qhi", stamped, _PRODUCER_AT, producer.producer_id, producer.epoch, sequence)
    return _sealed(bytes(stamped))


def count_of(batch: bytes) -> int:
    """Return how many records a batch holds."""
    [last] = struct.unpack_from(">i", batch, _SEALED_FROM + 2)
    return int(last) + 1


def _sealed(content: bytes) -> bytes:
    """Put length and checksum before what they are of."""
    length = struct.calcsize(">iBI") + len(content)
    return struct.pack(_SEAL, 0, length, -1, _MAGIC, crc32c.crc32c(content)) + content


def _pieces(records: Records, delta_ms: Ints) -> Iterator[bytes | memoryview]:
    """Yield the encoded records in order, as few and as long pieces as their layouts allow."""
    time_zigzag = (delta_ms << 1) ^ (delta_ms >> 63)
    layout = _varint_width(time_zigzag) * 8 + _offset_width()[: len(records)]
    layout[list(records.odd)] = 0
    starts = [0, *(np.flatnonzero(layout[1:] != layout[:-1]) + 1).tolist()]
    runs = list(zip(starts, [*starts[1:], len(records)], layout[starts].tolist(), strict=True))
    fill = _fill_each if len(runs) <= RUNS_MAX else _fill_together
    filled = fill(records, time_zigzag, layout, runs)
    for start, stop, code in runs:
        if code:
            yield next(filled)
        else:
            for position in range(start, stop):
                yield _odd_record(*records.odd[position], int(time_zigzag[position]), position)


def _fill_each(records: Records, time_zigzag: Ints, _layout: Ints, runs: list[_Run]) -> Iterator[memoryview]:
    """Yield the bytes of each run that is not odd, run by run."""
    for start, stop, code in runs:
        if code:
            yield _fill(records, time_zigzag, slice(start, stop), code).data.cast("B")


def _fill_together(
    records: Records, time_zigzag: Ints, layout: Ints, runs: list[_Run]
) -> Iterator[memoryview]:
    """Yield the same, but fill all runs of one layout at once: a batch may have a run for every few rows."""
    codes = {code for _, _, code in runs if code}
    filled = {code: _fill(records, time_zigzag, np.flatnonzero(layout == code), code) for code in codes}
    taken = dict.fromkeys(codes, 0)
    for start, stop, code in runs:
        if code:
            begin = taken[code]
            taken[code] = begin + stop - start
            yield filled[code][begin : taken[code]].data.cast("B")


def _fill(records: Records, time_zigzag: Ints, chosen: Ints | slice, code: int) -> _Rows:
    """Return the chosen rows as bytes [row, record byte], all of the layout `code`."""
    time_width, offset_width = divmod(code, 8)
    times = time_zigzag[chosen]
    rows = np.empty(len(times), _layout_dtype(time_width, offset_width))
    # The length's own byte is not part of the length; every number is a zigzag varint.
    rows["length"] = (rows.dtype.itemsize - 1) << 1
    rows["attributes"] = 0
    rows["time"] = _plain(_varints(times, time_width))
    rows["offset"] = _plain(_offset_varints(offset_width)[chosen])
    rows["key_length"] = KEY_DTYPE.itemsize << 1
    rows["key"] = records.keys[chosen]
    rows["value_length"] = DTYPE.itemsize << 1
    rows["value"] = records.values.view(PLAIN)[chosen]
    rows["headers"] = 0
    return rows.view(np.uint8).reshape(len(rows), -1)


@functools.cache
def _layout_dtype(time_width: int, offset_width: int) -> np.dtype[np.void]:
    dtype = np.dtype(
        [
            ("length", "u1"),
            ("attributes", "u1"),
            ("time", np.void, time_width),
            ("offset", np.void, offset_width),
            ("key_length", "u1"),
            ("key", KEY_DTYPE),
            ("value_length", "u1"),
            ("value", PLAIN),
            ("headers", "u1"),
        ]
    )
    assert dtype.itemsize <= 64, "a record's length would no longer fit one byte"
    return dtype


def _plain(varints: npt.NDArray[np.uint8]) -> npt.NDArray[np.void]:
    """Return [row]: the bytes of each row as one element, which numpy copies faster than a row of bytes."""
    return varints.view(np.dtype((np.void, varints.shape[1])))[:, 0]


def _varint_width(zigzag: Ints) -> Ints:
    """Return the bytes of each varint, 1 to 5."""
    width = np.ones(len(zigzag), np.int64)
    for bits in (7, 14, 21, 28):
        limit = 1 << bits
        if zigzag.max() >= limit:
            width += zigzag >= limit
    return width


def _varints(zigzag: Ints, width: int) -> npt.NDArray[np.uint8]:
    """Return [row, byte]: varints that all have this width."""
    out = np.empty((len(zigzag), width), np.uint8)
    for byte in range(width):
        more = 0x80 if byte < width - 1 else 0
        out[:, byte] = (zigzag >> (7 * byte)) & 0x7F | more
    return out


@functools.cache
def _offset_width() -> Ints:
    return _varint_width(np.arange(ROWS_MAX, dtype=np.int64) << 1)


@functools.cache
def _offset_varints(width: int) -> npt.NDArray[np.uint8]:
    return _varints(np.arange(ROWS_MAX, dtype=np.int64) << 1, width)


def _odd_record(key: bytes | None, value: bytes | None, time_zigzag: int, position: int) -> bytes:
    """Return one record of any size."""
    parts = [b"\0", _varint(time_zigzag), _varint(position << 1)]
    for field in (key, value):
        parts.append(_varint(1) if field is None else _varint(len(field) << 1) + field)
    body = b"".join([*parts, b"\0"])
    return _varint(len(body) << 1) + body


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
