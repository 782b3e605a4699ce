"""What benches of the night share: a day of heartbeats put onto S3, and the night over it."""

from typing import Any

from infra.bench.ground import Ground

FAULTS = "late=1%,doubled=1%,lost=1%"


def archive_day(ground: Ground, seed: int, users: int, day: str, *more: str) -> None:
    """Put a fleet's day onto S3 as the stream would have left it; `more` are options of the simulator.

    :raises RoomError: if it fails.
    """
    fleet = ("--users", str(users), "--seed", str(seed), "--faults", FAULTS)
    ground.ask("simulator", "simulator", "archive", "--night", day, *fleet, *more)


def run_night(ground: Ground, day: str) -> dict[str, Any]:
    """Run one night by the command that cron runs, its compaction left out, and return its answer.

    :raises RoomError: if it is refused.
    """
    options = ("--no-late", "--partial", "--no-compact", "--json")
    answer: dict[str, Any] = ground.ask("night", "batch", "run", "--night", day, *options)
    return answer
