"""The stages of a night as they pass: a bar on a terminal, a line each in a log, and how long each took."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

NIGHT = (
    "look",
    "start",
    "recompute",
    "estimate",
    "conserve",
    "reconcile",
    "load",
    "verify",
    "curate",
    "switch",
)
VERIFICATION = (*NIGHT[:-2], "compare")
COMPACTION = ("sample", "rewrite", "check", "swap")


class Stages:
    """Shows what is under way and keeps each stage's seconds, by name."""

    def __init__(self, console: Console, what: str, names: tuple[str, ...]) -> None:
        self.seconds: dict[str, float] = {}
        self._what = what
        self._console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(what, total=len(names))

    @contextlib.contextmanager
    def shown(self) -> Iterator["Stages"]:
        """Show the bar while a night lasts."""
        with self._bar:
            yield self

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Pass through one stage."""
        began = time.monotonic()
        self._bar.update(self._task, description=f"{self._what}: {name}")
        yield
        self.seconds[name] = round(time.monotonic() - began, 3)
        self._bar.advance(self._task)
        if not self._console.is_terminal:
            self._console.print(f"{self._what}: {name} {self.seconds[name]:.1f} s", highlight=False)
