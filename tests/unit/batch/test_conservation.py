import batch_builders as builders
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention
from vee_builders import BASE, USER, Meter, beats, edited_batch, state, used, without

from batch import conservation
from batch.night import NightRefused
from infra.contracts.durations import HOUR_MS

GAS, WATER = 1, 2
ALL_DAY = used(24 * HOUR_MS)


def reset(at_h: float) -> list[tuple[int, int, int]]:
    """A day whose dial begins again at 0."""
    shown = BASE + used(int(at_h * HOUR_MS))
    return [
        (at, register - shown if at >= at_h * HOUR_MS else register, rate) for at, register, rate in beats()
    ]


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """Five users' meters: two plain ones, one that fell silent, one reset, one heard after a silence."""
    plain, ending_early = beats(), without(beats(), 20.5, 24)
    batch = edited_batch(
        Meter(plain, state(), GAS, region="US-CA"),
        Meter(plain, state(), WATER, region="US-CA"),
        Meter(ending_early, state(), GAS, region="US-CA"),
        Meter(reset(9.4), state(), GAS),
        Meter(plain, state(-5 * HOUR_MS, open_end=9_000), WATER),
    )
    return spark.createDataFrame(pa.Table.from_batches([batch])).persist()


@pytest.fixture(scope="module")
def regions(spark: SparkSession) -> DataFrame:
    return builders.a_table(spark, builders.REGIONS, [("US-CA",), ("US-NY",)]).persist()


class TestConservation:
    def test_holds_for_what_validation_makes(self, rows: DataFrame, regions: DataFrame) -> None:
        totals = {(one.utility, one.region): one for one in conservation.assert_conserved(rows, regions)}

        assert {place: one.rows for place, one in totals.items()} == {
            ("gas", "US-CA"): 2,
            ("gas", "US-NY"): 1,
            ("water", "US-CA"): 1,
            ("water", "US-NY"): 1,
        }
        assert totals["water", "US-CA"].usage_total == pytest.approx(ALL_DAY, abs=2)
        assert totals["water", "US-CA"].estimated == 0
        # Of the silent evening, what was projected; of the night of a silence's end, what was corrected.
        assert totals["gas", "US-CA"].estimated > 0
        assert totals["water", "US-NY"].estimated < 0
        assert all(one.usage_total == one.register_difference == one.hours_total for one in totals.values())

    @pytest.mark.parametrize(
        "column", ["usage_total", "register_end", "h07", "raw_end", "turned", "open_end", "quarantined"]
    )
    def test_names_the_user_whose_figure_is_off_by_one(
        self, rows: DataFrame, regions: DataFrame, column: str
    ) -> None:
        off = F.expr(f"{column} + IF(user_id = {USER + 3}, 1, 0)")

        with pytest.raises(NightRefused, match=rf"conservation fails \(gas: .*\); users {USER + 3}$"):
            conservation.assert_conserved(rows.withColumn(column, off), regions)

    def test_names_the_user_of_an_unknown_region(self, rows: DataFrame, regions: DataFrame) -> None:
        with pytest.raises(NightRefused, match=rf"users {USER + 3}, {USER + 4}; .* US-NY$"):
            conservation.assert_conserved(rows, regions.where("region = 'US-CA'"))

    def test_finds_two_errors_that_cancel(self, rows: DataFrame, regions: DataFrame) -> None:
        shifted = rows.withColumn("usage_total", F.expr(f"usage_total + IF(user_id = {USER}, 1, 0)"))
        cancelled = shifted.withColumn("usage_total", F.expr(f"usage_total - IF(user_id = {USER + 2}, 1, 0)"))

        with pytest.raises(NightRefused, match=rf"users {USER}, {USER + 2}$"):
            conservation.assert_conserved(cancelled, regions)

    def test_finds_an_hour_below_0(self, rows: DataFrame, regions: DataFrame) -> None:
        moved = rows.withColumn("h03", F.expr("h03 - 5000")).withColumn("h04", F.expr("h04 + 5000"))

        with pytest.raises(NightRefused, match="conservation fails"):
            conservation.assert_conserved(moved, regions)

    def test_asks_nothing_of_users_master_data_do_not_know(self, rows: DataFrame, regions: DataFrame) -> None:
        stranger = rows.withColumn("known", F.expr(f"user_id <> {USER}")).withColumn(
            "usage_total", F.expr(f"usage_total + IF(user_id = {USER}, 1, 0)")
        )

        assert sum(one.rows for one in conservation.assert_conserved(stranger, regions)) == 4
