"""Where threads run: the event loop on a core of its own if it has one, what it hands on where there is room.

A loop that stays on its core finds its caches warm, and whoever has short work goes elsewhere meanwhile.
"""

import asyncio
import concurrent.futures
import contextlib
import os


class Threads(concurrent.futures.ThreadPoolExecutor):
    """Threads beside the event loop: they may use every core that the process had when this was made."""

    def __init__(self, count_max: int | None, name: str) -> None:
        """`count_max` None: as many as Python thinks fit."""
        super().__init__(count_max, name, initializer=_run_on, initargs=(os.sched_getaffinity(0),))


def keep_loop_to(core: int) -> None:
    """Keep the event loop, which runs in this thread, to a core, and what it hands to threads off that bond.

    :raises OSError: if this process may not use that core.
    """
    asyncio.get_running_loop().set_default_executor(Threads(None, "asyncio"))
    os.sched_setaffinity(0, {core})


def _run_on(cores: set[int]) -> None:
    # What this process may use can have changed since; a thread then stays where it was started.
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, cores)
