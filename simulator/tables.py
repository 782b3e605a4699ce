"""Arrow tables of exactly a contract's columns, types and nullability. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from infra.contracts.master_data import NULLABLE
from infra.contracts.utility import UTILITIES, Utility
from simulator.hashes import Ints

_TYPES = {"BIGINT": pa.int64(), "INT": pa.int32(), "STRING": pa.string(), "DATE": pa.date32()}


def schema_of(shape: Mapping[str, str]) -> Any:
    """Return the Arrow schema of a contract's columns."""
    return pa.schema([pa.field(name, _TYPES[kind], name in NULLABLE) for name, kind in shape.items()])


def table_of(columns: Mapping[str, Any], shape: Mapping[str, str]) -> Any:
    """Return a table of the contract's columns, in its order."""
    schema = schema_of(shape)
    arrays = [_array(columns[field.name]).cast(field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def words_at(words: Sequence[str], index: Ints) -> Any:
    """Return the word at each index."""
    return pa.array(words).take(pa.array(index))


def utility_column(utility: Utility, rows: int) -> Any:
    """Return the utility's word so many times."""
    return words_at([str(each) for each in UTILITIES], np.full(rows, utility.code))


def _array(column: Any) -> Any:
    return pa.array(column) if isinstance(column, np.ndarray | list) else column
