"""Who has an agreement since when: nearly all from the beginning, few moved in later, some never. Pure."""

import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from infra.contracts import master_data as contract
from infra.contracts.utility import UTILITIES
from simulator.faults import PARTS
from simulator.hashes import Draw, Ints, below, hash_of
from simulator.tables import table_of, utility_column, words_at
from simulator.users import kind_of

PLANS = contract.KINDS
"""A user's plan has the name of its kind."""
VACANT = 2**31 - 1
_BEGIN = datetime.date(2024, 1, 1).toordinal() - datetime.date(1970, 1, 1).toordinal()
_VACANT_PPM = 5_000  # of homes
_MOVED_PPM = 10_000
_MONTHS = np.arange("2026-01", "2027-01", dtype="datetime64[M]").astype("datetime64[D]").astype(np.int64)
_DAYS_IN = (7, 15)  # moved in on the 8th to the 22nd


def moved_in_on(seed: int, user_id: Ints) -> Ints:
    """Return each user's first local day with an agreement, in days since 1970; VACANT if there is none."""
    drawn = below(hash_of(seed, Draw.AGREEMENT, 0, user_id), PARTS)
    month = _MONTHS[below(hash_of(seed, Draw.AGREEMENT, 1, user_id), len(_MONTHS))]
    first, days = _DAYS_IN
    moved = month + first + below(hash_of(seed, Draw.AGREEMENT, 2, user_id), days)
    begin = np.where(drawn < _MOVED_PPM, moved, _BEGIN)
    vacant = (drawn >= PARTS - _VACANT_PPM) & (kind_of(seed, user_id) == 0)
    return np.where(vacant, VACANT, begin)


def agreements_table(seed: int, user_id: Ints) -> Any:
    """Return a row a user with an agreement and utility, by utility and user."""
    since = moved_in_on(seed, user_id)
    lived_in = since != VACANT
    user_id, since = user_id[lived_in], since[lived_in]
    plan = words_at(PLANS, kind_of(seed, user_id))
    day = pa.array(since.astype(np.int32), pa.int32()).cast(pa.date32())
    parts = [
        table_of(
            {
                "user_id": user_id,
                "utility": utility_column(utility, len(user_id)),
                "plan": plan,
                "moved_in_on": day,
                "moved_out_on": pa.nulls(len(user_id), pa.date32()),
            },
            contract.AGREEMENTS_COLUMNS,
        )
        for utility in UTILITIES
    ]
    return pa.concat_tables(parts)
