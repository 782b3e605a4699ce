"""Whole fleets with faults of every kind laid over each other: no unit is lost, made up or below 0."""

from typing import Any

import numpy as np
import pytest
from vee_fleet import BEATS, HARMFUL, HARMLESS, Fleet, Sent

from infra.contracts.durations import HOUR_MS
from infra.contracts.nightly import HOUR_COLUMNS
from infra.contracts.price_steps import decode, hour_costs

NIGHTS = 3
Row = dict[str, Any]


def broken(row: Row, start_ms: int, dial: int) -> list[str]:
    """Return which promises a row breaks."""
    hours = [row[name] for name in HOUR_COLUMNS]
    steps = decode(row["price_steps"])  # none where nobody lives
    estimated = row["open_end"] - row["open_start"] - row["restated"]
    moved = row["raw_end"] - row["raw_start"] + row["turned"] + row["reset"] + row["exchanged"]
    said = {
        "an hour is below 0": min(hours) >= 0,
        "hours are not the total": sum(hours) == row["usage_total"],
        "registers are not the total": row["register_end"] - row["register_start"] == row["usage_total"],
        "it does not conserve": row["usage_total"] == moved - row["quarantined"] + estimated,
        "the dial is beyond its maximum": 0 <= row["raw_end"] < dial,
        "less than nothing is projected": row["open_end"] >= 0,
        "more is estimated than used": 0 <= row["usage_estimated"] <= row["usage_total"],
        "it is trusted before it was heard": 0 < row["trusted_at"] < start_ms + 24 * HOUR_MS,
        "it earns": row["cost"] >= 0,
        "its hours cost something else": row["cost"] == (sum(hour_costs(steps, hours)) if steps else 0),
    }
    return [what for what, holds in said.items() if not holds]


@pytest.mark.parametrize("seed", [101, 115])
def test_a_fleet_with_every_fault_conserves_and_continues(seed: int) -> None:
    fleet = Fleet(seed, 250, (*HARMLESS, *HARMFUL), faults_max=6)
    ends: dict[int, int] = {}
    for _ in range(NIGHTS):
        start_ms = fleet.night.start_ms
        day, rows = fleet.run()

        wrong = {
            (meter, *sorted(day.faults[meter])): broken(row, start_ms, int(fleet.dial[meter]))
            for meter, row in rows.items()
        }
        assert not {who: what for who, what in wrong.items() if what}
        torn = [
            meter
            for meter, end in ends.items()
            if rows[meter]["register_start"] != end + rows[meter]["restated"]
        ]
        assert not torn, "each night starts where the last one ended"
        ends = {meter: row["register_end"] for meter, row in rows.items()}


def test_between_measured_bounds_usage_is_what_the_registers_moved() -> None:
    """Whatever of a day is lost, doubled or said of rates, in no hour that is called measured."""
    fleet = Fleet(3, 250, HARMLESS, faults_max=2)
    fleet.run()
    measured = 0
    for _ in range(2):
        day, rows = fleet.run()
        for meter, row in rows.items():
            bounds = _last_sent_before_bounds(day, meter)
            moved = np.diff(bounds)
            hours = np.array([row[name] for name in HOUR_COLUMNS])
            told = np.array([letter == "M" for letter in row["quality"]])
            # The day's first bound is a beat of the day before.
            told[0] = False
            assert (hours[told] == moved[told]).all(), (meter, day.faults[meter])
            measured += int(told.sum())
    assert measured > 5_000


def test_a_fleet_without_faults_has_no_findings_and_is_measured() -> None:
    fleet = Fleet(4, 250, HARMLESS, faults_max=0)
    fleet.run()

    _, rows = fleet.run()

    found = {f["rule"] for row in rows.values() for f in row["findings"]} - {"rollover", "leak", "zero"}
    assert not found
    assert {row["quality"] for row in rows.values() if not row["findings"]} == {"M" * 24}


def _last_sent_before_bounds(day: Sent, meter: int) -> "np.typing.NDArray[np.int64]":
    """Return the real register of the last heartbeat sent before each bound, the first one's before that."""
    sent = np.flatnonzero(day.sent[meter])
    if not len(sent):
        return np.zeros(25, np.int64)
    place = np.searchsorted(sent, np.arange(25) * BEATS) - 1
    registers: np.typing.NDArray[np.int64] = day.real[meter, sent[np.maximum(place, 0)]]
    return registers
