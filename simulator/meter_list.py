"""Which meters hang where, since when and what their dials can show, as master data list them. Pure."""

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infra.contracts import master_data as contract
from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.utility import UTILITIES, Utility
from simulator.dials import (
    DAY_SLOTS,
    EXCHANGE,
    dials_of,
    event_day,
    event_slot,
    figures_of,
    initial_of,
    last_event_day,
    role_of,
)
from simulator.hashes import Ints
from simulator.meter_faults import MeterFaults
from simulator.registers import read_at
from simulator.tables import table_of, utility_column
from simulator.users import Meters, meters_of

INSTALLED_AT = int(datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC).timestamp()) * 1_000
_DAY_MS = DAY_SLOTS * INTERVAL_MS
_NOT_YET = -1


def meters_table(seed: int, user_id: Ints, faults: MeterFaults, from_ms: int, until_ms: int) -> Any:
    """Return a row a meter that served at some time in [from_ms, until_ms], by utility, user and time.

    An exchange after `until_ms` is not known yet.
    """
    parts = [
        _of_utility(meters_of(seed, utility, user_id), faults, from_ms, until_ms) for utility in UTILITIES
    ]
    return pa.concat_tables(parts)


def _of_utility(meters: Meters, faults: MeterFaults, from_ms: int, until_ms: int) -> Any:
    first = _exchanges_until(meters, faults, from_ms)
    last = np.maximum(_exchanges_until(meters, faults, until_ms), first)
    row = np.repeat(np.arange(len(first)), last - first + 1)
    earlier = np.arange(len(row)) - np.searchsorted(row, row)
    number, newest = first[row] + earlier, last[row]
    listed = meters.take(row)
    installed_at, initial = np.full(len(row), INSTALLED_AT), listed.base % figures_of(listed, faults)
    removed_at, final = np.full(len(row), _NOT_YET), np.full(len(row), _NOT_YET)

    later = np.flatnonzero(number > 0)
    begun = listed.take(later)
    day = event_day(begun, number[later] - 1)
    installed_at[later] = event_slot(begun, day) * INTERVAL_MS
    initial[later] = initial_of(begun, np.full(len(later), EXCHANGE), day)

    ended = np.flatnonzero(number < newest)
    gone = listed.take(ended)
    day = event_day(gone, number[ended])
    slot = event_slot(gone, day)
    removed_at[ended] = slot * INTERVAL_MS
    final[ended] = read_at(gone, slot)[0] + dials_of(gone, faults, day).before
    columns = {
        "meter_id": _meter_ids(meters.utility, listed.user_id, number),
        "user_id": listed.user_id,
        "utility": utility_column(meters.utility, len(row)),
        "installed_at": installed_at,
        "removed_at": pa.array(removed_at, mask=removed_at == _NOT_YET),
        "register_initial": initial,
        "register_final": pa.array(final, mask=removed_at == _NOT_YET),
        "register_max": figures_of(listed, faults) - 1,
        "rate_max": listed.rate_max,
    }
    return table_of(columns, contract.METERS_COLUMNS)


def _exchanges_until(meters: Meters, faults: MeterFaults, at_ms: int) -> Ints:
    """Return how often each meter was exchanged by an instant."""
    count = np.zeros(len(meters.user_id), np.int64)
    rows = np.flatnonzero(role_of(meters, faults) == EXCHANGE)
    exchanged = meters.take(rows)
    day, earlier = last_event_day(exchanged, at_ms // _DAY_MS)
    still_to_come = (earlier >= 0) & (event_slot(exchanged, day) * INTERVAL_MS > at_ms)
    count[rows] = earlier + 1 - still_to_come
    return count


def _meter_ids(utility: Utility, user_id: Ints, number: Ints) -> Any:
    """Return `E-10000042`, and `E-10000042-2` for the second meter of that user."""
    letter = utility[0].upper()
    first = pc.binary_join_element_wise(letter, pa.array(user_id).cast(pa.string()), "-")
    if not number.any():
        return first
    later = pc.binary_join_element_wise(first, pa.array(number + 1).cast(pa.string()), "-")
    return pc.if_else(pa.array(number > 0), later, first)
