"""Meters' days made by hand, as Spark would hand them to validation; folded here in plain Python."""

import dataclasses
import datetime
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from batch.edited_rows import edit_batch
from batch.local_hours import OPEN_DAY
from batch.night import Night
from batch.tariffs import Tariffs
from batch.usage import HOUR_FIELDS, REGISTER_BITS
from infra.contracts.durations import HOUR_MS
from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.nightly import HOUR_COLUMNS

NIGHT = Night(datetime.date(2026, 3, 27))
USER = 10_000_007
DIAL = 100_000_000_000
RATE_MAX = 60_000
PHASE = 1_234
BASE = 5_000_000
TARIFFS = Tariffs.from_rows(
    [
        {
            "plan": "flat",
            "utility": "electricity",
            "component": "energy",
            "label": "energy",
            "days": "all",
            "hour_from": 0,
            "hour_to": 24,
            "tier_from": 0,
            "price_micro": 15_000,
            "currency": "USD",
            "valid_from": datetime.date(1970, 1, 1),
            "valid_until": None,
        }
    ]
)
Beat = tuple[int, int, int]  # sent_at in ms since the day's start, register, rate
CARRIED = (
    "raw_end",
    "register_offset",
    "open_end",
    "trusted_at",
    "last_sent_at",
    "month_usage",
    "month_cost",
)
_STAY_FIELDS = ("place", "moved_in", "moved_out")
STAY = pa.struct([(name, pa.int64()) for name in _STAY_FIELDS])
_PAST = pa.struct([("ago", pa.int32()), ("hours", pa.list_(pa.int64())), ("quality", pa.string())])
HOURS_TYPE = pa.struct([(name, pa.int64()) for name in HOUR_FIELDS])


def used(at_ms: int, hourly: Callable[[int], int] = lambda hour: 600 + 30 * hour) -> int:
    """Return what a steady meter has used since the day's start, negative before it."""
    hour, rest = divmod(at_ms, HOUR_MS)
    return _used_before(hour, hourly) + hourly(hour % 24) * rest // HOUR_MS


@functools.cache
def _used_before(hour: int, hourly: Callable[[int], int]) -> int:
    return sum(hourly(one % 24) for one in range(hour)) - sum(hourly(one % 24) for one in range(hour, 0))


def beats(
    since_h: float = 0, until_h: float = 24, register: Callable[[int], int] | None = None, phase: int = PHASE
) -> list[Beat]:
    """Return a day's heartbeats of a steady meter."""
    shown = register or (lambda at: BASE + used(at))
    first = -(-int(since_h * HOUR_MS) // INTERVAL_MS)
    last = -(-int(until_h * HOUR_MS) // INTERVAL_MS)
    instants = (slot * INTERVAL_MS + phase for slot in range(first, last))
    return [(at, shown(at), 600 + 30 * (at // HOUR_MS)) for at in instants]


def without(some: Iterable[Beat], since_h: float, until_h: float) -> list[Beat]:
    """Return heartbeats but those of a span of hours."""
    return [beat for beat in some if not since_h * HOUR_MS <= beat[0] < until_h * HOUR_MS]


@dataclasses.dataclass
class Meter:
    """One row for validation."""

    beats: Sequence[Beat]
    state: dict[str, int] | None = None
    utility: int = 0
    home: bool = True
    zone: str = "UTC"
    dial: int = DIAL
    rate_max: int = RATE_MAX
    exchange: tuple[int, int, int] | None = None
    read: int | None = None
    vacant: bool = False
    stays: Sequence[tuple[int, int, int]] = ((0, 0, OPEN_DAY),)
    past: list[dict[str, Any]] | None = None
    region: str = "US-NY"

    def row(self, user_id: int) -> dict[str, Any]:
        """Return the row's columns."""
        state = dict.fromkeys(CARRIED) | (self.state or {})
        at, final, initial = self.exchange or (None, None, None)
        return {
            "user_id": user_id,
            "utility": self.utility,
            "hours": folded(self.beats),
            **state,
            "known": True,
            "home": self.home,
            "zone": self.zone,
            "region": self.region,
            "dial": self.dial,
            "rate_max": self.rate_max,
            "exchange_at": at,
            "exchange_final": final,
            "exchange_initial": initial,
            "read": self.read,
            "stays": []
            if self.vacant
            else [dict(zip(_STAY_FIELDS, stay, strict=True)) for stay in self.stays],
            "past": self.past,
        }


def after(row: dict[str, Any]) -> dict[str, int]:
    """Return the state that a row hands on to the next night."""
    return {name: row[name] for name in CARRIED}


def state(at_ms: int = -5_000 + PHASE, raw: int | None = None, **others: int) -> dict[str, int]:
    """Return where a steady meter was left, last heard at an instant before the day's start."""
    figures = dict.fromkeys(CARRIED, 0)
    heard_at = NIGHT.start_ms + at_ms
    shown = BASE + used(at_ms) if raw is None else raw
    return figures | {"raw_end": shown, "trusted_at": heard_at, "last_sent_at": heard_at} | others


def edited_batch(*meters: Meter, night: Night = NIGHT, tariffs: Tariffs = TARIFFS) -> pa.RecordBatch:
    """Return the edited rows of meters of users USER, USER + 1 and so on, as Spark gets them."""
    kinds = {"known": pa.bool_(), "home": pa.bool_(), "zone": pa.string(), "region": pa.string()}
    lists = {"hours": pa.list_(HOURS_TYPE), "stays": pa.list_(STAY), "past": pa.list_(_PAST)}
    rows = [meter.row(USER + number) for number, meter in enumerate(meters)]
    schema = pa.schema([(name, (kinds | lists).get(name, pa.int64())) for name in rows[0]])
    return edit_batch(pa.RecordBatch.from_pylist(rows, schema), night, tariffs)


def edited(*meters: Meter, night: Night = NIGHT, tariffs: Tariffs = TARIFFS) -> list[dict[str, Any]]:
    """Return the edited rows of meters, with their hours as a list besides."""
    found = edited_batch(*meters, night=night, tariffs=tariffs).to_pylist()
    return [row | {"used": [row[name] for name in HOUR_COLUMNS]} for row in found]


def rules(row: dict[str, Any]) -> set[str]:
    """Return the names of what was found in a row."""
    return {finding["rule"] for finding in row["findings"]}


def folded(some: Sequence[Beat]) -> list[dict[str, int]]:
    groups: dict[tuple[int, int], list[Beat]] = {}
    for beat in some:
        groups.setdefault((beat[0] // HOUR_MS, beat[0] % INTERVAL_MS), []).append(beat)
    found = []
    for (hour, phase), group in groups.items():
        orders = [(beat[0] % HOUR_MS // INTERVAL_MS << REGISTER_BITS) | beat[1] for beat in group]
        registers, rates = [beat[1] for beat in group], [beat[2] for beat in group]
        figures = (min(orders), max(orders), min(registers), max(registers), min(rates), max(rates))
        counts = (sum(rates), len(group), len({beat[0] for beat in group}))
        found.append(dict(zip(HOUR_FIELDS, (hour, phase, *figures, *counts), strict=True)))
    return found


def measured(hourly: Sequence[int], ago: int) -> dict[str, Any]:
    """Return a night of a meter's past."""
    return {"ago": ago, "hours": list(hourly), "quality": "M" * 24}


assert np.iinfo(np.int64).max > DIAL
