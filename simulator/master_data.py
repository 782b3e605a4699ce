"""Master data of a fleet as Arrow tables: who is metered, where, by which meters. Pure."""

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infra.contracts import master_data as contract
from infra.contracts.utility import UTILITIES
from simulator.hashes import Draw, Ints, below, hash_of
from simulator.regions import REGIONS
from simulator.users import kind_of, region_of, user_ids

INSTALLED_AT = int(datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC).timestamp()) * 1_000
_TYPES = {"BIGINT": pa.int64(), "STRING": pa.string()}
_NULLABLE = ("removed_at",)
_GIVEN = [
    "Ada",
    "Ben",
    "Carla",
    "David",
    "Elena",
    "Frank",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Karin",
    "Liam",
    "Mara",
    "Noah",
    "Olga",
    "Paul",
    "Quinn",
    "Rosa",
    "Sam",
    "Tara",
    "Umar",
    "Vera",
    "Wendy",
    "Xavier",
    "Yara",
    "Zoe",
]
_FAMILY = [
    "Adams",
    "Baker",
    "Clark",
    "Diaz",
    "Evans",
    "Foster",
    "Garcia",
    "Hughes",
    "Irwin",
    "Jones",
    "Klein",
    "Lopez",
    "Miller",
    "Nguyen",
    "Olsen",
    "Perez",
    "Quill",
    "Reyes",
    "Smith",
    "Turner",
    "Underwood",
    "Vargas",
    "Walker",
    "Xu",
    "Young",
    "Zimmer",
]
_TRADES = [
    "Bakery",
    "Dental",
    "Diner",
    "Garage",
    "Grocery",
    "Hotel",
    "Laundry",
    "Office",
    "Print",
    "School",
    "Storage",
    "Studio",
    "Tools",
]
_STREETS = [
    "Oak",
    "Maple",
    "Cedar",
    "Pine",
    "Elm",
    "Lake",
    "Hill",
    "Park",
    "River",
    "Spring",
    "Sunset",
    "Mill",
    "Church",
    "Market",
    "Bridge",
]
_ROADS = ("Street", "Avenue", "Lane", "Road", "Drive")
_HOUSES = 2_000


def master_tables(seed: int, users: int) -> dict[str, pa.Table]:
    """Return the tables of master data by their path."""
    user_id = user_ids(users)
    return {
        contract.USERS_PATH: _users(seed, user_id),
        contract.METERS_PATH: _meters(user_id),
        contract.REGIONS_PATH: _regions(),
    }


def _users(seed: int, user_id: Ints) -> pa.Table:
    kind, region = kind_of(seed, user_id), region_of(seed, user_id)
    home = _join(_pick(seed, Draw.NAME, 0, user_id, _GIVEN), _pick(seed, Draw.NAME, 1, user_id, _FAMILY))
    business = _join(_pick(seed, Draw.NAME, 1, user_id, _FAMILY), _pick(seed, Draw.NAME, 2, user_id, _TRADES))
    house = pa.array(1 + below(hash_of(seed, Draw.ADDRESS, 0, user_id), _HOUSES)).cast(pa.string())
    street = _join(
        house,
        _pick(seed, Draw.ADDRESS, 1, user_id, _STREETS),
        _pick(seed, Draw.ADDRESS, 2, user_id, _ROADS),
    )
    columns = {
        "user_id": pa.array(user_id),
        "kind": pa.array(contract.KINDS).take(pa.array(kind)),
        "name": pc.if_else(pa.array(kind == 1), business, home),
        "address": street,
        "region": pa.array([region.code for region in REGIONS]).take(pa.array(region)),
        "zone": pa.array([region.zone for region in REGIONS]).take(pa.array(region)),
    }
    return _table(columns, contract.USERS_COLUMNS)


def _meters(user_id: Ints) -> pa.Table:
    """Return one meter a user and utility, each there since before any heartbeat."""
    user_text = pa.array(user_id).cast(pa.string())
    count = len(user_id)
    numbers = [pc.binary_join_element_wise(utility[0].upper(), user_text, "-") for utility in UTILITIES]
    columns = {
        "meter_id": pa.concat_arrays(numbers),
        "user_id": pa.array(np.tile(user_id, len(UTILITIES))),
        "utility": pa.array([str(utility) for utility in UTILITIES]).take(
            pa.array(np.repeat(np.arange(len(UTILITIES)), count))
        ),
        "installed_at": pa.array(np.full(count * len(UTILITIES), INSTALLED_AT)),
        "removed_at": pa.nulls(count * len(UTILITIES), pa.int64()),
    }
    return _table(columns, contract.METERS_COLUMNS)


def _regions() -> pa.Table:
    columns = {
        "region": pa.array([region.code for region in REGIONS]),
        "name": pa.array([region.name for region in REGIONS]),
        "zone": pa.array([region.zone for region in REGIONS]),
    }
    return _table(columns, contract.REGIONS_COLUMNS)


def _pick(seed: int, draw: Draw, part: int, user_id: Ints, words: list[str] | tuple[str, ...]) -> Any:
    return pa.array(words).take(pa.array(below(hash_of(seed, draw, part, user_id), len(words))))


def _join(*words: Any) -> Any:
    return pc.binary_join_element_wise(*words, " ")


def _table(columns: Mapping[str, Any], shape: Mapping[str, str]) -> pa.Table:
    """Return a table of exactly the contract's columns, types and nullability."""
    schema = pa.schema([pa.field(name, _TYPES[kind], name in _NULLABLE) for name, kind in shape.items()])
    return pa.Table.from_arrays([columns[name] for name in shape], schema=schema)
