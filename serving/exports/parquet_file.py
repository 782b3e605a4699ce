"""Hours as Parquet: typed columns, instants in UTC; the household's zone is in the file's metadata."""

import itertools
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from serving.exports.hours import Export, ExportedHour

MEDIA_TYPE = "application/vnd.apache.parquet"
# A year of a utility; what is held until a group is full is small.
GROUP_ROWS = 8_784
SCHEMA = pa.schema(
    [
        pa.field("user_id", pa.int32(), nullable=False),
        pa.field("utility", pa.string(), nullable=False),
        pa.field("start", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("duration_s", pa.int32(), nullable=False),
        pa.field("usage", pa.int64()),
        pa.field("unit", pa.string(), nullable=False),
        pa.field("complete", pa.bool_(), nullable=False),
        pa.field("quality", pa.string()),
        pa.field("source", pa.string()),
        pa.field("cost_micro", pa.int64()),
        pa.field("currency", pa.string()),
    ]
)


class ParquetWriter:
    """Writes hours as Parquet, a row group at a time. `cost_micro`: millionths of the minor unit."""

    def __init__(self, export: Export) -> None:
        self._export = export
        self._held: list[ExportedHour] = []
        self._drain = _Drain()
        metadata = {"meterbeat.zone": export.zone, "meterbeat.user_id": str(export.user_id)}
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._drain, mode="w"), SCHEMA.with_metadata(metadata), compression="zstd"
        )

    def begin(self) -> bytes:
        """See `Writer.begin`."""
        return self._drain.taken()

    def add(self, hours: Sequence[ExportedHour]) -> bytes:
        """See `Writer.add`."""
        self._held += hours
        while len(self._held) >= GROUP_ROWS:
            self._write(self._held[:GROUP_ROWS])
            del self._held[:GROUP_ROWS]
        return self._drain.taken()

    def end(self) -> bytes:
        """See `Writer.end`."""
        if self._held:
            self._write(self._held)
            self._held = []
        self._writer.close()
        return self._drain.taken()

    def _write(self, hours: Sequence[ExportedHour]) -> None:
        export = self._export
        priced = [hour.cost_micro if export.currency else None for hour in hours]
        columns = [
            list(itertools.repeat(export.user_id, len(hours))),
            [hour.utility.value for hour in hours],
            [hour.start_ms for hour in hours],
            [hour.duration_s for hour in hours],
            [hour.usage for hour in hours],
            [hour.utility.unit for hour in hours],
            [hour.complete for hour in hours],
            [hour.quality for hour in hours],
            [hour.source for hour in hours],
            priced,
            [None if cost is None else export.currency for cost in priced],
        ]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), row_group_size=GROUP_ROWS)


class _Drain:
    """A file that is only written to; what was written is taken out as it comes."""

    closed = False

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: object) -> int:
        """Keep what is written."""
        part = bytes(memoryview(data))  # type: ignore[arg-type]
        self._bytes += part
        return len(part)

    def flush(self) -> None:
        """Do nothing: what was written is at hand."""

    def close(self) -> None:
        """Keep what is still to be taken."""

    def taken(self) -> bytes:
        """Return what was written since the last call."""
        part = bytes(self._bytes)
        self._bytes.clear()
        return part
