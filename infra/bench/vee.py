"""How well validation finds injected faults of meters, and how near its estimates come.

Nights of a fleet whose meters' faults are labelled, run in order, so that estimates have a past to go by. A
finding is right if the simulator's labels have that rule for that meter in hours that touch it; what was
published of the labelled hours is held against what was really used.
"""

import collections
import contextlib
import dataclasses
import datetime
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pymysql

from infra.bench.ground import Ground
from infra.bench.nights import FAULTS, archive_day, run_night
from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.nightly import HOUR_COLUMNS
from infra.contracts.quality import FAULT_RULES, Rule
from infra.settings import Settings

SERVICES = ("s3", "mysql")
USERS = 300
NIGHTS = 9
"""The last of them has a day of the same class before it, and one a week ago."""
METER_FAULTS = (
    "gap=2%,spike=2%,negative=2%,stuck=2%,zero=2%,rate=2%,clock=2%,read=2%,leak=2%,"
    "rollover=5%,reset=0.2%,exchange=0.2%"
)
SHARE_MIN = 0.95
Meter = tuple[int, str]


@dataclasses.dataclass(frozen=True)
class Span:
    """Hours [since, until) of one meter's night that a rule was found, or injected, in."""

    night: str
    meter: Meter
    rule: str
    since: int
    until: int

    def touches(self, other: "Span") -> bool:
        """Whether two spans of the same rule and meter have an hour in common, or are next to each other.

        Where a clock was set wrong, heartbeats are found where they say they are, not where they were.
        """
        if self.rule == Rule.CLOCK:
            return self.night == other.night
        return self.since <= other.until and other.since <= self.until


@dataclasses.dataclass
class Score:
    """One rule's counts; usage in the utilities' units."""

    labels: int = 0
    found: int = 0
    findings: int = 0
    right: int = 0
    used: int = 0
    error: int = 0
    error_wh: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the shares, None of nothing, and what the estimates were off by in all."""
        return {
            "labels": self.labels,
            "findings": self.findings,
            "recall": round(self.found / self.labels, 4) if self.labels else None,
            "precision": round(self.right / self.findings, 4) if self.findings else None,
            "error_kwh": round(self.error_wh / 1_000, 3),
            "error_share": round(self.error / self.used, 4) if self.used else None,
        }


def run(ground: Ground, seed: int, users: int, first: datetime.date, nights: int) -> dict[str, Any]:
    """Run the nights and return the scores by rule, and the least of them.

    :raises RoomError: if a night is refused.
    """
    scores: dict[str, Score] = collections.defaultdict(Score)
    days = [(first + datetime.timedelta(days=number)).isoformat() for number in range(nights)]
    for day in days:
        ground.say(f"night {day} of {users:,} users")
        archive_day(ground, seed, users, day, "--meter-faults", METER_FAULTS)
        run_night(ground, day)
    # The first night has no past: a silence that began before it is nobody's.
    for day in days[1:]:
        labels, used = _truth(ground, day)
        found, published = _published(ground.settings, day)
        judge(scores, labels, found)
        weigh(scores, labels, used, published)
    rules = {str(rule): scores[rule].to_json() for rule in FAULT_RULES}
    return {
        "users": users,
        "nights": nights,
        "nights_judged": nights - 1,
        "faults": FAULTS,
        "meter_faults": METER_FAULTS,
        "rules": rules,
        "recall_min": min(rule["recall"] or 0.0 for rule in rules.values()),
        "precision_min": min(rule["precision"] or 0.0 for rule in rules.values()),
    }


def failed(result: dict[str, Any]) -> bool:
    """Whether a rule finds too little, or too much."""
    return bool(min(result["recall_min"], result["precision_min"]) < SHARE_MIN)


def judge(scores: dict[str, Score], labels: Iterable[Span], found: Iterable[Span]) -> None:
    """Add to the scores what was found of the labels, and which findings are right."""
    by_meter: dict[tuple[Meter, str], tuple[list[Span], list[Span]]] = collections.defaultdict(
        lambda: ([], [])
    )
    for place, spans in enumerate((labels, found)):
        for span in spans:
            by_meter[span.meter, span.rule][place].append(span)
    for (_, rule), (injected, seen) in by_meter.items():
        score = scores[rule]
        score.labels += len(injected)
        score.findings += len(seen)
        score.found += sum(any(one.touches(other) for other in seen) for one in injected)
        score.right += sum(any(one.touches(other) for other in injected) for one in seen)


def weigh(
    scores: dict[str, Score],
    labels: Iterable[Span],
    used: dict[Meter, "np.typing.NDArray[np.int64]"],
    published: dict[Meter, "np.typing.NDArray[np.int64]"],
) -> None:
    """Add to the scores how far the published hours of labelled spans are from what was really used."""
    for label in labels:
        if label.meter not in used or label.meter not in published:
            continue
        hours = slice(label.since, label.until)
        off = int(np.abs(published[label.meter][hours] - used[label.meter][hours]).sum())
        score = scores[label.rule]
        score.used += int(used[label.meter][hours].sum())
        score.error += off
        score.error_wh += off if label.meter[1] == "electricity" else 0


def _truth(ground: Ground, day: str) -> tuple[list[Span], dict[Meter, "np.typing.NDArray[np.int64]"]]:
    """Return what the simulator injected into a night, and what its meters' users really used."""
    folder = pathlib.Path(ground.settings.home)
    labels_at, used_at = folder / "labels.parquet", folder / "used.parquet"
    ground.ask("simulator", "simulator", "labels", "--night", day, "--to", str(labels_at))
    ground.ask("simulator", "simulator", "usage", "--night", day, "--to", str(used_at))
    midnight = datetime.datetime.combine(datetime.date.fromisoformat(day), datetime.time(), datetime.UTC)
    start_ms = int(midnight.timestamp()) * 1_000
    labels = [
        Span(
            day,
            (row["user_id"], row["utility"]),
            row["rule"],
            max(row["from_ms"] - start_ms, 0) // HOUR_MS,
            -(-min(row["to_ms"] - start_ms, DAY_MS) // HOUR_MS),
        )
        for row in pq.read_table(labels_at).to_pylist()
    ]
    used = {
        (row["user_id"], row["utility"]): np.array([row[name] for name in HOUR_COLUMNS], np.int64)
        for row in pq.read_table(used_at).to_pylist()
    }
    return labels, used


def _published(settings: Settings, day: str) -> tuple[list[Span], dict[Meter, "np.typing.NDArray[np.int64]"]]:
    """Return what validation found in a night, and its published hours."""
    connection = pymysql.connect(
        host=settings.mysql_host,
        port=settings.mysql_port,
        user=settings.mysql_serving_user,
        password=settings.mysql_serving_password,
        database=settings.mysql_database,
    )
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_id, utility, rule, hour_from, hour_to FROM findings WHERE night = %s", (day,)
        )
        found = [Span(day, (user, utility), *rest) for user, utility, *rest in cursor.fetchall()]
        cursor.execute(
            f"SELECT user_id, utility, {', '.join(HOUR_COLUMNS)} FROM usage_days WHERE night = %s", (day,)
        )
        rows = {(user, utility): np.array(hours, np.int64) for user, utility, *hours in cursor.fetchall()}
    return found, rows
