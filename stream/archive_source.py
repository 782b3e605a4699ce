"""Reads the archive back: which files there are, what their row groups cover, and rows of some stretches.

The one rule: only what the statistics of a row group say it may hold is read, and never more at a time than
one row group a thread.
"""

import dataclasses
import datetime
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from infra.contracts import archive
from infra.contracts.utility import Utility
from infra.process import ServiceError

THREADS = 4  # two cores decode while others wait for S3
AHEAD_MAX = 6  # row groups or footers under way
CONNECT_S_MAX = 5
REQUEST_S_MAX = 60
RETRIES_MAX = 5
REASON_MAX = 200
EVER_MS = 2**62

Stretch = tuple[int, int]  # [from, to) in ms since 1970
Columns = dict[str, NDArray[Any]]
_T = TypeVar("_T")
_R = TypeVar("_R")


class ArchiveAwayError(ServiceError):
    """The archive does not answer or a file of it cannot be read. Names the address and the remedy."""


@dataclasses.dataclass(frozen=True)
class ArchiveFile:
    """One Parquet file. `written_ms` is when it was put there, 0 if compaction made it."""

    path: str
    day: str
    written_ms: int


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """A part of a file and what its statistics say of the times in it (ms, both ends included)."""

    path: str
    index: int
    rows: int
    first_ms: int
    last_ms: int
    region_is_dictionary: bool = False  # then pyarrow reads regions as codes, in half the time

    def overlaps(self, stretch: Stretch) -> bool:
        """Return whether rows of a stretch may be in it."""
        return self.first_ms < stretch[1] and self.last_ms >= stretch[0]


class ArchiveSource:
    """The archive of one bucket in a pyarrow file system."""

    def __init__(self, files: fs.FileSystem, bucket: str, address: str) -> None:
        self._files, self._bucket, self._address = files, bucket, address

    @classmethod
    def on_s3(
        cls, endpoint: str, region: str, access_key: str, secret_key: str, bucket: str
    ) -> "ArchiveSource":
        """Return the archive of a bucket of an S3 server such as http://127.0.0.1:19001."""
        files = s3_files(endpoint, region, access_key, secret_key)
        return cls(files, bucket, f"S3 at {endpoint}")

    def compacted(self, utility: Utility, day: datetime.date) -> bool:
        """Return whether a day has a manifest, which it gets once its night is published.

        :raises ArchiveAwayError: if the store does not answer.
        """
        return self._manifest(utility, day.isoformat()) is not None

    def list_files(self, utility: Utility, first_day: datetime.date) -> list[ArchiveFile]:
        """Return the files that hold each heartbeat from a UTC day on once, the newest written first.

        :raises ArchiveAwayError: if the store does not answer.
        """
        parent = f"{archive.PREFIX}/utility={utility}"
        days = (info.base_name.partition("=")[2] for info in self._list(parent))
        found: list[ArchiveFile] = []
        for day in sorted(day for day in days if day >= first_day.isoformat()):
            listed = self._list(archive.day_path(utility, day))
            written = {self._key(info): int(info.mtime_ns // 1_000_000) for info in listed}
            keys = archive.objects_of_day(written, self._manifest(utility, day))
            found += [ArchiveFile(key, day, written.get(key, 0)) for key in keys]
        return sorted(found, key=lambda file: (file.written_ms, file.path), reverse=True)

    def row_groups(self, files: Iterable[ArchiveFile]) -> Iterator[tuple[ArchiveFile, list[RowGroup]]]:
        """Yield the row groups of each file, from its footer alone; a file that is gone has none.

        :raises ArchiveAwayError: if the store does not answer or a footer is none.
        """
        return _ahead(lambda file: (file, self._row_groups(file)), files)

    def read(self, wanted: Iterable[tuple[RowGroup, list[Stretch]]]) -> Iterator[Columns]:
        """Yield the rows of each row group that lie in its stretches, integers as int64 and regions as S6.

        :raises ArchiveAwayError: if the store does not answer or a file cannot be read.
        """
        return _ahead(lambda one: self._read(*one), wanted)

    def _row_groups(self, file: ArchiveFile) -> list[RowGroup]:
        def ask() -> list[RowGroup]:
            metadata = pq.read_metadata(self._files.open_input_file(self._full(file.path)))
            return [
                _row_group(file.path, index, metadata.row_group(index), metadata.schema.names)
                for index in range(metadata.num_row_groups)
            ]

        return self._ask(file.path, ask, [])

    def _read(self, group: RowGroup, stretches: list[Stretch]) -> Columns:
        def ask() -> Columns:
            source = self._files.open_input_file(self._full(group.path))
            dictionary = ["region"] if group.region_is_dictionary else []
            parquet = pq.ParquetFile(source, read_dictionary=dictionary, pre_buffer=True)
            table = parquet.read_row_group(group.index, columns=list(archive.COLUMNS), use_threads=False)
            sent_at = _integers(table, "sent_at")
            keep = np.flatnonzero(_within(sent_at, stretches))
            columns = {name: _integers(table, name)[keep] for name in ("user_id", "register", "rate")}
            return {**columns, "sent_at": sent_at[keep], "region": _regions(table, keep)}

        return self._ask(group.path, ask, {})

    def _manifest(self, utility: Utility, day: str) -> archive.Manifest | None:
        path = archive.manifest_path(utility, day)

        def ask() -> archive.Manifest | None:
            with self._files.open_input_stream(self._full(path)) as stream:
                return archive.Manifest.from_json(stream.read())

        return self._ask(path, ask, None)

    def _list(self, folder: str) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self._full(folder), allow_not_found=True)
        return self._ask(folder, lambda: list(self._files.get_file_info(selector)), [])

    def _ask(self, path: str, ask: Callable[[], _T], gone: _T) -> _T:
        """Return the answer, or `gone` for what compaction or nobody put there."""
        try:
            return ask()
        except FileNotFoundError:
            return gone
        except (pa.ArrowException, archive.ManifestError) as error:
            raise ArchiveAwayError(
                f"archive object {self._full(path)} cannot be read: {_first_line(error)}"
            ) from None
        except OSError as error:
            raise ArchiveAwayError(
                f"{self._address} does not give {self._full(path)} ({_first_line(error)}); "
                "start it with `meterbeat up`"
            ) from None

    def _full(self, key: str) -> str:
        return f"{self._bucket}/{key}"

    def _key(self, info: fs.FileInfo) -> str:
        return str(info.path).removeprefix(f"{self._bucket}/")


def s3_files(endpoint: str, region: str, access_key: str, secret_key: str) -> fs.S3FileSystem:
    """Return the buckets of an S3 server such as http://127.0.0.1:19001. Asks it nothing yet."""
    address = urllib.parse.urlsplit(endpoint)
    return fs.S3FileSystem(
        access_key=access_key,
        secret_key=secret_key,
        endpoint_override=address.netloc,
        scheme=address.scheme,
        region=region,
        connect_timeout=CONNECT_S_MAX,
        request_timeout=REQUEST_S_MAX,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=RETRIES_MAX),
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:REASON_MAX]


