"""The utility's own reads at a UTC day's end: a quarter of all meters, and all that miscount. Pure."""

from typing import Any

import numpy as np
import pyarrow as pa

from infra.contracts.master_data import READS_COLUMNS
from infra.contracts.utility import UTILITIES
from simulator.dials import DAY_SLOTS, shown_at
from simulator.fault_days import READ, faults_on
from simulator.hashes import Draw, Ints, below, hash_of
from simulator.meter_faults import MeterFaults
from simulator.tables import schema_of, table_of, utility_column
from simulator.users import Meters, chunks, meters_of

_NIGHTS = 4


def reads_table(seed: int, users: int, faults: MeterFaults, day: int) -> Any:
    """Return the reads as of the end of a UTC day (since 1970), by utility and user.

    A read is what the dial, had it been right, showed at the last heartbeat before that instant.
    """
    parts = [schema_of(READS_COLUMNS).empty_table()]
    for utility in UTILITIES:
        for user_id in chunks(users):
            meters = meters_of(seed, utility, user_id)
            chosen = meters.take(_chosen(meters, faults, day))
            last = np.full(len(chosen.user_id), (day + 1) * DAY_SLOTS - 1)
            columns = {
                "user_id": chosen.user_id,
                "utility": utility_column(utility, len(last)),
                "register": shown_at(chosen, faults, last),
            }
            parts.append(table_of(columns, READS_COLUMNS))
    return pa.concat_tables(parts)


def _chosen(meters: Meters, faults: MeterFaults, day: int) -> Ints:
    chosen = (day + below(hash_of(meters.identity, Draw.READ), _NIGHTS)) % _NIGHTS == 0
    if faults:
        of_day = faults_on(meters, faults, day)
        chosen[of_day.row[of_day.rule == READ]] = True
    return np.flatnonzero(chosen)
