"""Between Spark and validation: Arrow batches of meters in, Arrow batches of edited, priced rows out.

One row in is a meter with the list of its hours (batch/usage.py), where the night before left it
(batch/carried.py), its master data (batch/meters.py) and, where it is asked for, its past.
"""

import datetime
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch import pricing
from batch.agreements import NEVER as NEVER_DAY
from batch.agreements import VACANT, Occupancy
from batch.heard_hours import FlatHours, heard_of
from batch.local_hours import OPEN_DAY, date_of
from batch.meters import DIAL_UNKNOWN, RATE_UNKNOWN
from batch.night import Night, NightRefused
from batch.tariffs import Tariffs
from batch.vee import edit as vee
from batch.vee.history import NIGHTS, typical
from batch.vee.meter_days import HOURS, NEVER, Carried, Ints, Master, MeterDays
from infra.contracts.master_data import AGREEMENTS_PATH
from infra.contracts.nightly import HOUR_COLUMNS
from infra.contracts.quality import Quality, Rule
from infra.contracts.utility import UTILITIES, Utility

RULES = tuple(Rule)
FINDING_TYPE = pa.struct(
    [("rule", pa.string()), ("hour_from", pa.int32()), ("hour_to", pa.int32()), ("amount", pa.int64())]
)
# Figures of a row, BIGINT each, in the order in which they leave; the hours follow.
FIGURES = (
    "register_start",
    "register_end",
    "register_offset",
    "first_sent_at",
    "last_sent_at",
    "heartbeats",
    "heartbeats_read",
    "usage_total",
    "usage_estimated",
    "cost",
    "month_usage",
    "month_cost",
    # What the next night starts from.
    "trusted_at",
    "raw_end",
    "open_end",
    # What conservation asks: usage_total is what the dial moved, and these.
    "raw_start",
    "turned",
    "reset",
    "exchanged",
    "quarantined",
    "open_start",
    "restated",
    # What reconciliation asks.
    "usage_meter",
    "usage_read",
    "read_rank",
)
SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("utility", pa.string()),
        ("region", pa.string()),
        ("known", pa.bool_()),
        ("wants_past", pa.bool_()),
        ("fell", pa.bool_()),
        ("quality", pa.string()),
        ("price_steps", pa.string()),
        *((name, pa.int64()) for name in FIGURES),
        *((name, pa.int64()) for name in HOUR_COLUMNS),
        ("findings", pa.list_(FINDING_TYPE)),
    ]
)
SPARK_SCHEMA = ", ".join(
    [
        "user_id BIGINT, utility STRING, region STRING, known BOOLEAN, wants_past BOOLEAN, fell BOOLEAN",
        "quality STRING, price_steps STRING",
        *(f"{name} BIGINT" for name in (*FIGURES, *HOUR_COLUMNS)),
        "findings ARRAY<STRUCT<rule: STRING, hour_from: INT, hour_to: INT, amount: BIGINT>>",
    ]
)
READ_UNKNOWN, READ_AGREES, READ_WINS, READ_REFUSED = range(4)


