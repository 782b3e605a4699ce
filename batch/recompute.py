"""A night's rows out of its archive: one pass over the heartbeats, then only meters.

Meters whose day has silences are edited a second time with their own past beside them, and those heard again
after a silence a third time, once the nights before are told anew.
"""

import dataclasses
import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch import carried, restate, s3_source, usage
from batch.bucket_sink import Bucket
from batch.edited_rows import SPARK_SCHEMA, editor
from batch.households import households_of
from batch.meters import meters_of
from batch.night import Night
from batch.s3_source import Found
from batch.usage import METER, UTILITY_CODE
from batch.vee.history import NIGHTS

_CODE = f"{UTILITY_CODE} AS utility"


@dataclasses.dataclass(frozen=True)
class Recomputed:
    """A night's edited rows (batch/edited_rows.py), and the rows of earlier nights that change with them."""

    rows: DataFrame
    restated: DataFrame | None
    households: DataFrame
    regions: DataFrame


class Recomputation:
    """The frames of one night, each computed once and held by Spark."""

    def __init__(self, spark: SparkSession, bucket: Bucket, night: Night, found: Found) -> None:
        self._spark, self._bucket, self._night, self._found = spark, bucket, night, found
        # Tariffs that cannot be believed are refused before Spark reads anything.
        self._tariffs = s3_source.read_tariffs(bucket)
        self._master = s3_source.read_master(spark, bucket, night, found).once()
        self.heartbeats = s3_source.read_day(spark, bucket, found.days)
        self._edit = editor(night, self._tariffs)
        self._meters = self._joined().persist()
        self.first = self._edited(self._meters).persist()

    def finish(self) -> Recomputed:
        """Return the night's rows, silences told from the past."""
        rows, meters = self.first, self._meters
        near = [one for one in self._found.earlier if (self._night.day - one.day).days <= NIGHTS]
        asked = _held(rows.where("known AND wants_past").selectExpr("user_id", _CODE)) if near else None
        if asked is not None and not asked.isEmpty():
            past = carried.past_of(self._spark, self._bucket, self._night, near, asked)
            meters = meters.join(past, METER, "left")
            rows = _replaced(rows, self._edited(meters.join(F.broadcast(asked), METER, "left_semi")))
        closing = self._closing(rows)
        restated = None
        if closing is not None:
            restated = self._restated(closing)
            rows = _replaced(rows, self._continued(meters, restated))
        households = households_of(self._spark, self._master, self._tariffs, self._night)
        return Recomputed(rows.persist(), restated, households, self._master.regions)

    def _joined(self) -> DataFrame:
        previous = self._night.previous if self._found.previous(self._night) else None
        gathered = usage.meter_rows(usage.meter_hours(self.heartbeats, self._night))
        state = carried.state_after(self._spark, self._bucket, previous)
        meters = meters_of(self._spark, self._master, self._tariffs, self._night)
        return gathered.join(state, METER, "full").join(meters, METER, "left")

    def _edited(self, meters: DataFrame) -> DataFrame:
        return meters.mapInArrow(self._edit, SPARK_SCHEMA)

    def _closing(self, rows: DataFrame) -> DataFrame | None:
        """Return the meters whose silence ended tonight; None if there are none."""
        ended = rows.where(
            f"known AND (restated <> 0 OR (open_start > 0 AND trusted_at >= {self._night.start_ms}L))"
        ).selectExpr(
            "user_id",
            _CODE,
            "register_start - restated - open_start AS anchor",
            "open_start AS was_open",
            "open_start + restated AS now_open",
        )
        if not self._found.earlier or ended.isEmpty():
            return None
        since = self._meters.selectExpr(
            *METER,
            "zone",
            "stays",
            "trusted_at AS trusted_at_before",
            "DATE_FORMAT(TIMESTAMP_MILLIS(trusted_at), 'yyyy-MM-dd') AS trusted_night",
        )
        return _held(ended.join(since, METER))

    def _restated(self, closing: DataFrame) -> DataFrame:
        [[oldest]] = closing.selectExpr("MIN(trusted_night)").collect()
        nights = [
            one
            for one in self._found.earlier
            if str(one) >= str(Night(datetime.date.fromisoformat(oldest)).previous)
        ]
        return _held(restate.restated_rows(self._spark, self._bucket, nights, closing, self._tariffs))

    def _continued(self, meters: DataFrame, restated: DataFrame) -> DataFrame:
        """Return tonight's rows of restated meters, their month going on from what is told now."""
        month = restated.where(f"night = '{self._night.previous}'").selectExpr(
            "user_id", _CODE, "month_usage", "month_cost"
        )
        again = meters.drop("month_usage", "month_cost").join(F.broadcast(month), METER)
        return self._edited(again)


def _replaced(rows: DataFrame, others: DataFrame) -> DataFrame:
    """Return rows with those of some meters replaced."""
    held = _held(others)
    return rows.join(F.broadcast(held.select(*METER)), METER, "left_anti").unionByName(held)


def _held(rows: DataFrame) -> DataFrame:
    """Return rows of some meters as they are now, without how they came about.

    What is only persisted keeps its plan, and a plan that is part of several others soon takes Spark longer
    to look through than its rows.
    """
    return rows.localCheckpoint()
