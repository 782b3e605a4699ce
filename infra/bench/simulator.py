"""How fast one simulator process puts a whole fleet's heartbeats into the real broker, acks=all."""

from typing import Any

from infra.bench.fleet import Fleet
from infra.bench.ground import Ground, disk_bytes
from infra.bench.processes import used
from infra.contracts.utility import UTILITIES

SERVICES = ("kafka", "s3")
USERS = 1_000_000
HEARTBEATS_MIN = 50_000_000


def run(ground: Ground, fleet: Fleet) -> dict[str, Any]:
    """Send the fleet's heartbeats as fast as possible and return the figures of the whole run."""
    ground.say(f"sending {fleet.heartbeats:,} heartbeats of {fleet.users:,} users, as fast as possible")
    before = ground.meter.cpu_s()
    report = ground.ask("simulator", *fleet.send_past())
    spent = used(before, ground.meter.cpu_s())
    sent = sum(counts["messages"] for counts in report["topics"].values())
    stored = sum(
        disk_bytes(ground.settings.home / "kafka" / "data", f"{utility}-*/*.log") for utility in UTILITIES
    )
    return {
        "users": fleet.users,
        "sent": sent,
        "heartbeats_per_s": report["heartbeats_per_s"],
        "wall_s": report["wall_s"],
        "bytes_per_heartbeat": round(stored / sent, 2),
        "peak_rss_mb": ground.meter.peak_rss_mb()["simulator"],
        "cpu_s": spent,
        "cpu_s_per_million": {group: round(s * 1e6 / sent, 3) for group, s in spent.items()},
    }
