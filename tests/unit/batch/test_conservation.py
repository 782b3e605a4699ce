import datetime

import batch_builders as builders
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch import conservation, usage
from batch.night import Night, NightRefused

NIGHT = Night(datetime.date(2026, 3, 29))
HOMES = (10_000_001, 10_000_002, 10_000_003)


@pytest.fixture
def rows(spark: SparkSession) -> DataFrame:
    beats = [
        (user_id, utility, NIGHT.start_ms + second * 1_000, user_id + second)
        for user_id in HOMES
        for utility in ("gas", "water")
        for second in (0, 4_000, 80_000)
    ]
    heartbeats = builders.a_table(spark, builders.HEARTBEATS, beats)
    previous = builders.a_table(spark, builders.PREVIOUS, [])
    homes = [(HOMES[0], "US-CA"), (HOMES[1], "US-CA"), (HOMES[2], "US-NY")]
    users = builders.a_table(spark, builders.USERS, homes)
    return usage.usage_days(usage.meter_days(usage.meter_hours(heartbeats, NIGHT)), previous, users)


@pytest.fixture
def regions(spark: SparkSession) -> DataFrame:
    return builders.a_table(spark, ("region",), [("US-CA",), ("US-NY",)])


class TestConservation:
    def test_holds_for_what_usage_makes(self, rows: DataFrame, regions: DataFrame) -> None:
        totals = conservation.assert_conserved(rows, regions)

        assert {(total.utility, total.region, total.rows, total.usage_total) for total in totals} == {
            ("gas", "US-CA", 2, 160_000),
            ("gas", "US-NY", 1, 80_000),
            ("water", "US-CA", 2, 160_000),
            ("water", "US-NY", 1, 80_000),
        }

    @pytest.mark.parametrize("column", ["usage_total", "register_end", "h07"])
    def test_names_the_user_whose_figure_is_off_by_one(
        self, rows: DataFrame, regions: DataFrame, column: str
    ) -> None:
        off = F.expr(f"{column} + IF(user_id = {HOMES[1]} AND utility = 'gas', 1, 0)")

        with pytest.raises(NightRefused, match=r"conservation fails \(gas: .*\); users 10000002$"):
            conservation.assert_conserved(rows.withColumn(column, off), regions)

    def test_names_the_user_of_an_unknown_region(self, rows: DataFrame, regions: DataFrame) -> None:
        with pytest.raises(NightRefused, match=r"users 10000003$"):
            conservation.assert_conserved(rows, regions.where("region = 'US-CA'"))

    def test_finds_two_errors_that_cancel(self, rows: DataFrame, regions: DataFrame) -> None:
        shifted = rows.withColumn("usage_total", F.expr(f"usage_total + IF(user_id = {HOMES[0]}, 1, 0)"))
        cancelled = shifted.withColumn("usage_total", F.expr(f"usage_total - IF(user_id = {HOMES[1]}, 1, 0)"))

        with pytest.raises(NightRefused, match=r"users 10000001, 10000002$"):
            conservation.assert_conserved(cancelled, regions)
