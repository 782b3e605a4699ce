"""One meter's nights in a row by hand: each starts from where the last left off, silences are told anew."""

import datetime
import itertools
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from vee_builders import BASE, TARIFFS, Beat, Meter, after, beats, edited, used

from batch.edited_rows import SCHEMA
from batch.local_hours import OPEN_DAY
from batch.night import Night
from batch.restate import told_anew
from infra.contracts.durations import HOUR_MS
from infra.contracts.nightly import HOUR_COLUMNS

FIRST_NIGHT = Night(datetime.date(2026, 3, 9))
TOTAL = used(24 * HOUR_MS)
Row = dict[str, Any]


def the_day(number: int, since_h: float = 0, until_h: float = 24) -> list[Beat]:
    """Return the heartbeats of the steady meter on a day after the first."""
    return beats(since_h, until_h, register=lambda at: BASE + number * TOTAL + used(at))


def published(days: Sequence[Sequence[Beat]], **meter: Any) -> list[Row]:
    """Run a night for each day's heartbeats; return what is published of them once all are through.

    `meter` are fields of every Meter; a list is a value for each night. As in production, a night starts from
    the rows that the night before computed, not from what was told anew since.
    """
    computed: list[Row] = []
    shown: list[Row] = []
    for number, some in enumerate(days):
        night = Night(FIRST_NIGHT.day + datetime.timedelta(days=number))
        fields = {name: value[number] if isinstance(value, list) else value for name, value in meter.items()}
        past = [
            {"ago": number - before - 1, "hours": row["used"], "quality": _since_first(row, before)}
            for before, row in enumerate(computed)
        ]
        start = after(computed[-1]) if computed else None
        [row] = edited(Meter(some, start, past=past, **fields), night=night)
        closes = row["restated"] or (row["open_start"] > 0 and row["trusted_at"] >= night.start_ms)
        if closes and start:
            shown = _told(computed, shown, row, start["trusted_at"])
            month = {name: shown[-1][name] for name in ("month_usage", "month_cost")}
            [row] = edited(Meter(some, start | month, past=past, **fields), night=night)
        computed.append(row)
        shown.append(row)
    return shown


def _since_first(row: Row, number: int) -> str:
    """Return a row's letters, none for hours before a new meter was there, as batch/carried.py does."""
    start_ms = FIRST_NIGHT.start_ms + number * 24 * HOUR_MS
    absent = 0 if row["first_sent_at"] is None else (row["first_sent_at"] - start_ms) // HOUR_MS + 1
    return "-" * absent + str(row["quality"])[absent:]


def _told(computed: Sequence[Row], shown: Sequence[Row], row: Row, trusted_at: int) -> list[Row]:
    """Return the rows shown so far, those told anew that a silence was projected over."""
    trusted = datetime.datetime.fromtimestamp(trusted_at / 1_000, datetime.UTC).date()
    closing = {
        "anchor": row["register_start"] - row["restated"] - row["open_start"],
        "was_open": row["open_start"],
        "now_open": row["open_start"] + row["restated"],
        "trusted_at_before": trusted_at,
        "trusted_night": str(trusted),
        "zone": "UTC",
        "stays": [{"place": 0, "moved_in": 0, "moved_out": OPEN_DAY}],
    }
    nights = [FIRST_NIGHT.day + datetime.timedelta(days=number) for number in range(len(computed))]
    joined = [
        one | closing | {"night": str(night), "name": one["utility"]}
        for night, one in zip(nights, computed, strict=True)
        if night >= trusted - datetime.timedelta(days=1)
    ]
    told = told_anew(pa.Table.from_pylist(joined, _schema(closing)), TARIFFS).to_pylist()
    by_night = {one["night"]: one | {"used": [one[name] for name in HOUR_COLUMNS]} for one in told}
    return [by_night.get(str(night), old) for night, old in zip(nights, shown, strict=True)]


def _schema(closing: dict[str, Any]) -> pa.Schema:
    types = pa.Table.from_pylist([closing]).schema
    return pa.schema([*SCHEMA, *types, pa.field("night", pa.string()), pa.field("name", pa.string())])


def assert_continued(rows: Sequence[Row]) -> None:
    """Assert that registers and the month's sums run through the nights without a break."""
    for before, row in itertools.pairwise(rows):
        assert row["register_start"] == before["register_end"]
        assert row["month_usage"] == before["month_usage"] + row["usage_total"]
        assert row["month_cost"] == before["month_cost"] + row["cost"]
    for row in rows:
        assert min(row["used"]) >= 0
        assert sum(row["used"]) == row["usage_total"] == row["register_end"] - row["register_start"]
        assert row["cost"] == 15_000 * row["usage_total"]
        assert row["price_steps"] == "0:15000"
        assert row["usage_estimated"] == sum(
            used for used, letter in zip(row["used"], row["quality"], strict=True) if letter != "M"
        )
