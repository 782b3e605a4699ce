"""What is staged: put together to large loads without losing a row, summed alike by Spark and by anybody."""

import hashlib

import pyarrow as pa
import pytest

from batch import staging
from batch.database_sink import Database
from infra.mysql import grants


@pytest.mark.parametrize("sizes", [[], [0], [1, 0, 2], [3] * 7, [10, 1, 1], [9, 25, 4]])
def test_batches_are_gathered_in_order_to_loads_of_a_size(sizes, monkeypatch):
    monkeypatch.setattr(staging, "ROWS_A_LOAD", 5)
    firsts = [sum(sizes[:number]) for number in range(len(sizes))]
    batches = [
        pa.RecordBatch.from_pydict({"user_id": pa.array(range(first, first + size), pa.int64())})
        for first, size in zip(firsts, sizes, strict=True)
    ]

    loads = [load["user_id"].to_pylist() for load in staging.gathered(batches)]

    assert [user_id for load in loads for user_id in load] == list(range(sum(sizes)))
    assert all(5 <= len(load) < 5 + max(sizes) for load in loads[:-1])
    assert all(loads)


def test_a_rows_checksum_in_spark_is_that_of_its_text(spark):
    columns = ("user_id", "name", "first_sent_at")
    rows = [(1, 'Zoë "Z," 家 🏠', None), (2, "NULL", -1), (3, "", 2**62)]
    sql = staging.row_checksum_sql(columns, "BIGINT", "STRING")

    found = spark.createDataFrame(rows, "user_id BIGINT, name STRING, first_sent_at BIGINT").selectExpr(sql)

    texts = ['1,Zoë "Z," 家 🏠,NULL', "2,NULL,-1", f"3,,{2**62}"]
    wanted = [int(hashlib.md5(text.encode()).hexdigest()[:15], 16) for text in texts]
    assert [row[0] for row in found.collect()] == wanted


def test_batch_stages_where_it_is_allowed_to():
    database = Database("127.0.0.1", 3306, "night_1", "batch", "secret")

    assert database.staging == grants.staging_database(database.name)
