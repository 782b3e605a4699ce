"""Several serving processes behind the local balancer: started, watched, and restarted in turn."""

import contextlib
import json
import os
import pathlib
import signal
import time
import urllib.request
from collections.abc import Callable, Collection

from infra import rooms
from infra.haproxy import server as haproxy
from infra.process import (
    ServiceError,
    interruptible,
    launch,
    recorded_pid,
    started_at,
    stop_recorded,
)
from infra.settings import CHECKOUT, Settings

PORT_STEP = 200  # process n listens at port_base + PORT_STEP + n as well, for scrapers of metrics
START_S_MAX = 60
END_S_MAX = 30  # a drain, and what was under way
RESTART_S_MAX = 300
WATCH_S = 0.2
# One that ended is started again after so long, unless it was ended on purpose.
PAUSE_S = 1.0
RESTARTS_MAX = 20  # in a row, each within QUIET_S of the one before
QUIET_S = 60.0
PID_PATHS = "serving-*/service.pid"  # of processes, below home
SOCKET_CHARS_MAX = 100  # the system allows 107

Say = Callable[[str], None]


def own_core(number: int, processes: int, cores: Collection[int]) -> int | None:
    """Return the core that a process stays on: its own where there are as many as processes, else none.

    Nobody else keeps to a core, so that whatever has short work there is put on another that has room.
    """
    return sorted(cores)[number - 1] if len(cores) == processes else None


class Process:
    """One serving process: its folder, log, process id, and the two places where it listens."""

    def __init__(self, settings: Settings, number: int, processes: int) -> None:
        """Take its `number` among so many `processes`, from 1."""
        self.name = f"serving-{number}"
        self.port = settings.port_base + PORT_STEP + number
        self.folder = settings.home / self.name
        self.socket = self.folder / "http.sock"
        self.pid_path = self.folder / "service.pid"
        self._settings, self._number, self._processes = settings, number, processes
        if len(str(self.socket)) > SOCKET_CHARS_MAX:
            raise ServiceError(
                f"{self.name}: the path {self.socket} is longer than {SOCKET_CHARS_MAX} characters; "
                "set METERBEAT_HOME to a shorter one"
            )

    def start(self) -> None:
        """Start it; it is not waited for."""
        listen = ("--host", "127.0.0.1", "--port", str(self.port), "--socket", str(self.socket))
        command = rooms.command("serving", "serve", *listen)
        core = own_core(self._number, self._processes, os.sched_getaffinity(0))
        if core is not None:
            command += ["--core", str(core)]
        launch(command, self.folder, self._settings.to_env(), CHECKOUT)

    def wait(self) -> None:
        """Wait until it answers.

        :raises ServiceError: if it ends, or takes too long.
        """
        deadline = time.monotonic() + START_S_MAX
        while not self._answers():
            _reap(self.pid_path)
            if not recorded_pid(self.pid_path) or time.monotonic() > deadline:
                raise ServiceError(f"{self.name} does not start; see {self.folder}/service.log")
            time.sleep(WATCH_S / 2)

    def end(self, request: signal.Signals) -> None:
        """Ask it to end: SIGTERM drains first, SIGINT does not. Not waited for."""
        if pid := recorded_pid(self.pid_path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, request)

    def wait_for_end(self) -> None:
        """Wait until it has ended, and make it end if it does not."""
        deadline = time.monotonic() + END_S_MAX
        while recorded_pid(self.pid_path) and time.monotonic() < deadline:
            _reap(self.pid_path)
            time.sleep(WATCH_S / 4)
        stop_recorded(self.pid_path)

    def _answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2),
        ):
            return True
        return False


