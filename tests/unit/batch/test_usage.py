"""The pass over the archive: what heartbeats fold to, whatever order and company they come in."""

import random
from typing import Any

import batch_builders as builders
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from vee_builders import NIGHT, PHASE, Beat, Meter, beats, edited_batch, folded, state

from batch import usage
from batch.carried import quality_since_first
from batch.edited_rows import SCHEMA
from batch.usage import HOUR_FIELDS, REGISTER_BITS
from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.heartbeat import REGISTER_MAX
from infra.contracts.utility import UTILITIES

HOME = 10_000_001
GAS = 1
Row = tuple[int | None, int, int | None, int | None, int | None]
Hours = dict[tuple[int, int], dict[str, int]]


def sent(some: list[Beat], user_id: int = HOME, utility: int = 0) -> list[Row]:
    """Heartbeats as the archive holds them."""
    return [(user_id, utility, NIGHT.start_ms + at, register, rate) for at, register, rate in some]


def hours_of(spark: SparkSession, rows: list[Row]) -> DataFrame:
    return usage.meter_hours(builders.a_table(spark, builders.HEARTBEATS, rows), NIGHT)


def by_meter(hours: DataFrame) -> dict[tuple[int, int], Hours]:
    """(user, utility) -> (hour, phase) -> fields."""
    found: dict[tuple[int, int], Hours] = {}
    for row in hours.collect():
        fields = {name: row[name] for name in HOUR_FIELDS}
        found.setdefault((row["user_id"], row["utility"]), {})[row["hour"], row["phase"]] = fields
    return found


def expected(some: list[Beat]) -> Hours:
    return {(hour["hour"], hour["phase"]): hour for hour in folded(some)}


class TestAMetersHours:
    def test_are_its_first_and_last_heartbeat_and_what_lies_between(self, spark: SparkSession) -> None:
        ups_and_downs: list[Beat] = [(0, 100, 7), (5_000, 400, 9), (10_000, 90, 0), (3_599_999, 130, 4)]

        hours = by_meter(hours_of(spark, sent(ups_and_downs)))[HOME, 0]

        assert hours == {
            (0, 0): {
                "hour": 0,
                "phase": 0,
                "first": 100,
                "last": 2 << REGISTER_BITS | 90,
                "least": 90,
                "greatest": 400,
                "rate_min": 0,
                "rate_max": 9,
                "rate_sum": 16,
                "heartbeats_read": 3,
                "heartbeats": 3,
            },
            (0, 4_999): {
                "hour": 0,
                "phase": 4_999,
                "first": 719 << REGISTER_BITS | 130,
                "last": 719 << REGISTER_BITS | 130,
                "least": 130,
                "greatest": 130,
                "rate_min": 4,
                "rate_max": 4,
                "rate_sum": 4,
                "heartbeats_read": 1,
                "heartbeats": 1,
            },
        }

    @pytest.mark.parametrize("phase", [0, PHASE, 4_999])
    def test_of_a_whole_day_are_24_of_720_heartbeats(self, spark: SparkSession, phase: int) -> None:
        day = beats(phase=phase)

        hours = by_meter(hours_of(spark, sent(day)))[HOME, 0]

        assert [hours[hour, phase]["heartbeats"] for hour in range(24)] == [720] * 24
        assert hours == expected(day)

    def test_hold_registers_of_the_full_width_and_every_id(self, spark: SparkSession) -> None:
        whole: list[Beat] = [(0, 0, 0), (DAY_MS - 1, REGISTER_MAX, 2**31 - 1)]
        ids = (10_000_000, 99_999_999)

        found = by_meter(
            hours_of(spark, [row for one in ids for code in range(3) for row in sent(whole, one, code)])
        )

        assert found == {(one, utility.code): expected(whole) for one in ids for utility in UTILITIES}

    def test_do_not_change_with_order_and_doubling(self, spark: SparkSession) -> None:
        """Each user's archive is the same day in another disorder; doubled ones are only read more often."""
        chance = random.Random(5)
        day = beats(6.9, 9.1) + beats(8, 8.3, phase=17)
        rows: list[Row] = []
        doubled = {}
        for user_id in range(HOME, HOME + 40):
            extra = chance.choices(day, k=chance.randrange(2, 300))
            disorder = [*day, *extra]
            chance.shuffle(disorder)
            rows += sent(disorder, user_id)
            doubled[user_id] = len(extra)

        found = by_meter(hours_of(spark, rows))

        assert len(found) == 40
        for (user_id, _), hours in found.items():
            read = sum(hour["heartbeats_read"] for hour in hours.values())
            assert read == len(day) + doubled[user_id]
            assert {key: _but_reading(hour) for key, hour in hours.items()} == {
                key: _but_reading(hour) for key, hour in expected(day).items()
            }

    def test_of_one_instant_take_the_least_register_first_and_the_greatest_last(
        self, spark: SparkSession
    ) -> None:
        torn: list[Beat] = [(0, 100, 0), (0, 90, 0), (0, 95, 0), (60_000, 210, 0), (60_000, 205, 0)]

        [hour] = by_meter(hours_of(spark, sent(torn)))[HOME, 0].values()

        assert (hour["first"], hour["last"]) == (90, 12 << REGISTER_BITS | 210)
        assert (hour["heartbeats_read"], hour["heartbeats"]) == (5, 2)


