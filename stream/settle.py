"""Waits until all that was sent is folded and archived, asking for checkpoints before their time."""

import time
from collections.abc import Callable

from stream.flink_client import FlinkAwayError
from stream.jobs import ARCHIVE, FOLD
from stream.status import Report

POLL_S = 2


def until_settled(ask: Callable[[], Report], checkpoint: Callable[[str], bool], within_s: int) -> Report:
    """Return the first report with nothing left to do; `checkpoint` asks a job for one, by name.

    :raises FlinkAwayError: if a job does not run, or not all is done after `within_s`.
    """
    deadline, report = time.monotonic() + within_s, ask()
    while report["lag"] or report["archive_lag"] or not report["windows_closed"]:
        if time.monotonic() > deadline:
            raise FlinkAwayError(
                f"not settled after {within_s} s: {report['lag']} messages not folded, "
                f"{report['archive_lag']} not archived; see `meterbeat stream status`"
            )
        # The archive's files end with its checkpoints: it is asked for one only when all can be in it.
        for name in [FOLD] if report["lag"] else [FOLD, ARCHIVE]:
            if not checkpoint(name):
                raise FlinkAwayError(f"{name} does not run; start it with `meterbeat stream run`")
        time.sleep(POLL_S)
        report = ask()
    return report
