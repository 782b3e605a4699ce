"""CPU seconds and memory of groups of processes, from /proc, so that the next bottleneck shows."""

import contextlib
import dataclasses
import os
import pathlib
import threading
from collections.abc import Mapping

SAMPLE_S = 1.0  # of 12 ms of CPU
TASK_MANAGER = "flink-taskmanager"
PYTHON_WORKERS = "python workers"
_TICKS_S = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Process:
    """One line of /proc: CPU used by the process itself, its children left out."""

    pid: int
    name: str
    session: int
    started_at: int  # ticks since boot; with the pid, no other process has both
    cpu_s: float


class Meter(threading.Thread):
    """Samples all processes of watched sessions; what ends between two samples is known to the last one."""

    def __init__(self) -> None:
        super().__init__(name="meter", daemon=True)
        self._groups: dict[int, str] = {}
        self._cpu_s: dict[tuple[int, int], tuple[str, float]] = {}
        self._peak_mb: dict[str, float] = {}
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def watch(self, group: str, session: int) -> None:
        """Count a session's processes, its leader's id being the session's, to a group from here on."""
        with self._lock:
            self._groups[session] = group

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds that each group has used since its processes began."""
        self.sample()
        totals: dict[str, float] = {}
        with self._lock:
            for group, cpu_s in self._cpu_s.values():
                totals[group] = totals.get(group, 0.0) + cpu_s
        return totals

    def peak_rss_mb(self) -> dict[str, float]:
        """Return the most that each group's processes ever held; shared pages count in each process."""
        self.sample()
        with self._lock:
            return {group: round(mb, 1) for group, mb in self._peak_mb.items()}

    def sample(self) -> None:
        """Read /proc once."""
        with self._lock:
            now_mb: dict[str, float] = {}
            for process in processes():
                if process.session in self._groups:
                    group = group_of(self._groups[process.session], process.name)
                    self._cpu_s[process.pid, process.started_at] = (group, process.cpu_s)
                    now_mb[group] = now_mb.get(group, 0.0) + _peak_rss_mb(process.pid)
            for group, mb in now_mb.items():
                self._peak_mb[group] = max(mb, self._peak_mb.get(group, 0.0))

    def run(self) -> None:
        """Sample until `close`."""
        while not self._ended.wait(SAMPLE_S):
            self.sample()

    def close(self) -> None:
        """End the sampling."""
        self._ended.set()


def group_of(group: str, process_name: str) -> str:
    """Return the group, the task manager's Python workers being one of their own."""
    return PYTHON_WORKERS if group == TASK_MANAGER and process_name != "java" else group


def used(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return the CPU seconds used between two answers of a meter, the greatest first, noise left out."""
    spent = {group: round(cpu_s - before.get(group, 0.0), 2) for group, cpu_s in after.items()}
    return {group: s for group, s in sorted(spent.items(), key=lambda one: -one[1]) if s > 0}


def processes() -> list[Process]:
    """Return all processes of this machine."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            found.append(parse(path.read_text()))
    return found


def parse(stat: str) -> Process:
    """Return what a line of /proc/*/stat says; the name, in brackets, may hold anything."""
    before, _, after = stat.rpartition(")")
    pid, _, name = before.partition(" (")
    fields = after.split()
    return Process(
        pid=int(pid),
        name=name,
        session=int(fields[3]),
        started_at=int(fields[19]),
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_S,
    )


def _peak_rss_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0
