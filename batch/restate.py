"""Earlier nights told anew: a silence that was projected over them has ended, and its usage is known now.

A night that hears a meter again knows what it used since it was last heard. Up to the night's start that is
`restated` more or less than was projected; the projected hours of the nights before are scaled to it.
"""

import datetime
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch import carried, pricing
from batch.agreements import Occupancy
from batch.bucket_sink import Bucket
from batch.edited_rows import SCHEMA, SPARK_SCHEMA
from batch.night import Night
from batch.tariffs import Tariffs
from batch.usage import METER, UTILITY_CODE
from batch.vee.meter_days import HOURS, Ints
from batch.vee.shares import share
from infra.contracts.durations import HOUR_MS
from infra.contracts.nightly import HOUR_COLUMNS
from infra.contracts.quality import Quality


def scaled(bounds: Ints, anchor: Ints, was_open: Ints, now_open: Ints) -> Ints:
    """Return the bounds [row, 25] of earlier days, what was projected scaled to what is known now.

    `anchor` is the register when the meter was last heard; up to the night's start `was_open` was projected
    on top of it, and `now_open` is known. Where nothing was projected, nothing changes.
    """
    beyond = np.minimum(bounds - anchor[:, None], was_open[:, None])
    moved = share(now_open[:, None], beyond, was_open[:, None])
    return np.where(beyond > 0, anchor[:, None] + moved, bounds)


def spread(bounds: Ints, lasted_s: Ints, now_open: Ints) -> Ints:
    """Return the bounds [row, 25] of earlier days over which nothing was projected, `now_open` spread evenly.

    `lasted_s` [row, 25] is how long the silence had lasted at each bound, below 0 before it; the last row's
    last bound is the night's start.
    """
    moved = share(now_open[:, None], np.maximum(lasted_s, 0), lasted_s[-1:, -1:])
    told: Ints = bounds + np.where(lasted_s > 0, moved, 0)
    return told


def restated_rows(
    spark: SparkSession,
    bucket: Bucket,
    earlier: list[Night],
    closing: DataFrame,
    tariffs: Tariffs,
) -> DataFrame:
    """Return the rows of `earlier` nights that change, with their `night`: the columns of edited rows.

    `closing` are the meters heard again: user_id, utility (its code), zone, stays, anchor, was_open,
    now_open; trusted_at_before, when it was last heard until then, and trusted_night, on which day. `earlier`
    must reach back to the night before that one.
    """
    frames = [
        carried.read_rows(spark, bucket, night)
        .where("known")
        .withColumn("night", F.lit(str(night)))
        .withColumn("name", F.col("utility"))
        .withColumn("utility", F.expr(UTILITY_CODE))
        .join(F.broadcast(closing), METER)
        .where(f"DATE_ADD(CAST(trusted_night AS DATE), -1) <= DATE'{night}'")
        for night in earlier
    ]
    rows = functools.reduce(DataFrame.unionAll, frames)
    return rows.groupBy(*METER).applyInArrow(_teller(tariffs), f"night STRING, {SPARK_SCHEMA}")


def _teller(tariffs: Tariffs) -> Callable[[pa.Table], pa.Table]:
    def tell(table: pa.Table) -> pa.Table:
        return told_anew(table.sort_by("night"), tariffs)

    return tell


def told_anew(rows: pa.Table, tariffs: Tariffs) -> pa.Table:
    """Return those of one meter's rows that change, told anew.

    `rows` are its nights, the oldest first, in the columns of edited rows joined with those of `closing` (see
    `restated_rows`); `name` is the utility's name.
    """
    hours = np.stack([rows[name].to_numpy() for name in HOUR_COLUMNS], axis=1).astype(np.int64)
    starts = rows["register_start"].to_numpy().astype(np.int64)
    bounds = np.concatenate([starts[:, None], starts[:, None] + np.cumsum(hours, axis=1)], axis=1)
    anchor, was_open, now_open, trusted_at = (
        rows[name].to_numpy() for name in ("anchor", "was_open", "now_open", "trusted_at_before")
    )
    if was_open[0] > 0:
        told = scaled(bounds, anchor, was_open, now_open)
    else:
        nights = [Night(datetime.date.fromisoformat(night)) for night in rows["night"].to_pylist()]
        start_ms = np.array([night.start_ms for night in nights])
        since = start_ms[:, None] + np.arange(HOURS + 1) * HOUR_MS - trusted_at[:, None]
        told = spread(bounds, since // 1_000, now_open)
    used = np.diff(told, axis=1)
    projected = np.array([Quality.PROJECTED.value in letters for letters in rows["quality"].to_pylist()])
    changed = (told != bounds).any(axis=1) | projected
    # The night before the silence is only there to say how far its month had come.
    changed &= np.array(rows["night"].to_pylist()) >= rows["trusted_night"][0].as_py()
    kept = [
        {**row, **_retold(row, told[number], used[number])} for number, row in enumerate(rows.to_pylist())
    ]
    _price(kept, used, changed, tariffs)
    fields = [pa.field("night", pa.string()), *SCHEMA]
    columns = [row | {"utility": row["name"]} for row, one in zip(kept, changed, strict=True) if one]
    return pa.Table.from_pylist(columns, pa.schema(fields))


def _retold(row: dict[str, Any], bounds: Ints, used: Ints) -> dict[str, Any]:
    """Return the figures of a row that follow from its bounds."""
    before = [row[name] for name in HOUR_COLUMNS]
    letters = "".join(
        Quality.ESTIMATED.value if letter == Quality.PROJECTED.value or hour != old else letter
        for letter, hour, old in zip(row["quality"], used.tolist(), before, strict=True)
    )
    estimated = sum(
        hour for letter, hour in zip(letters, used.tolist(), strict=True) if letter != Quality.MEASURED.value
    )
    return {
        "register_start": int(bounds[0]),
        "register_end": int(bounds[-1]),
        "usage_total": int(bounds[-1] - bounds[0]),
        "usage_estimated": estimated,
        "quality": letters,
        "open_end": 0,
        **dict(zip(HOUR_COLUMNS, used.tolist(), strict=True)),
    }


def _price(rows: list[dict[str, Any]], used: Ints, changed: Any, tariffs: Tariffs) -> None:
    """Price one meter's nights again, each from where the one before left the month."""
    for number, row in enumerate(rows):
        if number:
            before = rows[number - 1]
        elif row["first_sent_at"] is not None:
            before = {"month_usage": 0, "month_cost": 0}  # the meter's first night
        else:
            # Nobody knows how far the month had come: what its units cost is unknown once they are others.
            row["price_steps"] = "" if changed[number] else row["price_steps"]
            continue
        if not changed[: number + 1].any():
            continue
        night = datetime.date.fromisoformat(row["night"])
        stays = [
            tuple(np.array([stay[name]]) for name in ("place", "moved_in", "moved_out"))
            for stay in row["stays"] or []
        ] or [(np.array([-1]), np.array([0]), np.array([0]))]
        priced = pricing.price_hours(
            tariffs,
            Occupancy.of(night, stays),  # type: ignore[arg-type]
            [row["zone"]],
            np.zeros(1, np.int64),
            night,
            used[number : number + 1],
            np.array([before["month_usage"]]),
            np.array([before["month_cost"]]),
        )
        money = {name: int(getattr(priced, name)[0]) for name in ("cost", "month_usage", "month_cost")}
        changed[number] |= any(row[name] != value for name, value in money.items())
        row.update(money, price_steps=priced.price_steps[0].as_py())


assert len(HOUR_COLUMNS) == HOURS