class TestUnsoundHeartbeats:
    UNSOUND: tuple[Row, ...] = (
        (HOME, 0, NIGHT.start_ms - 1, 5, 0),
        (HOME, 0, NIGHT.end_ms, 5, 0),
        (HOME, 0, -(2**63), 5, 0),
        (HOME, 0, None, 5, 0),
        (HOME, 0, NIGHT.start_ms, None, 0),
        (HOME, 0, NIGHT.start_ms, -1, 0),
        (HOME, 0, NIGHT.start_ms, REGISTER_MAX + 1, 0),
        (HOME, 0, NIGHT.start_ms, 5, None),
        (None, 0, NIGHT.start_ms, 5, 0),
    )

    def test_are_each_counted_and_belong_to_nobody(self, spark: SparkSession) -> None:
        heartbeats = builders.a_table(spark, builders.HEARTBEATS, [*sent([(0, 1, 1)]), *self.UNSOUND])

        hours = usage.meter_hours(heartbeats, NIGHT).collect()
        found = heartbeats.where(f"NOT {usage.sound(NIGHT)}").collect()

        assert {row["user_id"]: row["heartbeats_read"] for row in hours} == {HOME: 1, None: len(self.UNSOUND)}
        assert {tuple(row) for row in found} == set(self.UNSOUND)


class TestMeterRows:
    def test_gather_every_hour_of_a_meter(self, spark: SparkSession) -> None:
        mine, other = beats(0, 3), beats(2, 5)

        rows = usage.meter_rows(hours_of(spark, sent(mine) + sent(other, utility=GAS))).collect()

        lists = {row["utility"]: [hour.asDict() for hour in row["hours"]] for row in rows}
        assert lists.keys() == {0, GAS}
        assert sorted(lists[0], key=_hour) == sorted(folded(mine), key=_hour)
        assert sorted(lists[GAS], key=_hour) == sorted(folded(other), key=_hour)


class TestThePast:
    def test_of_a_new_meter_begins_with_its_first_whole_hour(self, spark: SparkSession) -> None:
        new, old = edited_batch(Meter(beats(5.5)), Meter(beats(), state())).to_pylist()
        rows = spark.createDataFrame(pa.Table.from_pylist([new, old], SCHEMA))

        letters = [row["quality"] for row in rows.selectExpr(quality_since_first(NIGHT)).collect()]

        assert letters == ["-" * 6 + "M" * 18, "M" * 24]


def _hour(fields: dict[str, Any]) -> int:
    return int(fields["hour"])


def _but_reading(hour: dict[str, int]) -> dict[str, int]:
    """Return an hour without what counts copies; rates are a mean to whoever asks."""
    return {name: value for name, value in hour.items() if name not in {"heartbeats_read", "rate_sum"}}


assert HOUR_MS * 24 == DAY_MS