def _row_group(path: str, index: int, metadata: Any, columns: list[str]) -> RowGroup:
    statistics = metadata.column(columns.index("sent_at")).statistics
    known = statistics is not None and statistics.has_min_max
    first_ms, last_ms = (int(statistics.min), int(statistics.max)) if known else (0, EVER_MS)
    encodings = metadata.column(columns.index("region")).encodings
    is_dictionary = not any(encoding.startswith("DELTA") for encoding in encodings)
    return RowGroup(path, index, metadata.num_rows, first_ms, last_ms, is_dictionary)


def _within(sent_at: NDArray[np.int64], stretches: list[Stretch]) -> NDArray[np.bool_]:
    keep = np.zeros(len(sent_at), np.bool_)
    for begin, end in stretches:
        keep |= (sent_at >= begin) & (sent_at < end)
    return keep


def _integers(table: pa.Table, name: str) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = table.column(name).to_numpy().astype(np.int64, copy=False)
    return numbers


def _regions(table: pa.Table, rows: NDArray[np.intp]) -> NDArray[np.bytes_]:
    """Return the regions of some rows; text is turned into bytes once a distinct region."""
    column = table.column("region").unify_dictionaries().combine_chunks().take(pa.array(rows))
    codes = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    codes = codes if isinstance(codes, pa.DictionaryArray) else codes.dictionary_encode()
    distinct = np.array([code.encode() for code in codes.dictionary.to_pylist()] or [b""], "S6")
    regions: NDArray[np.bytes_] = distinct[codes.indices.to_numpy()]
    return regions


def _ahead(do: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
    """Yield what is done with each item, in order, a few of them under way at once."""
    remaining = iter(items)
    with ThreadPoolExecutor(THREADS) as pool:
        under_way = deque(pool.submit(do, item) for item in islice(remaining, AHEAD_MAX))
        while under_way:
            done = under_way.popleft().result()
            under_way.extend(pool.submit(do, item) for item in islice(remaining, 1))
            yield done
