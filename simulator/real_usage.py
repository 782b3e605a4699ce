"""What was really used in each UTC hour, whatever the meters showed: for a bench to compare. Pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from infra.contracts.heartbeat import INTERVAL_MS, USER_ID_MIN
from infra.contracts.labels import REAL_USAGE_KEYS
from infra.contracts.nightly import HOUR_COLUMNS
from infra.contracts.utility import UTILITIES
from simulator.dials import DAY_SLOTS, NEVER, counted_at
from simulator.hashes import Ints
from simulator.ledger import Run
from simulator.shapes import BEATS
from simulator.tables import schema_of, table_of, utility_column
from simulator.users import Meters, meters_of

_COLUMNS = {
    **dict(zip(REAL_USAGE_KEYS, ("BIGINT", "STRING"), strict=True)),
    **dict.fromkeys(HOUR_COLUMNS, "BIGINT"),
}
SCHEMA = schema_of(_COLUMNS)


def usage_of(runs: Sequence[Run], user_id: Ints, day: int) -> Any:
    """Return a row of SCHEMA a meter of these users that beat around a UTC day (since 1970).

    An hour's usage lies between the true registers of the last beats before its bounds, of those beats that
    the runs reached: usage before the first and after the last of them is nobody's. Runs share one seed.
    """
    parts = [SCHEMA.empty_table()]
    for utility in UTILITIES:
        meters = meters_of(runs[0].seed, utility, user_id)
        first, last = _reached(runs, meters)
        row = np.flatnonzero((first < (day + 1) * DAY_SLOTS) & (last >= day * DAY_SLOTS) & (first <= last))
        parts.append(_table(runs[0], meters.take(row), first[row], last[row], day))
    return pa.concat_tables(parts)


def _table(run: Run, meters: Meters, first: Ints, last: Ints, day: int) -> Any:
    marks = [
        counted_at(meters, run.meter_faults, np.clip(np.full(len(first), before - 1), first, last))
        for before in range(day * DAY_SLOTS, (day + 1) * DAY_SLOTS + 1, BEATS)
    ]
    columns: dict[str, Any] = dict(zip(HOUR_COLUMNS, np.diff(marks, axis=0), strict=True))
    columns["user_id"] = meters.user_id
    columns["utility"] = utility_column(meters.utility, len(first))
    return table_of(columns, _COLUMNS)


def _reached(runs: Sequence[Run], meters: Meters) -> tuple[Ints, Ints]:
    """Return the slots of each meter's first and last beat in any run; a first of NEVER: none."""
    first, last = np.full(len(meters.user_id), NEVER), np.full(len(meters.user_id), -1)
    for run in runs:
        # Rounded up: the first beat at or after an instant.
        begin, end = (-((meters.phase_ms - at_ms) // INTERVAL_MS) for at_ms in (run.from_ms, run.until_ms))
        beat = (meters.user_id < USER_ID_MIN + run.users) & (begin < end)
        first = np.where(beat, np.minimum(first, begin), first)
        last = np.where(beat, np.maximum(last, end - 1), last)
    return first, last
