"""What the archive costs: as the stream writes it, and after the night's compaction.

Two sets of heartbeats, as the two figures depend on different things. As written, a file holds a minute or
two of many users: a large fleet's few minutes. Compacted, it holds a user's whole day in a row: a small
fleet's day, in which a user has as many heartbeats as anyone ever has.
"""

import time
from typing import Any

from infra.bench.archive_files import ArchiveFiles
from infra.bench.fleet import Fleet
from infra.bench.fold import running_since_s
from infra.bench.ground import STREAM, Ground
from infra.bench.processes import used
from infra.bench.progress import Progress

SERVICES = (*STREAM, "mysql")
USERS = 333_334
DAY_USERS = 400  # of the compacted day
HEARTBEATS_MIN = 20_000_000
ARCHIVE_S_MAX = 3_600
# A small fleet's day has as many windows as a country's, each nearly empty; see infra/demo.py.
REPLAY = {"stream_buckets": 2, "drift_s": 1_800}


def run(ground: Ground, written: Fleet, day: Fleet) -> dict[str, Any]:
    """Archive both fleets' heartbeats, compact the small one's day, and return the figures of both.

    :raises RoomError: if the stream does not archive everything, or the compaction fails.
    """
    for fleet in (day, written):
        ground.say(f"sending {fleet.heartbeats:,} heartbeats of {fleet.users:,} users")
        ground.ask("simulator", *fleet.send_past())
    before = ground.meter.cpu_s()
    with Progress(ground.settings, ground.meter.watch) as progress:
        ground.say("starting the stream, which archives them")
        ground.start_stream()
        began_s = running_since_s(ground.settings.flink_rest)
        archived = progress.wait(lambda one: one.settled, ARCHIVE_S_MAX, "archived everything")
    written_cpu_s = used(before, ground.meter.cpu_s())
    ground.stop_stream()
    files = ArchiveFiles(ground.settings)
    name = f"{day.since:%Y-%m-%d}"
    others = [one for one in files.days() if one != name]
    raw, raw_day = files.stock(others), files.stock([name])
    ground.say(f"compacting {raw_day.rows:,} heartbeats of {name}")
    before, began = ground.meter.cpu_s(), time.monotonic()
    ground.ask("compaction", "batch", "compact", "--day", name, "--json")
    compaction_s = time.monotonic() - began
    compacted = files.stock([name])
    return {
        "written": _describe(written),
        "compacted": _describe(day),
        "archived": raw.rows + raw_day.rows,
        "bytes_per_heartbeat": round(raw.bytes / raw.rows, 2),
        "bytes_per_heartbeat_small_fleet": round(raw_day.bytes / raw_day.rows, 2),
        "compacted_bytes_per_heartbeat": round(compacted.bytes / compacted.rows, 2),
        "lost_by_compaction": raw_day.rows - compacted.rows,
        "heartbeats_per_s": {
            "written": round((raw.rows + raw_day.rows) / (archived.at_s - began_s)),
            "compacted": round(compacted.rows / compaction_s),
        },
        "compaction_s": round(compaction_s, 1),
        "files": {"written": raw.files, "small_fleet": raw_day.files, "compacted": compacted.files},
        "cpu_s": written_cpu_s,
        "compaction_cpu_s": used(before, ground.meter.cpu_s()),
        "peak_rss_mb": ground.meter.peak_rss_mb(),
    }


def _describe(fleet: Fleet) -> dict[str, Any]:
    hours = (fleet.until - fleet.since).total_seconds() / 3_600
    return {"users": fleet.users, "hours": round(hours, 3), "heartbeats": fleet.heartbeats}
