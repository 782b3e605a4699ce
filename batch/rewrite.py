"""A day's objects rewritten by Spark's tasks: read whole, parted by user, sorted, written, and read again.

Spark moves and counts; heartbeats travel as Arrow batches of hundreds of thousands, each one value of a row,
and what was read of them in sums beside them, so that a task that is repeated counts nothing twice.
"""

import contextlib
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from batch import heartbeat_columns, s3_sink
from batch.bucket_sink import Bucket
from batch.heartbeat_columns import Sums
from batch.literal_rows import literal_rows
from batch.night import Night, NightRefused

TASKS_A_CORE = 4
SAMPLED_MAX = 4  # objects, to see how many heartbeats there are and of whom
BATCHES_AT_ONCE = 16  # from Spark to a task
_CHUNKS = pa.schema([("file", pa.int32()), ("heartbeats", pa.binary()), ("sums", pa.string())])
_WRITTEN = pa.schema([("key", pa.string()), ("sums", pa.string())])


def sampled(bucket: Bucket, sizes: dict[str, int]) -> tuple[int, npt.NDArray[np.int64]]:
    """Return about how many heartbeats some objects hold, and the users of a sample of them.

    :raises NightRefused: naming an object that cannot be read.
    """
    keys = sorted(sizes)
    some = keys[:: -(-len(keys) // SAMPLED_MAX)]
    users = []
    for key in some:
        with _naming(bucket, key):
            users.append(heartbeat_columns.users(_content(bucket, key)))
    found = np.concatenate(users)
    share = sum(sizes[key] for key in some) / sum(sizes.values())
    return round(len(found) / share), found


def rewritten(
    spark: SparkSession,
    bucket: Bucket,
    sizes: dict[str, int],
    night: Night,
    first_users: npt.NDArray[np.int64],
    path: str,
) -> tuple[list[str], Sums]:
    """Write the heartbeats of some objects into a folder, sorted; return the keys, and sums of what was read.

    A file begins with each of `first_users`, and one before them.
    """
    files, bucket = len(first_users) + 1, _unconnected(bucket)

    def part(tasks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for key in _keys(tasks):
            read = []
            with _naming(bucket, key):
                for some in heartbeat_columns.batches(_content(bucket, key)):
                    read.append(heartbeat_columns.sums(some))
                    for file, heartbeats in heartbeat_columns.split(some, first_users):
                        yield _row(_CHUNKS, file, _packed(heartbeats), None)
            yield _row(_CHUNKS, 0, None, json.dumps(heartbeat_columns.added(read)))

    def write(chunks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parts: dict[int, list[pa.Table]] = {}
        for chunk in chunks:
            for file, heartbeats, sums in zip(*(column.to_pylist() for column in chunk.columns), strict=True):
                some = parts.setdefault(file, [heartbeat_columns.SCHEMA.empty_table()])
                if sums:
                    yield _row(_WRITTEN, None, sums)
                else:
                    some.append(_unpacked(heartbeats))
        while parts:
            file, some = parts.popitem()
            key = f"{path}/part-{file:05}{s3_sink.FILE_SUFFIX}"
            s3_sink.put_heartbeats(bucket, key, heartbeat_columns.in_order(some, night))
            yield _row(_WRITTEN, key, None)

    chunks = _tasks(spark, sizes).mapInArrow(part, "file INT, heartbeats BINARY, sums STRING")
    done = chunks.repartitionById(files, "file").mapInArrow(write, "key STRING, sums STRING")
    with _few_at_once(spark):
        rows = done.collect()
    keys = sorted(row["key"] for row in rows if row["key"])
    return keys, heartbeat_columns.added(json.loads(row["sums"]) for row in rows if row["sums"])


def summed(spark: SparkSession, bucket: Bucket, sizes: dict[str, int]) -> Sums:
    """Return the sums of what some objects hold."""
    bucket = _unconnected(bucket)

    def read(tasks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for key in _keys(tasks):
            with _naming(bucket, key):
                parts = heartbeat_columns.batches(_content(bucket, key))
                found = heartbeat_columns.added(heartbeat_columns.sums(part) for part in parts)
            yield _row(_WRITTEN, key, json.dumps(found))

    rows = _tasks(spark, sizes).mapInArrow(read, "key STRING, sums STRING").collect()
    return heartbeat_columns.added(json.loads(row["sums"]) for row in rows)


def _tasks(spark: SparkSession, sizes: dict[str, int]) -> DataFrame:
    """Return the keys in partitions, each with like shares of the bytes."""
    tasks = min(len(sizes), TASKS_A_CORE * spark.sparkContext.defaultParallelism)
    largest_first = sorted(sizes, key=lambda key: (-sizes[key], key))
    rows = [(key, number % max(tasks, 1)) for number, key in enumerate(largest_first)]
    return literal_rows(spark, rows, "key STRING, task INT").repartitionById(max(tasks, 1), "task")


@contextlib.contextmanager
def _few_at_once(spark: SparkSession) -> Iterator[None]:
    """Hand rows to tasks by the dozen: each is megabytes."""
    name = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(name)
    spark.conf.set(name, BATCHES_AT_ONCE)
    try:
        yield
    finally:
        spark.conf.set(name, before)


def _unconnected(bucket: Bucket) -> Bucket:
    """Return a bucket that may be sent to other processes, as a connection may not."""
    return dataclasses.replace(bucket)


def _keys(tasks: Iterable[pa.RecordBatch]) -> Iterator[str]:
    for batch in tasks:
        yield from batch.column("key").to_pylist()


def _row(schema: pa.Schema, *values: object) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array([value], field.type) for value, field in zip(values, schema, strict=True)], schema=schema
    )


def _packed(heartbeats: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, heartbeats.schema) as stream:
        stream.write_table(heartbeats)
    return bytes(sink.getvalue())


def _unpacked(packed: bytes) -> pa.Table:
    with pa.ipc.open_stream(packed) as stream:
        return stream.read_all()


def _content(bucket: Bucket, key: str) -> io.BytesIO:
    content = bucket.content(key)
    if content is None:
        raise NightRefused(f"object {bucket.url(key)} cannot be read: it is not there any more")
    return io.BytesIO(content)


@contextlib.contextmanager
def _naming(bucket: Bucket, key: str) -> Iterator[None]:
    """Say which object it is that Arrow cannot read.

    :raises NightRefused: naming it.
    """
    try:
        yield
    except (pa.ArrowException, OSError, KeyError) as error:
        said = " ".join(str(error).split())
        raise NightRefused(f"object {bucket.url(key)} cannot be read: {said}") from None
