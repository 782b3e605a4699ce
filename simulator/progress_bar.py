"""A run's progress on a terminal."""

import contextlib
from collections.abc import Callable, Iterator

import rich.console
import rich.progress

from simulator.fleet import Progress


@contextlib.contextmanager
def progress_bar(from_ms: int, to_ms: int | None) -> Iterator[Callable[[Progress], None]]:
    """Give a function that shows progress on standard error if that is a terminal."""
    console = rich.console.Console(stderr=True)
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.TextColumn("{task.fields[sent]:,} heartbeats"),
        rich.progress.TimeElapsedColumn(),
    )
    with rich.progress.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("sending", total=to_ms and to_ms - from_ms, sent=0)

        def show(progress: Progress) -> None:
            sent = sum(made.sent for made in progress.counts.values())
            bar.update(task, completed=progress.until_ms - from_ms, sent=sent)

        yield show
