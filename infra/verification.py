"""Side by side: what the ledger says of a user's utility, and what Redis, MySQL and the API say. Pure.

The simulator's ledger is the one place that knows what every figure must be. Each figure that another
layer answers is compared with it to the last unit; a figure that a layer cannot answer although the
ledger can is a difference too.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from infra.contracts.durations import DAY_MS
from infra.contracts.utility import UTILITIES, Utility

Heartbeat = Mapping[str, int]
BEHIND = "redis behind"  # 1 if the newest heartbeat in Redis is not the one that it should be


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure as the ledger has it and as a layer answers it; None: it has none."""

    name: str
    ledger: int | None
    answer: int | None

    @property
    def difference(self) -> int:
        """How far apart they are in units; a missing answer counts whole, and at least 1."""
        if self.ledger is None or self.answer is None:
            return 0 if self.ledger == self.answer else max(abs(self.ledger or self.answer or 0), 1)
        return abs(self.ledger - self.answer)


@dataclasses.dataclass(frozen=True)
class Row:
    """All figures of one user's utility."""

    user_id: int
    utility: Utility
    figures: Sequence[Figure]

    @property
    def difference(self) -> int:
        """The sum of its figures' differences."""
        return sum(figure.difference for figure in self.figures)


@dataclasses.dataclass(frozen=True)
class Question:
    """What the ledger must be asked for one user's utility: the newest heartbeat before each instant (ms)."""

    user_id: int
    utility: Utility
    instants: Mapping[str, int | None]


def question(
    user_id: int,
    utility: Utility,
    night_ms: int,
    live: Mapping[str, Any] | None,
    household: Mapping[str, Any],
    settled: bool,
) -> Question:
    """Return what to ask the ledger, given what the layers answered.

    While the simulator runs the newest heartbeat is on its way, so Redis and the API are held to the
    instant that they themselves name; once it has stopped they must have the last one (`settled`).
    """
    instants: dict[str, int | None] = {"night_start": night_ms, "night_end": night_ms + DAY_MS}
    instants["redis"] = None if settled or live is None else live["sent_at"] + 1
    for day in ("today", "yesterday"):
        answer = household[day]
        instants[f"{day}_start"] = answer["from_ms"]
        instants[f"{day}_end"] = answer["to_ms"]
    if settled:
        instants["today_end"] = None
    return Question(user_id, utility, instants)


def row(
    asked: Question,
    heartbeats: Mapping[str, Heartbeat | None],
    live: Mapping[str, Any] | None,
    published: Mapping[str, Any] | None,
    household: Mapping[str, Any],
) -> Row:
    """Return the figures of one user's utility; `heartbeats` answers the question's instants by name."""
    newest = heartbeats["redis"]
    figures = [
        Figure("redis register", _field(newest, "register"), _field(live, "register")),
        Figure(BEHIND, 0, _behind(newest, live)),
        Figure(
            "mysql night",
            _usage(heartbeats["night_start"], heartbeats["night_end"]),
            _field(published, "usage_total"),
        ),
    ]
    for day in ("today", "yesterday"):
        expected = _usage(heartbeats[f"{day}_start"], heartbeats[f"{day}_end"])
        if _unheard(asked.instants, heartbeats, day):
            expected = None
        figures.append(Figure(f"api {day}", expected, household[day]["usage"]))
    return Row(asked.user_id, asked.utility, figures)


def _unheard(
    instants: Mapping[str, int | None], heartbeats: Mapping[str, Heartbeat | None], day: str
) -> bool:
    """Return whether a day that is not published yet has no heartbeat: its usage is unknown, not 0."""
    start, end, last = instants[f"{day}_start"], instants[f"{day}_end"], heartbeats[f"{day}_end"]
    truth_until = instants["night_end"] or 0
    return last is not None and last["sent_at"] < (start or 0) and (end is None or end > truth_until)


def _behind(newest: Heartbeat | None, live: Mapping[str, Any] | None) -> int:
    return int(_field(newest, "sent_at") != _field(live, "sent_at"))


def _field(values: Mapping[str, Any] | None, name: str) -> int | None:
    return int(values[name]) if values else None


def _usage(start: Heartbeat | None, end: Heartbeat | None) -> int | None:
    """Return the usage between two instants; before its first heartbeat a meter counts from that one.

    What a dial shows begins anew where it rolls over, is reset or exchanged: usage is what was counted.
    """
    if end is None:
        return None
    return end["counted"] - (start["counted"] if start else end["first_counted"])


def totals(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a line a utility and figure: the sums over all rows and the sum of the differences."""
    lines = []
    for utility in UTILITIES:
        chosen = [one for one in rows if one.utility is utility]
        for position, figure in enumerate(chosen[0].figures if chosen else ()):
            figures = [one.figures[position] for one in chosen]
            lines.append(
                {
                    "utility": utility.value,
                    "figure": figure.name,
                    "ledger": sum(one.ledger or 0 for one in figures),
                    "answer": sum(one.answer or 0 for one in figures),
                    "missing": sum(one.answer is None and one.ledger is not None for one in figures),
                    "difference": sum(one.difference for one in figures),
                }
            )
    return lines
