"""How fast a whole night is: recomputed, validated, reconciled, priced, verified and published.

The archive is put onto S3 by the simulator as the stream would have left it, a day for each size: broker and
stream are another bench's. Each day is then a night of its own, run by the command that cron runs, from the
start of its process to the switch; the compaction that follows is timed apart, in a process of its own, for
the smallest night alone.
"""

import datetime
import os
import time
from typing import Any

from infra.bench.ground import Ground
from infra.bench.nights import archive_day, run_night
from infra.bench.processes import used

SERVICES = ("s3", "mysql")
HEARTBEATS = 200_000_000
GROWTH = (8, 4, 2, 1)  # parts of the largest night
METERS_A_USER = 3
# What the first attempt said of itself: 1.8 TB of rows of 108 bytes in 45 to 50 minutes, on an unstated
# cluster.
CLAIM_HEARTBEATS_PER_S = round(1.8e12 / 108 / (47.5 * 60))
PUBLISHING = ("load", "verify", "switch")


def run(ground: Ground, seed: int, heartbeats: int, first: datetime.date, beats_a_day: int) -> dict[str, Any]:
    """Run nights of growing size, the last of `heartbeats`, and return the figures of that one and the curve.

    :raises RoomError: if a night is refused.
    """
    nights = [
        _night(ground, seed, max(heartbeats // part // METERS_A_USER // beats_a_day, 1), first, number)
        for number, part in enumerate(GROWTH)
    ]
    ground.say("compacting the smallest night")
    began = time.monotonic()
    ground.ask("compaction", "batch", "compact", "--day", first.isoformat(), "--json")
    compacted_per_s = round(nights[0]["heartbeats"] / (time.monotonic() - began))
    last = nights[-1]
    rates = [one["heartbeats_per_s"] for one in nights]
    return {
        **last,
        "compacted_per_s": compacted_per_s,
        "heartbeats_per_core_s": round(last["heartbeats_per_s"] / len(os.sched_getaffinity(0))),
        "peak_rss_mb": ground.meter.peak_rss_mb(),
        "claim_factor": round(last["heartbeats_per_s"] / CLAIM_HEARTBEATS_PER_S, 3),
        "growth": [
            {name: one[name] for name in ("heartbeats", "wall_s", "heartbeats_per_s")} for one in nights
        ],
        # 1 where twice the heartbeats take twice the time; what starts once makes it better.
        "rate_of_largest_to_smallest": round(rates[-1] / rates[0], 2),
    }


def _night(ground: Ground, seed: int, users: int, first: datetime.date, number: int) -> dict[str, Any]:
    day = (first + datetime.timedelta(days=number)).isoformat()
    ground.say(f"archiving {day} of {users:,} users")
    archive_day(ground, seed, users, day)
    ground.say(f"running night {day}")
    before, began = ground.meter.cpu_s(), time.monotonic()
    report = run_night(ground, day)
    wall_s = time.monotonic() - began
    spent = used(before, ground.meter.cpu_s())
    read = report["heartbeats"] + report["doubled"]
    publishing_s = sum(report["seconds"][stage] for stage in PUBLISHING)
    return {
        "users": users,
        "heartbeats": read,
        "wall_s": round(wall_s, 1),
        "heartbeats_per_s": round(read / wall_s),
        "seconds": report["seconds"],
        "bytes_read": report["archive_bytes"],
        "rows": report["rows"],
        "rows_published_per_s": round(report["rows"] / publishing_s) if publishing_s else None,
        "cpu_s": spent,
    }
