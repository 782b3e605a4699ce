"""The whole at real-time pace: simulator, broker, fold, Redis and archive, and whether anything was lost."""

import dataclasses
import math
import time
from collections.abc import Sequence
from typing import Any

from infra.bench import redis_lost
from infra.bench.archive_files import ArchiveFiles
from infra.bench.comparison import Comparison, compare_all
from infra.bench.figures import counted_since, mean_between, phase_s, quantile
from infra.bench.fleet import BEATS_A_S
from infra.bench.ground import STREAM, Command, Ground
from infra.bench.processes import used
from infra.bench.progress import Progress, Report
from infra.contracts.utility import UTILITIES

SERVICES = STREAM
FAULTS = "late=0.1%,doubled=0.1%,lost=0.1%,malformed=0.001%"
SETTLE_S_MAX = 900
SAY_EVERY_S = 30
CHECKPOINTS_AFTER = 2  # late heartbeats are folded as they come; these have flushed the last


@dataclasses.dataclass(frozen=True)
class Load:
    """What is sent, from the present on.

    The warm-up's heartbeats are like all others; only lag and visible seconds count from its end, as Java
    machines that have just started translate their code first.
    """

    seed: int
    users: int
    minutes: float
    warm_up_s: float
    flush_after_s: float  # of the run, when Redis loses everything; 0: never
    faults: str

    @property
    def heartbeats_per_s(self) -> float:
        """How much the meters of so many users beat."""
        return self.users * BEATS_A_S


def run(ground: Ground, load: Load) -> dict[str, Any]:
    """Run the load to its end, wait until everything has settled, and return figures and verdict.

    :raises RoomError: if the stream or the simulator fails, or the stream does not settle.
    """
    with Progress(ground.settings, ground.meter.watch) as progress:
        ground.say("starting the stream")
        ground.start_stream()
        before = ground.meter.cpu_s()
        ground.say(
            f"sending {load.heartbeats_per_s:,.0f} heartbeats a second: {load.warm_up_s:g} s to warm up, "
            f"then {load.minutes:g} minutes"
        )
        sender = ground.start("simulator", *_send(load))
        report, lost = _follow(ground, progress, sender, load)
        spent = used(before, ground.meter.cpu_s())
        ground.say("waiting until everything is folded and archived")
        ground.ask("commands", "stream", "settle", "--within-s", str(SETTLE_S_MAX), "--json")
        last = _settle(progress)
        reports = progress.reports
    ground.stop_stream()
    ground.say("comparing ledger, archive and Redis, every heartbeat and every user")
    run_from_s, run_until_s = report["from"] / 1_000 + load.warm_up_s, report["to"] / 1_000
    loaded = [one for one in reports if run_from_s <= one.at_s < run_until_s]
    figures = {
        "rate": round(load.heartbeats_per_s),
        "minutes": load.minutes,
        "warm_up_s": load.warm_up_s,
        "users": load.users,
        "faults": load.faults,
        **_lags(loaded, run_from_s, run_until_s),
        **_visible(loaded, last),
        **({"redis_lost": lost} if lost else {}),
        **_verdict(ground, report, last),
        "checkpoints_completed": last.checkpoints_completed,
        "cpu_s": spent,
    }
    sent = figures["sent"]
    return figures | {"cpu_s_per_million": {group: round(s * 1e6 / sent, 2) for group, s in spent.items()}}


def _send(load: Load) -> list[str]:
    fleet = ["--users", str(load.users), "--seed", str(load.seed), "--faults", load.faults]
    pace = ["--rate", "real-time", "--from", "now", "--duration", str(load.warm_up_s + load.minutes * 60)]
    return ["simulator", "run", *fleet, *pace, "--json"]


def _follow(
    ground: Ground, progress: Progress, sender: Command, load: Load
) -> tuple[Any, dict[str, Any] | None]:
    """Tell how the stream does until the simulator has ended; return its report, and what a flush showed."""
    told_s = time.monotonic()
    flush_s = told_s + load.warm_up_s + load.flush_after_s if load.flush_after_s else math.inf
    lost = None
    while not sender.ended():
        time.sleep(0.2)
        if lost is None and time.monotonic() >= flush_s:
            ground.say("flushing Redis")
            lost = redis_lost.lose(ground.settings.redis_url, load.users)
            ground.say(f"users right after {lost['users_right_s']} s, hours after {lost['hours_right_s']} s")
        if time.monotonic() - told_s > SAY_EVERY_S and progress.reports:
            told_s, now = time.monotonic(), progress.reports[-1]
            lag = "no watermark yet" if now.lag_s is None else f"watermark {now.lag_s:.1f} s behind"
            ground.say(f"{now.produced:,} heartbeats on the topics, {lag}")
    return sender.answer(), lost