class Serving:
    """The processes and their balancer. Only one of a home runs at a time."""

    def __init__(self, settings: Settings, address: str, processes: int, say: Say) -> None:
        """`address`: host:port of the balancer."""
        self._settings, self._say = settings, say
        self._processes = [Process(settings, number + 1, processes) for number in range(processes)]
        places = [(process.name, process.socket) for process in self._processes]
        self._balancer = haproxy.service(settings, address, places)
        self._restarts: dict[str, tuple[int, float]] = {}
        self._restart_asked = False
        self._stopped = 0

    def run(self) -> None:
        """Serve until interrupted. SIGUSR1 has all processes restarted in turn.

        :raises ServiceError: if a process or the balancer does not start.
        """
        record = _record(self._settings)
        if recorded_pid(record):
            raise ServiceError(
                f"serving runs already (process {recorded_pid(record)}); end it, or set METERBEAT_HOME"
            )
        # Whoever reads the record may send it at once.
        signal.signal(signal.SIGUSR1, self._ask_for_restart)
        record.parent.mkdir(parents=True, exist_ok=True)
        self._note(None)
        with interruptible(), contextlib.ExitStack() as cleanup:
            cleanup.callback(record.unlink, missing_ok=True)
            cleanup.callback(self._end)
            # A run that was killed may have had more of them.
            for pid_path in self._settings.home.glob(PID_PATHS):
                stop_recorded(pid_path)
            for process in self._processes:
                process.start()
            for process in self._processes:
                process.wait()
            stop_recorded(self._balancer.pid_path)
            self._balancer.start()
            self._balancer.wait()
            self._say(f"{len(self._processes)} processes serve")
            self._watch()

    def _watch(self) -> None:
        """Keep all running until everything was ended on purpose."""
        while any(process.pid_path.exists() for process in self._processes):
            if self._restart_asked:
                self._restart_asked = False
                self._try_restart()
            for process in self._processes:
                _reap(process.pid_path)
                if not recorded_pid(process.pid_path):
                    self._revive(process.name, process.pid_path, process.start)
            _reap(self._balancer.pid_path)
            if not self._balancer.pid():
                self._revive(self._balancer.name, self._balancer.pid_path, self._balancer.start)
            time.sleep(WATCH_S)

    def _try_restart(self) -> None:
        """Restart all in turn, but stop at the first that does not come back: the others go on serving."""
        self._restarts.clear()
        try:
            self._restart_in_turn()
        except ServiceError as error:
            self._stopped += 1
            self._note(str(error))
            self._say(f"the restart stopped: {error}; the other processes go on as they are")

    def _note(self, trouble: str | None) -> None:
        """Write down who supervises, and for whoever asked for a restart how many have stopped, and why."""
        told = {
            "pid": os.getpid(),
            "started_at": started_at(os.getpid()),
            "restarts_stopped": self._stopped,
            "trouble": trouble,
        }
        record = _record(self._settings)
        beside = record.with_suffix(".new")
        beside.write_text(json.dumps(told))
        beside.replace(record)

    def _restart_in_turn(self) -> None:
        for process in self._processes:
            process.end(signal.SIGTERM)
            process.wait_for_end()
            process.start()
            process.wait()
            deadline = time.monotonic() + START_S_MAX
            while haproxy.states(self._settings).get(process.name) != "UP":
                if time.monotonic() > deadline:
                    raise ServiceError(f"the balancer does not take {process.name} back")
                time.sleep(WATCH_S / 4)
            self._say(f"{process.name} was restarted")

    def _revive(self, name: str, pid_path: pathlib.Path, start: Callable[[], object]) -> None:
        """Start what ended by itself again.

        One that does so over and over is left alone while another serves.

        :raises ServiceError: if none does any more.
        """
        if self._restarts.get(name, (0, 0.0))[0] > RESTARTS_MAX:
            return
        time.sleep(PAUSE_S)
        # Whoever ends a process on purpose, such as `meterbeat down`, removes its record.
        if not pid_path.exists():
            return
        times, last = self._restarts.get(name, (0, 0.0))
        times = times + 1 if time.monotonic() - last < QUIET_S else 1
        self._restarts[name] = times, time.monotonic()
        if times > RESTARTS_MAX:
            told = f"{name} ends over and over; see {pid_path.parent}/service.log"
            if name == self._balancer.name or not any(recorded_pid(one.pid_path) for one in self._processes):
                raise ServiceError(told)
            self._say(f"{told}; the others go on serving")
            return
        self._say(f"{name} ended and is started again; see {pid_path.parent}/service.log")
        start()

    def _end(self) -> None:
        """End the balancer's listening first, then what serves, then the balancer."""
        if pid := self._balancer.pid():
            os.kill(pid, signal.SIGUSR1)
        for process in self._processes:
            process.end(signal.SIGINT)
        for process in self._processes:
            process.wait_for_end()
        self._balancer.stop()

    def _ask_for_restart(self, *_: object) -> None:
        self._restart_asked = True


def restart(settings: Settings, say: Say) -> float:
    """Have the processes that run restarted in turn; return how many seconds it took.

    :raises ServiceError: if none run behind a balancer, or it takes too long.
    """
    supervisor = recorded_pid(_record(settings))
    if not supervisor:
        raise ServiceError("no processes serve behind a balancer here; start them with `meterbeat serve`")
    before, (stopped, _) = _pids(settings), _trouble(settings)
    began = time.monotonic()
    os.kill(supervisor, signal.SIGUSR1)
    while time.monotonic() - began < RESTART_S_MAX:
        pids, states = _pids(settings), haproxy.states(settings)
        fresh = all(pids.get(name) not in (None, pid) for name, pid in before.items())
        if fresh and all(states.get(name) == "UP" for name in before):
            say(f"{len(before)} processes were restarted")
            return time.monotonic() - began
        times, trouble = _trouble(settings)
        if times > stopped:
            raise ServiceError(f"the restart stopped: {trouble}; the other processes go on as they are")
        if not recorded_pid(_record(settings)):
            raise ServiceError("serving ended during its restart; see the logs of its processes under home")
        time.sleep(WATCH_S)
    raise ServiceError(f"the restart is not done after {RESTART_S_MAX} s; see `meterbeat serve`")


def _pids(settings: Settings) -> dict[str, int | None]:
    return {path.parent.name: recorded_pid(path) for path in settings.home.glob(PID_PATHS)}


def _record(settings: Settings) -> pathlib.Path:
    return settings.home / "serving" / "balanced.pid"


def _trouble(settings: Settings) -> tuple[int, str | None]:
    """Return how many restarts have stopped, and why the last of them did."""
    with contextlib.suppress(OSError, ValueError):
        told = json.loads(_record(settings).read_text())
        return told["restarts_stopped"], told["trouble"]
    return 0, None


def _reap(pid_path: pathlib.Path) -> None:
    """Take note of a child's end, so that its process id is free again."""
    with contextlib.suppress(OSError, ValueError):
        os.waitpid(json.loads(pid_path.read_text())["pid"], os.WNOHANG)
