"""What the newest heartbeat of every meter must be, in whole columns: pure.

The ledger answers the same meter by meter; this is for comparing millions of them.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from infra.contracts.heartbeat import INTERVAL_MS, USER_ID_MIN
from infra.contracts.utility import UTILITIES, Utility
from simulator.hashes import Ints
from simulator.ledger import LedgerError, Run, has_arrived
from simulator.registers import read_at
from simulator.users import Meters, meters_of

FIGURES = ("sent_at", "register", "rate")
SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        *((f"{utility}_{name}", pa.int64()) for utility in UTILITIES for name in FIGURES),
    ]
)
_NEVER = -1


def check_meters_right(runs: Sequence[Run]) -> None:
    """Refuse runs in which meters themselves go wrong: raw registers are not what those sent.

    :raises LedgerError: naming the faults.
    """
    for run in runs:
        if run.meter_faults:
            raise LedgerError(
                f"a run is recorded with --meter-faults {run.meter_faults}, for which there is no table of "
                "newest heartbeats. Ask the ledger meter by meter with `ledger`"
            )


def table_of(runs: Sequence[Run], user_id: Ints) -> pa.Table:
    """Return a row a user of SCHEMA; null where nothing was delivered. Runs share one seed."""
    columns = [pa.array(user_id)]
    for utility in UTILITIES:
        columns += _newest(runs, utility, user_id)
    return pa.table(columns, SCHEMA)


def _newest(runs: Sequence[Run], utility: Utility, user_id: Ints) -> list[pa.Array]:
    """Return sent_at, register and rate of each user's newest delivered heartbeat."""
    meters = meters_of(runs[0].seed, utility, user_id)
    slot = np.full(len(user_id), _NEVER, np.int64)
    for run in runs:
        members = np.flatnonzero(user_id < USER_ID_MIN + run.users)
        slot[members] = np.maximum(slot[members], _newest_slot(run, meters.take(members)))
    known = np.flatnonzero(slot != _NEVER)
    found = meters.take(known)
    register, rate = read_at(found, slot[known])
    figures = []
    for values in (slot[known] * INTERVAL_MS + found.phase_ms, register, rate):
        column = np.zeros(len(user_id), np.int64)
        column[known] = values
        figures.append(pa.array(column, mask=slot == _NEVER))
    return figures


def _newest_slot(run: Run, meters: Meters) -> Ints:
    """Return each meter's newest delivered slot of a run, _NEVER if there is none."""
    newest = np.full(len(meters.user_id), _NEVER, np.int64)
    # Rounded up: the first beat at or after an instant.
    first, end = (-((meters.phase_ms - instant) // INTERVAL_MS) for instant in (run.from_ms, run.until_ms))
    slot = end - 1
    undecided = np.flatnonzero(slot >= first)
    while len(undecided):
        arrived = has_arrived(run, meters.take(undecided), slot[undecided])
        newest[undecided[arrived]] = slot[undecided[arrived]]
        undecided = undecided[~arrived]
        slot[undecided] -= 1
        undecided = undecided[slot[undecided] >= first[undecided]]
    return newest
