"""What Spark's tasks do with a day's objects, here in a folder in place of a bucket."""

import datetime
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException

from batch import failure, heartbeat_columns, rewrite
from batch.heartbeat_columns import SCHEMA
from batch.night import Night
from tests.support.folder import Folder

NIGHT = Night(datetime.date(2026, 3, 29))
USERS, BEATS, OBJECTS = 40, 300, 3
FILES_FROM = np.array([10_000_010, 10_000_025])


@pytest.fixture
def folder(tmp_path):
    """Objects of a few beats each, every user in every one of them."""
    found = Folder(tmp_path)
    for number in range(OBJECTS):
        put(found, f"part-{number}", beats(number))
    return found


def beats(number):
    slots = np.arange(BEATS) + number * BEATS
    user = 10_000_000 + np.tile(np.arange(USERS), BEATS)
    sent_at = NIGHT.start_ms + np.repeat(slots, USERS) * 5_000
    columns = [user, sent_at, sent_at // 1_000, user % 7, np.array(["US-CA", "US-NY"])[user % 2]]
    return pa.table(columns, names=SCHEMA.names)


def put(folder, key, table):
    content = io.BytesIO()
    pq.write_table(table, content)
    folder.put(key, content.getvalue())


def sizes(folder, pattern):
    return {path.name: path.stat().st_size for path in folder.path.glob(pattern)}


def test_objects_become_files_in_order_with_the_same_sums(spark, folder):
    keys, read = rewrite.rewritten(spark, folder, sizes(folder, "part-?"), NIGHT, FILES_FROM, ".")

    written = [pq.read_table(folder.path / key) for key in keys]
    rows = [tuple(row.values()) for table in written for row in table.to_pylist()]
    assert rows == sorted(tuple(row.values()) for n in range(OBJECTS) for row in beats(n).to_pylist())
    assert [table["user_id"][0].as_py() for table in written] == [10_000_000, *FILES_FROM]
    assert rewrite.summed(spark, folder, dict.fromkeys(keys, 1)) == read
    assert read == heartbeat_columns.added(heartbeat_columns.sums(table.cast(SCHEMA)) for table in written)


def test_an_object_that_only_its_task_finds_unreadable_is_named(spark, folder):
    put(folder, "part-2", beats(2).set_column(4, "region", pa.array(range(USERS * BEATS))))

    with pytest.raises(PySparkException) as failed:
        rewrite.rewritten(spark, folder, sizes(folder, "part-?"), NIGHT, FILES_FROM, ".")

    assert failure.in_one_line(str(failed.value)).startswith("object s3a://folder/part-2 cannot be read: ")
