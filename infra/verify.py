"""Asks ledger, Redis, MySQL and API about a sample of users and lays the answers side by side."""

import concurrent.futures
import dataclasses
import datetime
import json
import sys
import urllib.error
import urllib.request
from typing import Any

from rich.console import Console
from rich.table import Table

from infra import rooms
from infra.contracts.utility import UTILITIES
from infra.settings import Settings
from infra.verification import BEHIND, Question, Row, question, row, totals

API_TIMEOUT_S = 10
API_WORKERS = 8


class VerifyError(RuntimeError):
    """A layer that cannot be asked: names it, its address and the remedy."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """All rows of a verification, and whether the simulator had stopped when it was made."""

    night: str
    settled: bool
    rows: list[Row]

    @property
    def difference(self) -> int:
        """The sum of all differences, in units."""
        return sum(one.difference for one in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict with every figure."""
        rows = [
            {**dataclasses.asdict(one), "utility": one.utility.value, "difference": one.difference}
            for one in self.rows
        ]
        return {
            "night": self.night,
            "settled": self.settled,
            "difference": self.difference,
            "totals": totals(self.rows),
            "rows": rows,
        }


def verify(settings: Settings, night: datetime.date, sample_size: int) -> Verdict:
    """Compare the layers for a sample of users.

    :raises RoomError: if a room cannot answer, with its reason.
    :raises VerifyError: if the API cannot.
    """
    users = [
        user["user_id"]
        for user in rooms.ask(settings, "simulator", "users", "--json", "--sample", str(sample_size))
    ]
    runs = rooms.ask(settings, "simulator", "ledger", "--summary", "--json")["runs"]
    settled = max(runs, key=lambda run: run["acknowledged_until"])["finished"]
    live = rooms.ask(settings, "serving", "live", question=users)
    published = rooms.ask(
        settings, "batch", "published", "--night", night.isoformat(), "--json", question=users
    )
    rows_published = {(one["user_id"], one["utility"]): one for one in published["rows"]}
    # Each household is asked for by itself, as its page would.
    tokens = rooms.ask(settings, "serving", "token", "--each", "--json", question=users)
    with concurrent.futures.ThreadPoolExecutor(API_WORKERS) as pool:
        answers_of_api = pool.map(lambda user_id: _household(settings, user_id, tokens[str(user_id)]), users)
        households = dict(zip(users, answers_of_api, strict=True))
    night_ms = int(datetime.datetime.combine(night, datetime.time(), datetime.UTC).timestamp() * 1000)
    questions = [
        question(
            user_id, utility, night_ms, live[str(user_id)].get(utility), households[user_id][utility], settled
        )
        for user_id in users
        for utility in UTILITIES
    ]
    answers = iter(_ask_ledger(settings, questions))
    rows = []
    for asked in questions:
        heartbeats = {name: next(answers) for name in asked.instants}
        key = (asked.user_id, asked.utility.value)
        meter = live[str(asked.user_id)].get(asked.utility)
        household = households[asked.user_id][asked.utility]
        rows.append(row(asked, heartbeats, meter, rows_published.get(key), household))
    return Verdict(night.isoformat(), settled, rows)


def _ask_ledger(settings: Settings, questions: list[Question]) -> list[Any]:
    queries = [
        {"user_id": asked.user_id, "utility": asked.utility.value, "at": instant}
        for asked in questions
        for instant in asked.instants.values()
    ]
    answers: list[Any] = rooms.ask(settings, "simulator", "ledger", "--json", question=queries)
    return answers


def _household(settings: Settings, user_id: int, token: str) -> dict[str, dict[str, Any]]:
    """Return by utility what the API says of today and yesterday, instants as ms."""
    url = f"{settings.serving_url}/api/v1/households/{user_id}"
    try:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=API_TIMEOUT_S) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise VerifyError(f"the API answers {error.code} to {url}") from None
    except OSError as error:
        raise VerifyError(
            f"the API at {settings.serving_url} does not answer ({error}); start it with `meterbeat serve`"
        ) from None
    return {
        utility: {day: _day(part[day]) for day in ("today", "yesterday")}
        for utility, part in answer["utilities"].items()
    }


def _day(day: dict[str, Any]) -> dict[str, Any]:
    """Return a day's usage and the instants it is counted between; `to_ms` is exclusive."""
    counted_until = day["counted_until"]
    return {
        "usage": day["usage"],
        "from_ms": _ms(day["from"]),
        "to_ms": _ms(day["to"]) if counted_until is None else min(_ms(counted_until) + 1, _ms(day["to"])),
    }


def _ms(instant: str) -> int:
    return round(datetime.datetime.fromisoformat(instant).timestamp() * 1000)


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Print a line a user and utility, the sums, and the verdict."""
    names = [figure.name for figure in verdict.rows[0].figures] if verdict.rows else []
    state = "at rest" if verdict.settled else "beating, so layers are held to the instants they name"
    table = Table(title=f"ledger | layer, night {verdict.night}, the fleet {state}", box=None, pad_edge=False)
    table.add_column("user")
    table.add_column("utility")
    shown = [name for name in names if name != BEHIND]
    for name in shown:
        table.add_column(name, justify="right")
    table.add_column("redis behind", justify="right")
    table.add_column("difference", justify="right")
    for one in verdict.rows:
        figures = {figure.name: figure for figure in one.figures}
        cells = [f"{_text(figures[name].ledger)} | {_text(figures[name].answer)}" for name in shown]
        behind = "yes" if figures[BEHIND].difference else "no"
        table.add_row(str(one.user_id), one.utility.value, *cells, behind, str(one.difference))
    console.print(table)
    sums = Table(title=f"sums over {len(verdict.rows) // len(UTILITIES)} users", box=None, pad_edge=False)
    for heading in ("utility", "figure", "ledger", "layer", "missing", "difference"):
        sums.add_column(heading, justify="left" if heading in ("utility", "figure") else "right")
    for line in totals(verdict.rows):
        sums.add_row(*(str(value) for value in line.values()))
    console.print(sums)
    word = "no differences" if not verdict.difference else f"DIFFERENCES: {verdict.difference} units"
    console.print(f"[bold]{word}[/bold] over {sum(len(one.figures) for one in verdict.rows)} figures")


def _text(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def console_for_report() -> Console:
    """Return a console wide enough for a row in one line, whatever the terminal."""
    return Console(width=None if sys.stdout.isatty() else 150)
