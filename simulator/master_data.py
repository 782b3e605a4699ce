"""Master data of a fleet as Arrow tables: who is metered, where, by which meters and at what price. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from infra.contracts import master_data as contract
from simulator.agreements import agreements_table
from simulator.hashes import Draw, Ints, below, hash_of
from simulator.meter_faults import NONE, MeterFaults
from simulator.meter_list import INSTALLED_AT, meters_table
from simulator.names import FAMILY, GIVEN, ROADS, STREETS, TRADES
from simulator.regions import REGIONS
from simulator.tables import table_of, words_at
from simulator.tariffs import tariffs_table
from simulator.users import kind_of, region_of, user_ids

_HOUSES = 2_000


def master_tables(
    seed: int,
    users: int,
    meter_faults: MeterFaults = NONE,
    from_ms: int = INSTALLED_AT,
    until_ms: int = INSTALLED_AT,
) -> dict[str, Any]:
    """Return the tables of master data by their path; the reads of each day are simulator/reads.py's.

    Meters are listed that served at some time in [from_ms, until_ms].
    """
    return dict(each_table(seed, users, meter_faults, from_ms, until_ms))


def each_table(
    seed: int, users: int, meter_faults: MeterFaults, from_ms: int, until_ms: int
) -> Iterator[tuple[str, Any]]:
    """Yield the same one by one: of millions of users, not all need be held at once."""
    user_id = user_ids(users)
    yield contract.USERS_PATH, _users(seed, user_id)
    yield contract.METERS_PATH, meters_table(seed, user_id, meter_faults, from_ms, until_ms)
    yield contract.REGIONS_PATH, _regions()
    yield contract.AGREEMENTS_PATH, agreements_table(seed, user_id)
    yield contract.TARIFFS_PATH, tariffs_table()


def _users(seed: int, user_id: Ints) -> Any:
    kind, region = kind_of(seed, user_id), region_of(seed, user_id)
    home = _join(_pick(seed, Draw.NAME, 0, user_id, GIVEN), _pick(seed, Draw.NAME, 1, user_id, FAMILY))
    business = _join(_pick(seed, Draw.NAME, 1, user_id, FAMILY), _pick(seed, Draw.NAME, 2, user_id, TRADES))
    house = pa.array(1 + below(hash_of(seed, Draw.ADDRESS, 0, user_id), _HOUSES)).cast(pa.string())
    street = _join(
        house,
        _pick(seed, Draw.ADDRESS, 1, user_id, STREETS),
        _pick(seed, Draw.ADDRESS, 2, user_id, ROADS),
    )
    columns = {
        "user_id": user_id,
        "kind": words_at(contract.KINDS, kind),
        "name": pc.if_else(pa.array(kind == 1), business, home),
        "address": street,
        "region": words_at([region.code for region in REGIONS], region),
        "zone": words_at([region.zone for region in REGIONS], region),
    }
    return table_of(columns, contract.USERS_COLUMNS)


def _regions() -> Any:
    columns = {
        "region": [region.code for region in REGIONS],
        "name": [region.name for region in REGIONS],
        "zone": [region.zone for region in REGIONS],
    }
    return table_of(columns, contract.REGIONS_COLUMNS)


def _pick(seed: int, draw: Draw, part: int, user_id: Ints, words: Sequence[str]) -> Any:
    return words_at(words, below(hash_of(seed, draw, part, user_id), len(words)))


def _join(*words: Any) -> Any:
    return pc.binary_join_element_wise(*words, " ")
