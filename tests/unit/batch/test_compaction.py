import datetime

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from batch import compaction
from batch.archived_day import ArchivedDay
from batch.compaction import CompactionRefused
from batch.night import Night
from infra.contracts import archive
from infra.contracts.utility import Utility

NIGHT = Night(datetime.date(2026, 3, 29))
HOME, OTHER = 10_000_000, 99_999_999
NOON = NIGHT.start_ms + 43_200_000
LAST = NIGHT.end_ms - 1
BEATS = [(HOME, NOON, 5, 0, "US-CA"), (OTHER, LAST, 2**48 - 1, 2**31 - 1, "US-NY")]


def heartbeats(spark: SparkSession, rows: list[tuple[object, ...]]) -> DataFrame:
    kinds = (pa.int64(), pa.int64(), pa.int64(), pa.int32(), pa.string())
    schema = pa.schema(list(zip(archive.COLUMNS, kinds, strict=True)))
    return spark.createDataFrame(
        pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
    )


class TestSums:
    def test_are_exact_beyond_64_bits_of_anything_but_their_own(self, spark: SparkSession) -> None:
        found = compaction.sums(heartbeats(spark, BEATS * 3))

        assert {name: found[name] for name in ("rows", *compaction.SUMMED)} == {
            "rows": 6,
            "user_id": 3 * (HOME + OTHER),
            "sent_at": 3 * (NOON + LAST),
            "register": 3 * (2**48 + 4),
            "rate": 3 * (2**31 - 1),
        }

    def test_do_not_know_an_order(self, spark: SparkSession) -> None:
        assert compaction.sums(heartbeats(spark, BEATS)) == compaction.sums(heartbeats(spark, BEATS[::-1]))

    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param(BEATS[:1], id="a-heartbeat-is-missing"),
            pytest.param([*BEATS, BEATS[0]], id="a-heartbeat-came-twice"),
            pytest.param([BEATS[0], (OTHER, LAST, 2**48 - 2, 2**31 - 1, "US-NY")], id="a-register-differs"),
            pytest.param([BEATS[0], (*BEATS[1][:4], "US-NV")], id="a-region-differs"),
            pytest.param([BEATS[0], (*BEATS[1][:3], None, "US-NY")], id="a-rate-is-missing"),
            pytest.param(
                [(HOME, NOON, 2**48 - 1, 0, "US-CA"), (OTHER, LAST, 5, 2**31 - 1, "US-NY")],
                id="two-registers-changed-places",
            ),
        ],
    )
    def test_tell_another_archive(self, spark: SparkSession, changed: list[tuple[object, ...]]) -> None:
        assert compaction.sums(heartbeats(spark, changed)) != compaction.sums(heartbeats(spark, BEATS))


class TestInOrder:
    def test_is_by_user_and_time_with_the_contracts_types(self, spark: SparkSession) -> None:
        rows = [(user, at, 1, 1, "US-CA") for user in (OTHER, HOME) for at in (LAST, NIGHT.start_ms, NOON)]

        ordered = compaction.in_order(heartbeats(spark, rows), NIGHT, 1)

        kinds = {field.name: field.dataType.simpleString().upper() for field in ordered.schema}
        assert kinds == archive.COLUMNS
        keys = [(row["user_id"], row["sent_at"]) for row in ordered.collect()]
        assert keys == sorted((user, at) for user, at, *_ in rows)

    def test_keeps_what_no_meter_should_have_sent(self, spark: SparkSession) -> None:
        odd = [(None, None, 1, 1, None), (HOME, NIGHT.end_ms + 1, None, 1, "US-CA"), (HOME, 0, 1, None, "")]

        ordered = compaction.in_order(heartbeats(spark, odd * 2), NIGHT, 2)

        assert sorted(map(tuple, ordered.collect()), key=repr) == sorted(odd * 2, key=repr)


class TestCheckSame:
    DAY = ArchivedDay(Utility.GAS, str(NIGHT), None, {}, frozenset())

    def test_is_content_with_equal_sums(self) -> None:
        compaction.check_same(self.DAY, {"rows": 3, "rate": 7}, {"rows": 3, "rate": 7})

    def test_names_what_differs_in_one_line(self) -> None:
        with pytest.raises(CompactionRefused) as refused:
            compaction.check_same(self.DAY, {"rows": 3, "rate": 7}, {"rows": 3, "rate": 8})

        assert str(refused.value) == (
            "gas of 2026-03-29 as compacted differs from its archive: rate 8 not 7; "
            "the archive stays as it was"
        )


@pytest.mark.parametrize(
    ("rows", "cores", "files"),
    [
        pytest.param(0, 2, 1, id="nothing"),
        pytest.param(999_999, 2, 1, id="too-small-to-share"),
        pytest.param(4_300_000, 2, 2, id="one-a-core"),
        pytest.param(4_300_000, 16, 4, id="no-slivers"),
        pytest.param(100_000_000, 2, 4, id="no-giants"),
    ],
)
def test_files_are_few_and_keep_the_cores_at_work(rows: int, cores: int, files: int) -> None:
    assert compaction.file_count(rows, cores) == files