def _settle(progress: Progress) -> Report:
    """Return the stream's report once it is settled and has stayed so over some checkpoints."""
    settled = progress.wait(lambda one: one.settled, SETTLE_S_MAX, "folded and archived everything")
    enough = settled.checkpoints_completed + CHECKPOINTS_AFTER
    return progress.wait(
        lambda one: one.settled and one.checkpoints_completed >= enough,
        SETTLE_S_MAX,
        f"made {CHECKPOINTS_AFTER} checkpoints",
    )


def _lags(reports: Sequence[Report], from_s: float, until_s: float) -> dict[str, Any]:
    """Return how far the watermark, and the fold's reading, were behind while the load lasted."""
    phase = phase_s(until_s - from_s)
    lags = [(one.at_s, one.lag_s) for one in reports if one.lag_s is not None]
    behind = [(one.at_s, float(one.lag)) for one in reports]
    return {
        "lag_s_start": _rounded(mean_between(lags, from_s + phase, from_s + 2 * phase)),
        "lag_s_end": _rounded(mean_between(lags, until_s - phase, until_s)),
        "lag_s_max": _rounded(max((lag for _, lag in lags), default=None)),
        "lag_s_phase": phase,
        "lag_samples": len(lags),
        "unread_start": _rounded(mean_between(behind, from_s + phase, from_s + 2 * phase)),
        "unread_end": _rounded(mean_between(behind, until_s - phase, until_s)),
        "unread_max": max((lag for _, lag in behind), default=None),
    }


def _visible(loaded: Sequence[Report], last: Report) -> dict[str, Any]:
    """Return how long heartbeats took to be seen: those seen while the load lasted, and for comparison all.

    All includes the warm-up, and the last windows: when the input stops, they wait for a tick.
    """
    since = counted_since(loaded[0].visible, loaded[-1].visible)
    p50, p50_bucket = quantile(since, 0.50)
    p99, p99_bucket = quantile(since, 0.99)
    return {
        "visible_s_p50": p50,
        "visible_s_p99": p99,
        "visible_s_p99_all": quantile(last.visible, 0.99)[0],
        "visible_s_resolution": {"p50": p50_bucket, "p99": p99_bucket},
        "visible_s_buckets": since,
    }


def _verdict(ground: Ground, report: Any, last: Report) -> dict[str, Any]:
    """Return what became of every heartbeat: ledger against topics, archive and Redis."""
    counts = report["topics"].values()
    sent, distinct, malformed = (
        sum(made[name] for made in counts) for name in ("messages", "delivered", "malformed")
    )
    files = ArchiveFiles(ground.settings)
    days = files.days()
    stock = files.stock(days)
    archived_distinct = sum(files.distinct(utility, days) for utility in UTILITIES)
    redis = _compared(ground)
    return {
        "sent": sent,
        "sent_distinct": distinct,
        "folded": last.made_visible,
        "archived": stock.rows,
        "archived_distinct": archived_distinct,
        "archived_twice": stock.rows - (sent - malformed),
        "archive_files": stock.files,
        "archive_bytes_per_heartbeat": round(stock.bytes / max(stock.rows, 1), 2),
        "late": last.late,
        "late_sent": sum(made["late"] for made in counts),
        "dead_letters": last.dead_letters,
        "malformed_sent": malformed,
        "fence_rejects": last.fence_rejects,
        "lost": distinct - archived_distinct,
        "meters_compared": redis.meters,
        "differences": redis.differences,
        "difference_example": redis.example,
    }


def _compared(ground: Ground) -> Comparison:
    newest = ground.settings.home / "newest.parquet"
    ground.ask("commands", "simulator", "newest", "--to", str(newest))
    return compare_all(newest, ground.settings.redis_url)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def failed(figures: dict[str, Any]) -> bool:
    """Return whether a promise is broken: a heartbeat lost, or live state that is not the ledger's."""
    return bool(figures["lost"] or figures["differences"])
