import datetime
from typing import Any

import batch_builders as builders
import pytest
from pyspark.sql import DataFrame, SparkSession

from batch import usage
from batch.night import DAY_MS, HOUR_MS, Night
from infra.contracts.nightly import HOUR_COLUMNS, USAGE_DAYS_COLUMNS

NIGHT = Night(datetime.date(2026, 3, 29))
HOME = 10_000_001
STRANGER = 99_999_999
PHASE_MS = 1_234
Beat = tuple[int | None, str, int, int | None]
Row = dict[str, Any]


def a_beat(
    at_s: float, register: int | None, user_id: int | None = HOME, utility: str = "electricity"
) -> Beat:
    """One heartbeat, `at_s` seconds into the night."""
    return user_id, utility, NIGHT.start_ms + int(at_s * 1_000), register


def rows_of(
    spark: SparkSession, beats: list[Beat], previous: list[tuple[Any, ...]] | None = None
) -> DataFrame:
    heartbeats = builders.a_table(spark, builders.HEARTBEATS, beats)
    before = builders.a_table(spark, builders.PREVIOUS, previous or [])
    users = builders.a_table(spark, builders.USERS, [(HOME, "US-CA")])
    return usage.usage_days(usage.meter_days(usage.meter_hours(heartbeats, NIGHT)), before, users)


def the_row(spark: SparkSession, beats: list[Beat], previous: list[tuple[Any, ...]] | None = None) -> Row:
    [row] = rows_of(spark, beats, previous).collect()
    return dict(row.asDict())


def hours(row: Row) -> dict[int, int]:
    """Hour -> usage, where there was any."""
    return {hour: row[column] for hour, column in enumerate(HOUR_COLUMNS) if row[column]}


class TestUsage:
    def test_is_the_difference_of_registers_as_of_the_hours_ends(self, spark: SparkSession) -> None:
        beats = [a_beat(10, 100), a_beat(3_599.999, 130), a_beat(3_600, 131), a_beat(7_300, 150)]

        row = the_row(spark, beats)

        assert hours(row) == {0: 30, 1: 1, 2: 19}
        assert (row["register_start"], row["register_end"], row["usage_total"]) == (100, 150, 50)
        assert not row["fell"]

    def test_of_silent_hours_falls_into_the_hour_heard_next(self, spark: SparkSession) -> None:
        row = the_row(spark, [a_beat(0, 100), a_beat(5 * 3_600 + 1, 160)])

        assert hours(row) == {5: 60}

    def test_does_not_depend_on_order(self, spark: SparkSession) -> None:
        beats = [a_beat(second * 5, 1_000 + second) for second in range(0, 17_280, 97)]

        forward, shuffled = the_row(spark, beats), the_row(spark, beats[1::2] + beats[::-2])

        assert forward == shuffled

    def test_keeps_registers_of_the_full_width(self, spark: SparkSession) -> None:
        row = the_row(spark, [a_beat(0, 2**48 - 10), a_beat(1, 2**48 - 1)])

        assert (row["register_end"], row["usage_total"]) == (2**48 - 1, 9)

    def test_takes_a_fall_as_it_is_and_reports_it(self, spark: SparkSession) -> None:
        row = the_row(spark, [a_beat(0, 500), a_beat(3_700, 20), a_beat(7_300, 30)])

        assert hours(row) == {1: -480, 2: 10}
        assert row["fell"]

    def test_reports_a_fall_within_one_hour(self, spark: SparkSession) -> None:
        row = the_row(spark, [a_beat(0, 500), a_beat(5, 600), a_beat(10, 550)])

        assert row["usage_total"] == 50
        assert row["fell"]


