"""Heartbeats as Arrow columns: what tells two sets of them apart, which file each goes to, and their order.

Here a task of Spark works on millions of heartbeats at once, in numpy; none is ever a row of its own.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch.night import Night
from infra.contracts import archive
from infra.contracts.durations import DAY_MS

ROWS_A_BATCH = 1 << 18  # what is read, sent and summed at once
ROWS_A_GROUP = 1 << 20  # of a file that is written
INTEGERS = ("user_id", "sent_at", "register", "rate")
_TYPES = {"INT": pa.int32(), "BIGINT": pa.int64(), "STRING": pa.dictionary(pa.int32(), pa.string())}
SCHEMA = pa.schema([(name, _TYPES[kind]) for name, kind in archive.COLUMNS.items()])
LOW_BITS = 24
LOW_MASK = (1 << LOW_BITS) - 1
INSTANT_BITS = 27  # of a day in ms
# Odd numbers without a pattern, to mix a value's bits and to stand for a value that is missing.
_MIX, _MISSING = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)

Sums = dict[str, int]


def batches(source: Any) -> Iterator[pa.Table]:
    """Yield the heartbeats of a Parquet file in the contract's types, regions as a dictionary.

    :raises pyarrow.ArrowException: if it is none, lacks a column, or a value does not fit its type.
    """
    file = pq.ParquetFile(source)
    if _has_dictionary(file.metadata):
        file = pq.ParquetFile(source, read_dictionary=["region"], metadata=file.metadata)
    for batch in file.iter_batches(ROWS_A_BATCH, columns=[*archive.COLUMNS]):
        yield pa.Table.from_batches([batch]).select(SCHEMA.names).cast(SCHEMA)


def users(source: Any) -> npt.NDArray[np.int64]:
    """Return the user of each heartbeat of a Parquet file, 0 where it is missing.

    :raises pyarrow.ArrowException: if it is none.
    :raises KeyError: if it lacks the column.
    """
    table = pq.ParquetFile(source).read(columns=["user_id"])
    return _values(table.column("user_id"))[1]


def sums(heartbeats: pa.Table) -> Sums:
    """Return exact sums that tell whether two sets of heartbeats, doubled ones included, are the same.

    One a column, how many of its values are known, and one of a hash over whole rows, so that values that
    changed places show too. Of at most ROWS_A_BATCH rows.
    """
    hashed = np.zeros(len(heartbeats), np.uint64)
    found = {"rows": len(heartbeats)}
    for name in INTEGERS:
        known, values = _values(heartbeats.column(name))
        found[name] = (int((values >> LOW_BITS).sum()) << LOW_BITS) + int((values & LOW_MASK).sum())
        found[f"{name}_known"] = len(values) if known is None else int(known.sum())
        hashed = _mixed(hashed, values.view(np.uint64), known)
    known, codes = _regions(heartbeats.column("region"))
    hashed = _mixed(hashed, codes, known)
    low = int((hashed & np.uint64(LOW_MASK)).sum())
    found["hash"] = (int((hashed >> np.uint64(LOW_BITS)).sum()) << LOW_BITS) + low
    return found


def added(parts: Iterable[Mapping[str, int]]) -> Sums:
    """Return the sums of several sets together."""
    found = sums(SCHEMA.empty_table())
    for part in parts:
        found = {name: found[name] + part[name] for name in found}
    return found


def bounds(user_ids: npt.NDArray[np.int64], files: int) -> npt.NDArray[np.int64]:
    """Return which users are the first of each file but the first one, so that files get like shares.

    `user_ids` are those of a sample of heartbeats; files - 1 bounds at most, in order.
    """
    if files < 2 or not len(user_ids):
        return np.zeros(0, np.int64)
    ordered = np.sort(user_ids)
    firsts: npt.NDArray[np.int64] = np.unique(ordered[np.arange(1, files) * len(ordered) // files])
    return firsts


def split(heartbeats: pa.Table, first_users: npt.NDArray[np.int64]) -> Iterator[tuple[int, pa.Table]]:
    """Yield the heartbeats of each file that there are any of, with its number."""
    if not len(first_users):
        yield 0, heartbeats
        return
    _, user_id = _values(heartbeats.column("user_id"))
    # Small numbers are sorted by counting.
    file = np.searchsorted(first_users, user_id, "right").astype(np.uint16)
    parted = heartbeats.combine_chunks().take(pa.array(np.argsort(file, kind="stable")))
    ends = np.cumsum(np.bincount(file, minlength=len(first_users) + 1))
    for number, (start, end) in enumerate(itertools.pairwise([0, *ends.tolist()])):
        if end > start:
            yield number, parted.slice(start, end - start)


def in_order(parts: list[pa.Table], night: Night) -> Iterator[pa.Table]:
    """Yield the heartbeats of all parts by user and time, as many as a row group holds at once.

    Each is held twice; the list is emptied.
    """
    whole = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    parts.clear()
    _, user_id = _values(whole.column("user_id"))
    _, sent_at = _values(whole.column("sent_at"))
    place = (user_id << INSTANT_BITS) + np.clip(sent_at - night.start_ms, 0, DAY_MS)
    # The objects come in the order of time, so that long stretches are in order already.
    order = pa.array(np.argsort(place, kind="stable"))
    for first in range(0, len(order), ROWS_A_GROUP):
        yield whole.take(order.slice(first, ROWS_A_GROUP))


def _has_dictionary(metadata: pq.FileMetaData) -> bool:
    """Return whether all regions may be read as codes, which takes half the time.

    A writer to which a dictionary saves nothing, as in a file of few heartbeats, encodes them as deltas, and
    Arrow decodes deltas to text only.
    """
    if "region" not in metadata.schema.names:
        return False
    place = metadata.schema.names.index("region")
    columns = (metadata.row_group(group).column(place) for group in range(metadata.num_row_groups))
    return not any(encoding.startswith("DELTA") for column in columns for encoding in column.encodings)


def _values(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.bool_] | None, npt.NDArray[np.int64]]:
    """Return which values are known, None for all, and the values, 0 for a missing one."""
    known: npt.NDArray[np.bool_] | None = column.is_valid().to_numpy() if column.null_count else None
    whole = column.fill_null(0) if column.null_count else column
    values: npt.NDArray[np.int64] = whole.to_numpy().astype(np.int64, copy=False)
    return known, values


def _regions(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.bool_] | None, npt.NDArray[np.uint64]]:
    """Return which regions are known, None for all, and a number for each."""
    encoded = column.unify_dictionaries().combine_chunks()
    words = encoded.dictionary.to_pylist()
    numbers = [int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest()) for word in words]
    known = None if not encoded.null_count else encoded.is_valid().to_numpy(zero_copy_only=False)
    indices = pc.fill_null(encoded.indices, 0).to_numpy(zero_copy_only=False)
    return known, np.array([*numbers, 0], np.uint64)[indices]


def _mixed(
    hashed: npt.NDArray[np.uint64], values: npt.NDArray[np.uint64], known: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.uint64]:
    """Return the hashes with one more value in each, missing ones told from any known one."""
    value = values if known is None else np.where(known, values, _MISSING)
    mixed = (hashed ^ value) * _MIX
    mixed ^= mixed >> _HALF
    return mixed * _MIX
