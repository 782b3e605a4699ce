"""How fast the stream drains a backlog, checkpoints on: from the job's start to its last window written."""

import contextlib
import json
import urllib.request
from typing import Any

from infra.bench.fleet import Fleet
from infra.bench.ground import CHECKPOINT_INTERVAL_S, STREAM, Ground
from infra.bench.processes import used
from infra.bench.progress import Progress
from infra.rooms import RoomError

SERVICES = STREAM
USERS = 333_334
HEARTBEATS_MIN = 20_000_000
DRAIN_S_MAX = 3_600


def run(ground: Ground, fleet: Fleet) -> dict[str, Any]:
    """Produce the backlog, start the stream, and return the figures of the whole drain.

    The last window waits for a tick, and a drained backlog shows with the next checkpoint: both count.

    :raises RoomError: if the stream does not drain it.
    """
    ground.say(f"producing a backlog of {fleet.heartbeats:,} heartbeats of {fleet.users:,} users")
    report = ground.ask("simulator", *fleet.send_past())
    sent = sum(counts["messages"] for counts in report["topics"].values())
    before = ground.meter.cpu_s()
    with Progress(ground.settings, ground.meter.watch) as progress:
        ground.say("starting the stream, which drains it")
        ground.start_stream()
        began_s = running_since_s(ground.settings.flink_rest)
        last = progress.wait(lambda report: report.folded, DRAIN_S_MAX, "drained the backlog")
        spent = used(before, ground.meter.cpu_s())
        closed = next((one for one in progress.reports if one.windows_closed), last)
    drain_s = last.at_s - began_s
    return {
        "users": fleet.users,
        "backlog": sent,
        "event_time_s": (fleet.until - fleet.since).total_seconds(),
        "checkpoint_interval_s": CHECKPOINT_INTERVAL_S,
        "heartbeats_per_s": round(sent / drain_s),
        "drain_s": round(drain_s, 1),
        "windows_closed_after_s": round(closed.at_s - began_s, 1),
        "checkpoints_completed": last.checkpoints_completed,
        "late": last.late,
        "cpu_s": spent,
        "cpu_s_per_million": {
            "all": round(sum(spent.values()) * 1e6 / sent, 2),
            **{group: round(s * 1e6 / sent, 2) for group, s in spent.items()},
        },
    }


def running_since_s(rest: str) -> float:
    """Return when the first of the cluster's jobs began to run, seconds since 1970.

    :raises RoomError: if no job runs.
    """
    with contextlib.suppress(OSError):
        jobs = _get(f"{rest}/jobs/overview")["jobs"]
        began = [_get(f"{rest}/jobs/{job['jid']}")["timestamps"]["RUNNING"] for job in jobs]
        if any(began):
            return float(min(instant for instant in began if instant) / 1_000)
    raise RoomError(f"no job runs on the cluster at {rest}")


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)