class TestHeartbeats:
    def test_doubled_are_counted_once(self, spark: SparkSession) -> None:
        beats = [a_beat(0, 100), a_beat(5, 101), a_beat(5, 101), a_beat(5, 101), a_beat(9_000, 110)]

        row = the_row(spark, beats)

        assert (row["heartbeats"], row["heartbeats_read"], row["usage_total"]) == (3, 5, 10)

    def test_of_one_instant_leave_the_greatest_register(self, spark: SparkSession) -> None:
        beats = [
            a_beat(0, 90),
            a_beat(0, 100),
            a_beat(0, 95),
            a_beat(60, 200),
            a_beat(60, 210),
            a_beat(60, 205),
        ]

        row = the_row(spark, beats)

        assert (row["register_start"], row["register_end"], row["heartbeats"]) == (100, 210, 2)

    def test_of_shifting_phase_are_told_apart(self, spark: SparkSession) -> None:
        beats = [a_beat(0.001 * step, 100 + step) for step in range(20)]

        row = the_row(spark, beats + beats)

        assert (row["heartbeats"], row["register_start"], row["register_end"]) == (20, 100, 119)

    @pytest.mark.parametrize("phase_ms", [0, PHASE_MS, 4_999])
    def test_of_a_whole_day_are_all_counted(self, spark: SparkSession, phase_ms: int) -> None:
        beats = [a_beat(5 * slot + phase_ms / 1_000, slot) for slot in range(DAY_MS // 5_000)]

        row = the_row(spark, beats + beats[::100])

        assert (row["heartbeats"], row["heartbeats_read"]) == (17_280, 17_453)
        assert hours(row) == {hour: 720 - (hour == 0) for hour in range(24)}

    def test_of_unknown_users_are_set_aside(self, spark: SparkSession) -> None:
        rows = rows_of(
            spark, [a_beat(0, 1), a_beat(0, 5, STRANGER), a_beat(0, 5, STRANGER), a_beat(5, 9, STRANGER)]
        )

        counts = usage.counts(rows)
        published = usage.published_rows(rows, NIGHT)

        assert counts == {
            "users": 1,
            "rows": 1,
            "heartbeats": 1,
            "doubled": 0,
            "set_aside": 3,
            "silent": 0,
            "fell": 0,
            "unsound": 0,
        }
        assert [row["user_id"] for row in published.collect()] == [HOME]
        assert tuple(published.columns) == USAGE_DAYS_COLUMNS

    @pytest.mark.parametrize(
        "unsound",
        [
            pytest.param(a_beat(-1, 5), id="the day before"),
            pytest.param(a_beat(DAY_MS // 1_000, 5), id="the day after"),
            pytest.param(a_beat(5, None), id="no register"),
            pytest.param(a_beat(5, 5, None), id="no user"),
        ],
    )
    def test_unsound_are_counted(self, spark: SparkSession, unsound: Beat) -> None:
        rows = rows_of(spark, [a_beat(0, 1), unsound])

        assert usage.counts(rows)["unsound"] == 1


class TestNewest:
    def test_is_of_what_known_users_sent_on_the_day(self, spark: SparkSession) -> None:
        beats = [
            a_beat(60, 2),
            a_beat(5, 1),
            a_beat(7, 1, utility="gas"),
            a_beat(80_000, 1, STRANGER, utility="gas"),
        ]
        carried = [(HOME, "water", 900, NIGHT.start_ms - 77)]

        newest = usage.newest_sent_at(rows_of(spark, beats, carried))

        assert newest == {"electricity": NIGHT.start_ms + 60_000, "gas": NIGHT.start_ms + 7_000}


class TestFirstDay:
    def test_starts_from_the_first_register_and_says_when(self, spark: SparkSession) -> None:
        row = the_row(spark, [a_beat(4 * 3_600 + 1, 1_010), a_beat(4 * 3_600, 1_000), a_beat(80_000, 1_100)])

        assert row["register_start"] == 1_000
        assert row["first_sent_at"] == NIGHT.start_ms + 4 * HOUR_MS
        assert hours(row) == {4: 10, 22: 90}


class TestAfterANight:
    PREVIOUS = ((HOME, "electricity", 900, NIGHT.start_ms - 77),)

    def test_starts_from_the_register_of_the_night_before(self, spark: SparkSession) -> None:
        row = the_row(spark, [a_beat(3_600, 1_000)], list(self.PREVIOUS))

        assert (row["register_start"], row["register_end"], row["first_sent_at"]) == (900, 1_000, None)
        assert hours(row) == {1: 100}
        assert row["last_sent_at"] == NIGHT.start_ms + HOUR_MS

    def test_a_silent_meter_carries_its_register(self, spark: SparkSession) -> None:
        gas = a_beat(0, 7, utility="gas")
        rows = rows_of(spark, [gas], list(self.PREVIOUS))

        [row] = [row.asDict() for row in rows.where("utility = 'electricity'").collect()]

        assert (row["register_start"], row["register_end"], row["usage_total"]) == (900, 900, 0)
        assert (row["heartbeats"], row["first_sent_at"]) == (0, None)
        assert row["last_sent_at"] == NIGHT.start_ms - 77
        assert usage.counts(rows)["silent"] == 1

    def test_a_user_gone_from_master_data_is_not_published(self, spark: SparkSession) -> None:
        rows = rows_of(spark, [a_beat(0, 1)], [(STRANGER, "gas", 5, NIGHT.start_ms - 1)])

        assert usage.counts(rows)["set_aside"] == 0
        assert usage.published_rows(rows, NIGHT).count() == 1