def editor(night: Night, tariffs: Tariffs) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what Spark maps over batches of meters; it may be sent to other processes."""

    def edit_all(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield edit_batch(batch, night, tariffs)

    return edit_all


def edit_batch(batch: pa.RecordBatch, night: Night, tariffs: Tariffs) -> pa.RecordBatch:
    """Return the edited rows of a batch of meters, in its order."""
    meters = _Meters(batch, night)
    days, past = meters.days, meters.past(night.day)
    edited = vee.edit(days, past)
    hours = np.diff(edited.level, axis=1)
    priced = pricing.price_hours(
        tariffs,
        meters.occupancy,
        meters.zones,
        meters.zone,
        night.day,
        hours,
        meters.ints("month_usage", 0),
        meters.ints("month_cost", 0),
    )
    figures = _figures(meters, edited, hours, night)
    figures |= {"cost": priced.cost, "month_usage": priced.month_usage, "month_cost": priced.month_cost}
    fresh = ~days.carried.known
    columns: dict[str, Any] = {
        "user_id": batch.column("user_id"),
        "utility": pa.array([str(one) for one in UTILITIES]).take(pa.array(meters.utility)),
        "region": batch.column("region"),
        "known": pa.array(meters.known),
        "wants_past": pa.array(vee.needs_past(days)),
        "fell": pa.array(_fell(edited)),
        "quality": pa.array(edited.quality.view("S24").ravel().astype(str)),
        "price_steps": priced.price_steps,
        **{name: pa.array(figures[name]) for name in FIGURES if name != "first_sent_at"},
        "first_sent_at": pa.array(figures["first_sent_at"], mask=~fresh),
        **{name: pa.array(hours[:, hour]) for hour, name in enumerate(HOUR_COLUMNS)},
        "findings": findings_of(edited.findings, hours),
    }
    whole = pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)
    # Of a meter that never sent a sound heartbeat there is nothing to say.
    return whole.filter(pa.array(edited.known | ~meters.known))


def findings_of(flags: dict[Rule, npt.NDArray[np.bool_]], hours: Ints) -> pa.ListArray:
    """Return each meter's findings: a run of flagged hours is one, its amount their usage."""
    count = len(hours)
    sums = np.zeros((count, HOURS + 1), np.int64)
    sums[:, 1:] = np.cumsum(hours, axis=1)
    found = []
    for number, rule in enumerate(RULES):
        padded = np.zeros((count, HOURS + 2), np.int8)
        padded[:, 1:-1] = np.broadcast_to(flags[rule], (count, HOURS))
        steps = np.diff(padded, axis=1)
        row, begin = np.nonzero(steps == 1)
        _, end = np.nonzero(steps == -1)
        found.append(
            np.stack([row, np.full_like(row, number), begin, end, sums[row, end] - sums[row, begin]])
        )
    row, number, begin, end, amount = np.concatenate(found, axis=1)
    order = np.lexsort((begin, number, row))
    fields = [
        pa.array([str(rule) for rule in RULES]).take(pa.array(number[order])),
        pa.array(begin[order].astype(np.int32)),
        pa.array(end[order].astype(np.int32)),
        pa.array(amount[order]),
    ]
    offsets = np.zeros(count + 1, np.int32)
    offsets[1:] = np.cumsum(np.bincount(row, minlength=count))
    values = pa.StructArray.from_arrays(fields, fields=list(FINDING_TYPE))
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _fell(edited: vee.Edited) -> npt.NDArray[np.bool_]:
    """Return whether a register went down that day, for whatever reason."""
    down = (Rule.NEGATIVE, Rule.ROLLOVER, Rule.RESET, Rule.EXCHANGE)
    fell: npt.NDArray[np.bool_] = np.logical_or.reduce([edited.findings[rule].any(axis=1) for rule in down])
    return fell


def _figures(meters: "_Meters", edited: vee.Edited, hours: Ints, night: Night) -> dict[str, Ints]:
    """Return all figures of the rows but money."""
    days, levels = meters.days, edited.levels
    estimated = edited.quality != ord(Quality.MEASURED.value)
    register_before = days.carried.raw + days.carried.offset + days.carried.open
    # A read that wins stands for what the dial should have shown.
    reads = edited.reads
    replaced = reads.wins | reads.bounds
    turned = np.where(replaced, reads.turned, 0)
    offset = levels.offset + turned
    raw_end = np.where(replaced, reads.level - offset, levels.raw_end)
    start = edited.level[:, 0]
    heard_at = np.where(days.heard.any, days.heard.last_at, NEVER).max(axis=1) + night.start_ms
    verdicts = [replaced, reads.differs, reads.there]
    return {
        "register_start": start,
        "register_end": edited.level[:, -1],
        "register_offset": offset,
        "first_sent_at": np.where(days.heard.any, days.heard.first_at, -NEVER).min(axis=1) + night.start_ms,
        "last_sent_at": np.maximum(heard_at, meters.ints("last_sent_at", 0)),
        "heartbeats": meters.heartbeats,
        "heartbeats_read": meters.heartbeats_read,
        "usage_total": edited.level[:, -1] - start,
        "usage_estimated": np.where(estimated, hours, 0).sum(axis=1),
        "trusted_at": edited.anchor_at + night.start_ms,
        "raw_end": raw_end,
        "open_end": edited.open,
        "raw_start": levels.raw_start,
        "turned": levels.turned + turned,
        "reset": levels.reset,
        "exchanged": levels.exchanged,
        "quarantined": levels.quarantined,
        "open_start": np.where(days.carried.known, days.carried.open, 0),
        "restated": np.where(days.carried.known, start - register_before, 0),
        "usage_meter": edited.usage_meter,
        "usage_read": np.where(reads.there, reads.level - start, 0),
        "read_rank": np.select(verdicts, [READ_WINS, READ_REFUSED, READ_AGREES], READ_UNKNOWN),
    }


