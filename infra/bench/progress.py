"""How the stream does, told by `stream status` once a second or less often, and read here alone."""

import dataclasses
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from infra import rooms
from infra.process import end
from infra.rooms import RoomError
from infra.settings import CHECKOUT, Settings

EVERY_S = 1
FIRST_S_MAX = 60
RESTARTS_MAX = 20


@dataclasses.dataclass(frozen=True)
class Report:
    """One answer of `stream status`; what it does not tell is None."""

    at_s: float  # of the wall clock, when it was read
    state: str
    produced: int
    lag: int
    lag_s: float | None  # the wall clock less the watermark
    windows_closed: bool
    checkpoints_completed: int
    archive_lag: int | None
    late: int | None
    dead_letters: int | None
    fence_rejects: int | None
    made_visible: int | None  # heartbeats that the fold has written, or found older than what is there
    visible: Mapping[str, int]
    """Upper bound in seconds, `+Inf` the last -> heartbeats made visible within it, over the whole run."""

    @classmethod
    def from_json(cls, answer: Mapping[str, Any], at_s: float) -> "Report":
        """Read one answer."""
        watermark_ms, age_s = answer.get("watermark_ms"), answer.get("watermark_age_s")
        if age_s is None and watermark_ms:
            age_s = at_s - watermark_ms / 1_000
        visible = {str(bound): int(count) for bound, count in (answer.get("visible_s_buckets") or {}).items()}
        return cls(
            at_s=at_s,
            state=str(answer.get("state")),
            produced=int(answer.get("heartbeats_produced") or 0),
            lag=int(answer.get("lag") or 0),
            lag_s=None if age_s is None else float(age_s),
            windows_closed=bool(answer.get("windows_closed")),
            checkpoints_completed=int(answer.get("checkpoints_completed") or 0),
            archive_lag=answer.get("archive_lag"),
            late=answer.get("late"),
            dead_letters=answer.get("dead_letters"),
            fence_rejects=answer.get("fence_rejects"),
            made_visible=answer.get("folded", max(visible.values(), default=None)),
            visible=visible,
        )

    @property
    def folded(self) -> bool:
        """Whether every window is written and checkpointed."""
        return self.state == "RUNNING" and self.produced > 0 and self.lag == 0 and self.windows_closed

    @property
    def settled(self) -> bool:
        """Whether that is so and every heartbeat is in the archive."""
        return self.folded and not self.archive_lag


class Progress:
    """Follows the stream beside the bench; `status` repeats in one process, as each start costs CPU."""

    def __init__(
        self, settings: Settings, started: Callable[[str, int], None], every_s: int = EVERY_S
    ) -> None:
        """Follow from `with` on; `started` gets the group and id of the process, to meter it."""
        self._settings, self._every_s = settings, every_s
        self._started = started
        self._reports: list[Report] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        if self._process and self._process.poll() is None:
            end(self._process.pid)
        self._thread.join()

    @property
    def reports(self) -> list[Report]:
        """All reports so far, the oldest first."""
        return list(self._reports)

    def wait(self, reached: Callable[[Report], bool], s_max: float, what: str) -> Report:
        """Return the first report from now on that has reached something.

        :raises RoomError: naming what was not reached in the time.
        """
        seen, deadline = len(self._reports), time.monotonic() + s_max
        while time.monotonic() < deadline:
            for report in self._reports[seen:]:
                seen += 1
                if reached(report):
                    return report
            if not self._thread.is_alive():
                raise RoomError("`stream status` cannot be followed; ask it by hand why")
            time.sleep(0.1)
        raise RoomError(f"the stream has not {what} in {s_max:.0f} s; see `meterbeat stream status`")

    def _follow(self) -> None:
        command = rooms.command("stream", "status", "--json", "--every-s", str(self._every_s))
        env = {**os.environ, **self._settings.to_env()}
        for _ in range(RESTARTS_MAX):
            if self._closed:
                return
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=env,
                cwd=CHECKOUT,
                start_new_session=True,
            )
            self._started("stream status", self._process.pid)
            assert self._process.stdout is not None
            for line in self._process.stdout:
                if not line.startswith(b"{"):
                    continue  # a log line of a library
                self._reports.append(Report.from_json(json.loads(line), time.time()))
            self._process.wait()
            time.sleep(EVERY_S)
