"""A local service as a process: started once, remembered by process id, ended only if we started it."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

START_S_MAX = 90
STOP_S_MAX = 20
FREE_S_MAX = 5
LAST_WORDS_MAX = 300
# Whoever streams lets those go first who answer people: with a ninth of their weight it still goes on where
# they take all there is.
STREAM_NICE = 10
# Linux lets users without rights set a session's priority ten times a second, all of them together.
AUTOGROUP_TRIES_MAX = 20
AUTOGROUP_PAUSE_S = 0.05


class ServiceError(RuntimeError):
    """A service that cannot be started or reached: names it, its address and the remedy."""


@dataclasses.dataclass(frozen=True)
class Service:
    """How to run one service. `ready` answers True once it serves; it must not raise or block for long."""

    name: str
    folder: pathlib.Path
    command: Sequence[str]
    ports: Mapping[str, int]  # setting or purpose -> port on 127.0.0.1
    ready: Callable[[], bool]
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None  # data folders and configuration, safe to repeat
    nice: int = 0  # how far it lets others go first; see `give_way`

    @property
    def log_path(self) -> pathlib.Path:
        """Where the service's output goes."""
        return self.folder / "service.log"

    @property
    def pid_path(self) -> pathlib.Path:
        """Where its process id and start time are kept."""
        return self.folder / "service.pid"

    def pid(self) -> int | None:
        """Return the process id if the process that we started still runs, else None."""
        return recorded_pid(self.pid_path)

    def start(self) -> bool:
        """Start the service unless it runs; return whether it was started. Does not wait until it serves.

        :raises ServiceError: if one of its ports is taken by another process.
        """
        if self.pid():
            return False
        # A process of ours that was killed keeps its ports until the last of its threads is gone.
        free_by_s = time.monotonic() + (FREE_S_MAX if self.pid_path.exists() else 0)
        end_orphans(self.pid_path)
        for purpose, port in self.ports.items():
            while port_answers(port):
                if time.monotonic() >= free_by_s:
                    raise ServiceError(
                        f"{self.name}: port {port} ({purpose}) is taken by another process; "
                        f"end that process or set METERBEAT_PORT_BASE"
                    )
                time.sleep(0.1)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.prepare()
        except (OSError, subprocess.CalledProcessError) as error:
            raise ServiceError(f"{self.name} cannot be set up: {error}; see {self.folder}") from None
        process = launch(self.command, self.folder, self.env, self.folder)
        if self.nice:
            give_way(process.pid, self.nice)
        return True

    def wait(self) -> None:
        """Wait until the service serves.

        :raises ServiceError: with the last line of its log if it ends, and where the log is.
        """
        deadline = time.monotonic() + START_S_MAX
        while not self.ready():
            if not self.pid():
                raise ServiceError(f"{self.name} ended at start: {self._last_words()}; see {self.log_path}")
            if time.monotonic() > deadline:
                raise ServiceError(f"{self.name} does not answer after {START_S_MAX} s; see {self.log_path}")
            time.sleep(0.1)

    def stop(self) -> bool:
        """End the service if we started it; return whether there was anything to end."""
        return stop_recorded(self.pid_path)

    def _last_words(self) -> str:
        lines = [line for line in self.log_path.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip()[:LAST_WORDS_MAX] if lines else "it said nothing"


def launch(
    command: Sequence[str], record: pathlib.Path, env: Mapping[str, str], cwd: pathlib.Path
) -> "subprocess.Popen[bytes]":
    """Start a process of its own session; its output and its id are kept in the folder `record`.

    :raises ServiceError: if the program is missing.
    """
    record.mkdir(parents=True, exist_ok=True)
    with (record / "service.log").open("ab") as log:
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            raise ServiceError(
                f"{command[0]} cannot be started: {error.strerror}; run `make setup`"
            ) from None
    identity = {"pid": process.pid, "started_at": started_at(process.pid)}
    (record / "service.pid").write_text(json.dumps(identity))
    return process


def give_way(session: int, nice: int) -> None:
    """Have all processes of a session let others go first wherever there is too little processor for all.

    `session` is the process id of its leader. Linux shares processors among sessions before it looks at
    processes (autogroups, sched(7)), so that both have a priority. Where a system knows but one of them, or
    none, or does not let us, a service runs without it. Whoever was started to give way more goes on so.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PGRP, session, max(nice, os.getpriority(os.PRIO_PROCESS, session)))
    autogroup = pathlib.Path(f"/proc/{session}/autogroup")
    for _ in range(AUTOGROUP_TRIES_MAX):
        try:
            autogroup.write_text(str(nice))
        except BlockingIOError:
            time.sleep(AUTOGROUP_PAUSE_S)
        except OSError:
            return
        else:
            return


def recorded_pid(pid_path: pathlib.Path) -> int | None:
    """Return the process id kept in a file if that very process still runs, else None."""
    try:
        record = json.loads(pid_path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    began = started_at(record["pid"])
    return record["pid"] if began is not None and began == record["started_at"] else None


def stop_recorded(pid_path: pathlib.Path) -> bool:
    """End the process whose id a file keeps; return whether there was anything to end."""
    pid = recorded_pid(pid_path)
    if pid:
        end(pid)
    else:
        end_orphans(pid_path)
    pid_path.unlink(missing_ok=True)
    return pid is not None


def end_orphans(pid_path: pathlib.Path) -> None:
    """End what a recorded process that was killed had started, such as a task manager's Python workers.

    No process can get the id of a group that still has members; so if the id is free, they are its own.
    """
    try:
        pid = json.loads(pid_path.read_text())["pid"]
    except (FileNotFoundError, ValueError):
        return
    if not pathlib.Path(f"/proc/{pid}").exists():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def started_at(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if it does not run.

    A process id alone may have been given to another process meanwhile.
    """
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def end(pid: int) -> None:
    """Ask a process and those it started to end, and after STOP_S_MAX make them; return once it is gone."""
    for request in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, request)
        deadline = time.monotonic() + STOP_S_MAX
        while started_at(pid) is not None and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            time.sleep(0.05)


def port_answers(port: int) -> bool:
    """Return whether something listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Make a request to terminate, or a closed terminal, clean up as an interrupt does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
