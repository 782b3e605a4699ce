"""Which faults recorded runs put into a UTC day: what validation should find, as a bench compares. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from infra.contracts.heartbeat import INTERVAL_MS, USER_ID_MIN
from infra.contracts.labels import LABELS_COLUMNS
from infra.contracts.quality import Rule
from infra.contracts.utility import UTILITIES
from simulator.dials import DAY_SLOTS, EXCHANGE, LEAK, RESET, event_on, event_slot, role_of
from simulator.fault_days import faults_on
from simulator.hashes import Ints
from simulator.ledger import Run
from simulator.meter_faults import BY_DAY, BY_METER, MeterFaults
from simulator.tables import schema_of, table_of, utility_column, words_at
from simulator.users import Meters, meters_of

SCHEMA = schema_of(LABELS_COLUMNS)
_RULES: tuple[Rule, ...] = (*BY_DAY, *BY_METER)
_DAY_MS = DAY_SLOTS * INTERVAL_MS
# Index of the meter, of the rule in _RULES, first slot, and the slot after the last.
_Found = tuple[Ints, Ints, Ints, Ints]


def labels_of(runs: Sequence[Run], user_id: Ints, day: int) -> Any:
    """Return a row of SCHEMA a fault of these users on a UTC day (since 1970), by user, utility and time.

    Its span is of the meters' true time, clipped to the day and to the runs; a reset or an exchange is the
    slot that begins the new dial. Runs share one seed.
    """
    parts = [SCHEMA.empty_table(), *(table for run in runs for table in _of_run(run, user_id, day))]
    keys = ["user_id", "utility", "rule"]
    # Runs may follow or repeat each other within a day: one fault is one label.
    spans = pa.concat_tables(parts).group_by(keys).aggregate([("from_ms", "min"), ("to_ms", "max")])
    columns = {name: spans.column(name) for name in keys}
    columns |= {"from_ms": spans.column("from_ms_min"), "to_ms": spans.column("to_ms_max")}
    table = table_of({name: column.combine_chunks() for name, column in columns.items()}, LABELS_COLUMNS)
    return table.sort_by([(name, "ascending") for name in ("user_id", "utility", "from_ms")])


def _of_run(run: Run, user_id: Ints, day: int) -> Iterator[Any]:
    bounds_ms = max(run.from_ms, day * _DAY_MS), min(run.until_ms, (day + 1) * _DAY_MS)
    if bounds_ms[0] >= bounds_ms[1] or not run.meter_faults:
        return
    members = user_id[user_id < USER_ID_MIN + run.users]
    for utility in UTILITIES:
        meters = meters_of(run.seed, utility, members)
        found = (_faults(meters, run.meter_faults, day), _events(meters, run.meter_faults, day))
        row, rule, first, end = (np.concatenate(columns) for columns in zip(*found, strict=True))
        from_ms = np.maximum(first * INTERVAL_MS, bounds_ms[0])
        to_ms = np.minimum(end * INTERVAL_MS, bounds_ms[1])
        here = from_ms < to_ms
        columns = {
            "user_id": members[row[here]],
            "utility": utility_column(utility, int(here.sum())),
            "rule": words_at([str(rule) for rule in _RULES], rule[here]),
            "from_ms": from_ms[here],
            "to_ms": to_ms[here],
        }
        yield table_of(columns, LABELS_COLUMNS)


def _faults(meters: Meters, faults: MeterFaults, day: int) -> _Found:
    found = faults_on(meters, faults, day)
    return found.row, found.rule, found.first_slot, found.end_slot


def _events(meters: Meters, faults: MeterFaults, day: int) -> _Found:
    """Return the day's leaks, resets and exchanges."""
    role = role_of(meters, faults)
    row = np.flatnonzero(event_on(meters, role, day))
    role = role[row]
    assert np.isin(role, (RESET, EXCHANGE, LEAK)).all()
    slot = event_slot(meters.take(row), day)
    leak = role == LEAK
    first = np.where(leak, day * DAY_SLOTS, slot)
    return row, len(BY_DAY) + role, first, np.where(leak, (day + 1) * DAY_SLOTS, slot + 1)