class _Meters:
    """A batch of meters as arrays."""

    def __init__(self, batch: pa.RecordBatch, night: Night) -> None:
        self._batch = batch
        self.count = batch.num_rows
        self.utility = self.ints("utility", 0)
        self.known = self.flags("known")
        self.zones = pc.unique(batch.column("zone").fill_null("UTC")).to_pylist()
        self.zone = pc.index_in(batch.column("zone").fill_null("UTC"), pa.array(self.zones)).to_numpy(
            zero_copy_only=False
        )
        self.zone = self.zone.astype(np.int64)
        flat = FlatHours.of(batch.column("hours"))
        self.heartbeats = flat.summed("heartbeats", self.count)
        self.heartbeats_read = flat.summed("heartbeats_read", self.count)
        exchange_at = self.ints("exchange_at", NEVER)
        self.occupancy = self._occupancy(night.day)
        self.days = MeterDays(
            heard=heard_of(flat, self.count, exchange_at != NEVER),
            carried=Carried(
                known=~self._nulls("raw_end"),
                at=self.ints("trusted_at", night.start_ms) - night.start_ms,
                heard_at=self.ints("last_sent_at", night.start_ms) - night.start_ms,
                raw=self.ints("raw_end", 0),
                offset=self.ints("register_offset", 0),
                open=self.ints("open_end", 0),
            ),
            master=Master(
                water=self.utility == Utility.WATER.code,
                home=self.flags("home"),
                occupied=self.occupancy.plan[:, 1] != VACANT,
                dial=self.ints("dial", DIAL_UNKNOWN),
                rate_max=self.ints("rate_max", RATE_UNKNOWN),
                exchange_at=exchange_at,
                exchange_final=self.ints("exchange_final", 0),
                exchange_initial=self.ints("exchange_initial", 0),
                read=self.ints("read", NEVER),
            ),
        )

    def ints(self, name: str, missing: int) -> Ints:
        """Return a column of whole numbers."""
        column: Ints = (
            self._batch.column(name).cast(pa.int64()).fill_null(missing).to_numpy(zero_copy_only=False)
        )
        return column

    def flags(self, name: str) -> npt.NDArray[np.bool_]:
        """Return a column of flags, null being False."""
        column: npt.NDArray[np.bool_] = (
            self._batch.column(name).fill_null(False).to_numpy(zero_copy_only=False)
        )
        return column

    def past(self, night: datetime.date) -> Ints:
        """Return what the past says of each hour, -1 where it is silent or was not asked."""
        if "past" not in self._batch.schema.names:
            return np.full((self.count, HOURS), -1, np.int64)
        lists = self._batch.column("past")
        row = np.repeat(np.arange(self.count), pc.list_value_length(lists).fill_null(0).to_numpy())
        flat = lists.flatten()
        ago = flat.field("ago").to_numpy(zero_copy_only=False)
        usage = np.zeros((self.count, NIGHTS, HOURS), np.int64)
        measured = np.zeros((self.count, NIGHTS, HOURS), np.bool_)
        usage[row, ago] = flat.field("hours").flatten().to_numpy(zero_copy_only=False).reshape(-1, HOURS)
        letters = np.array(flat.field("quality").to_pylist(), "S24").view("S1").reshape(-1, HOURS)
        measured[row, ago] = letters == Quality.MEASURED.value.encode()
        zones = np.array(self.zones)[self.zone]
        return typical(usage, measured, zones, night)

    def _occupancy(self, night: datetime.date) -> Occupancy:
        """Return by which plans the meters are paid for around the night."""
        lists = self._batch.column("stays")
        lengths = pc.list_value_length(lists).fill_null(0).to_numpy()
        row = np.repeat(np.arange(self.count), lengths)
        number = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        flat = lists.flatten()
        place, moved_in, moved_out = (
            flat.field(name).to_numpy(zero_copy_only=False) for name in ("place", "moved_in", "moved_out")
        )
        self._refuse_overlap(row, moved_in, moved_out)
        stays = []
        for turn in range(max(int(lengths.max(initial=0)), 1)):
            here = number == turn
            stay = [np.full(self.count, missing, np.int64) for missing in (VACANT, NEVER_DAY, OPEN_DAY)]
            for column, told in zip(stay, (place, moved_in, moved_out), strict=True):
                column[row[here]] = told[here]
            stays.append((stay[0], stay[1], stay[2]))
        return Occupancy.of(night, stays)

    def _refuse_overlap(self, row: Ints, moved_in: Ints, moved_out: Ints) -> None:
        """Refuse two agreements of one meter for the same day, of which nobody could say who pays."""
        order = np.lexsort((moved_in, row))
        row, moved_in, moved_out = row[order], moved_in[order], moved_out[order]
        for first in np.flatnonzero((row[1:] == row[:-1]) & (moved_in[1:] < moved_out[:-1]))[:1].tolist():
            user_id = self._batch.column("user_id")[int(row[first])].as_py()
            since, again = (date_of(int(day)) for day in moved_in[first : first + 2])
            raise NightRefused(
                f"{AGREEMENTS_PATH} has agreements that overlap: user {user_id} for "
                f"{UTILITIES[self.utility[row[first]]]} from {since} and from {again}"
            )

    def _nulls(self, name: str) -> npt.NDArray[np.bool_]:
        column: npt.NDArray[np.bool_] = self._batch.column(name).is_null().to_numpy(zero_copy_only=False)
        return column
