"""Puts Parquet objects on S3 whole: under another name first, then moved, which S3 does in one step."""

import contextlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from infra.contracts.stream_marks import COLUMNS
from infra.contracts.utility import UTILITIES
from infra.process import ServiceError

PART_SUFFIX = ".part"
REASON_MAX = 200
_TYPES = {"BIGINT": pa.int64(), "STRING": pa.string()}
MARKS_SCHEMA = pa.schema([pa.field(name, _TYPES[type_], nullable=False) for name, type_ in COLUMNS.items()])
_NAMES = pa.array([utility.value for utility in UTILITIES])


class S3AwayError(ServiceError):
    """The store does not take an object. Names the address, the object and the remedy."""


class S3Sink:
    """One bucket in a pyarrow file system; `address` is how people know the store."""

    def __init__(self, files: fs.FileSystem, bucket: str, address: str) -> None:
        self._files, self._bucket, self._address = files, bucket, address

    def write_marks(self, path: str, parts: Iterator[NDArray[np.void]]) -> None:
        """Write stream.snapshot.DAY_REGISTERS as the object of infra/contracts/stream_marks.py.

        Holds one part at a time. If anything fails, also where the parts come from, what was there stays.

        :raises S3AwayError: if the store does not take it.
        """
        whole = f"{self._bucket}/{path}"
        unfinished = whole + PART_SUFFIX
        try:
            with (
                self._files.open_output_stream(unfinished) as stream,
                pq.ParquetWriter(stream, MARKS_SCHEMA, compression="zstd") as writer,
            ):
                for part in parts:
                    writer.write_table(_table(part))
            self._files.move(unfinished, whole)
        except (OSError, pa.ArrowException) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)[:REASON_MAX]
            raise S3AwayError(
                f"{self._address} does not take {whole} ({reason}); start it with `meterbeat up`"
            ) from None
        except BaseException:
            with contextlib.suppress(OSError):
                self._files.delete_file(unfinished)
            raise


def _table(meters: NDArray[np.void]) -> pa.Table:
    names = pa.DictionaryArray.from_arrays(pa.array(meters["utility"].astype(np.int8)), _NAMES)
    columns = {name: np.ascontiguousarray(meters[name]) for name in COLUMNS if name != "utility"}
    return pa.table({**columns, "utility": names.cast(pa.string())}).select(list(COLUMNS)).cast(MARKS_SCHEMA)
