"""A fleet's whole UTC day as the stream would have archived it, straight onto S3: for benches of the night.

The rows are those that a run sends, in the order in which they would have arrived; broker and stream are left
out, and so is what the stream would set aside as malformed.
"""

import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from infra.contracts import archive
from infra.contracts.durations import DAY_MS
from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.utility import UTILITIES
from simulator.counts import Counts
from simulator.faults import Faults
from simulator.lane import Lane, lanes_of
from simulator.ledger import Run
from simulator.meter_faults import MeterFaults
from simulator.options import day_text
from simulator.s3_sink import S3Sink
from simulator.schedule import Span
from simulator.shapes import BEATS
from simulator.tables import schema_of

ROWS_A_GROUP = 1_000_000
HOURS = 24
SCHEMA = schema_of(archive.COLUMNS)
INTEGERS = SCHEMA.names[:4]


def write_day(
    s3: S3Sink, seed: int, users: int, from_ms: int, faults: Faults, meter_faults: MeterFaults
) -> Run:
    """Write the heartbeats of the UTC day from `from_ms` on, and record them as a run that is over.

    There is a file an hour and utility, in the folder of the day.

    :raises S3AwayError: if S3 is away.
    """
    counts = {str(utility): Counts() for utility in UTILITIES}
    for lane in lanes_of(seed, users, dict.fromkeys(UTILITIES, 1), faults, meter_faults):
        folder = archive.day_path(lane.utility, day_text(from_ms // DAY_MS))
        for hour in range(HOURS):
            with tempfile.TemporaryFile() as file:
                with _writer(file) as writer:
                    for rows, made in _hour(lane, from_ms, hour):
                        counts[str(lane.utility)] += made
                        writer.write_table(rows)
                file.seek(0)
                s3.put_file(f"{folder}/part-bench-{users}-{hour:02}.parquet", file)
    run = Run(
        seed,
        users,
        from_ms,
        from_ms + DAY_MS,
        faults,
        acknowledged_until=from_ms + DAY_MS,
        finished=True,
        counts=counts,
        meter_faults=meter_faults,
    )
    s3.put_run(run)
    return run


def _hour(lane: Lane, from_ms: int, hour: int) -> Iterator[tuple[pa.Table, Counts]]:
    """Yield an hour's rows; in the day's last one also what is still late at its end."""
    first = from_ms // INTERVAL_MS + hour * BEATS
    step = min(max(ROWS_A_GROUP // len(lane.meters.user_id), 1), BEATS)
    for slot in range(first, first + BEATS, step):
        slots = min(step, first + BEATS - slot)
        records, made = lane.beats(Span(slot, slots, 0, INTERVAL_MS))
        yield _rows(records.values, list(records.odd)), made
    if hour == HOURS - 1:
        records, made = lane.rest()
        yield _rows(records.values, list(records.odd)), made


def _rows(values: npt.NDArray[Any], odd: list[int]) -> pa.Table:
    kept = np.delete(values, odd) if odd else values
    columns = [pa.array(np.ascontiguousarray(kept[name])).cast(SCHEMA.field(name).type) for name in INTEGERS]
    return pa.Table.from_arrays([*columns, pa.array(kept["region"]).cast(pa.string())], schema=SCHEMA)


def _writer(file: BinaryIO) -> pq.ParquetWriter:
    """Return a writer of files encoded as the stream's are (stream/java/meterbeat/ArchiveWriter.java)."""
    return pq.ParquetWriter(
        file,
        SCHEMA,
        compression="zstd",
        version="2.6",
        data_page_version="2.0",
        use_dictionary=["region"],
        column_encoding=dict.fromkeys(INTEGERS, "DELTA_BINARY_PACKED"),
    )
