"""What the journeys kill under load, and how they tell that the stream goes on."""

import json
import os
import pathlib
import signal
import subprocess
import time
from typing import Any

from tests.support.services import Platform

TASK_PROCESS = "flink-taskmanager"
GO_ON_S_MAX = 180


def kill_task_process(platform: Platform) -> None:
    """Kill -9 the JVM that runs both jobs; a person starts it again."""
    platform.kill(TASK_PROCESS)
    platform.ask("stream", "run")


def kill_python_worker(platform: Platform) -> None:
    """Kill -9 one of the fold's Python processes; Flink starts another by itself."""
    task_process = platform.service(TASK_PROCESS).pid()
    workers = [pid for pid in _offspring(task_process) if "pyflink.fn_execution" in _command_line(pid)]
    assert workers
    os.kill(workers[0], signal.SIGKILL)


def kill_broker(platform: Platform) -> None:
    """Kill -9 Kafka, and start it again."""
    _kill_and_start(platform, "kafka")


def kill_redis(platform: Platform) -> None:
    """Kill -9 Redis, and start it again: it reads what it had appended to disk."""
    _kill_and_start(platform, "redis")


def wait_until_it_goes_on(platform: Platform, sender: "subprocess.Popen[bytes]") -> None:
    """Wait until both jobs run and the fold made a checkpoint with more heartbeats in it, under load.

    Flink may end its task process over a Python worker that was killed, when two tasks give back what they
    shared at once ("Reference count must not be negative"): a person then starts it again, as after a kill.
    """
    deadline = time.monotonic() + GO_ON_S_MAX
    before, started_again = None, False
    while True:
        if not started_again and platform.service(TASK_PROCESS).pid() is None:
            started_again = True
            platform.ask("stream", "run")
        report = stream_report(platform)
        runs = report.get("state") == report.get("archive_state") == "RUNNING"
        if runs and report["tasks_running"] == report["tasks"]:
            read = report["heartbeats_produced"] - report["lag"]
            before = read if before is None else before
            if read > before:
                return
        assert time.monotonic() < deadline, report
        assert sender.poll() is None, "the simulator has ended: nothing is under load"
        time.sleep(0.5)


def stream_report(platform: Platform) -> dict[str, Any]:
    """Return what the stream tells of itself, also while a job recovers, or else the error."""
    done = platform.meterbeat("stream", "status", "--json")
    report: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"error": done.stderr}
    return report


def _kill_and_start(platform: Platform, name: str) -> None:
    platform.kill(name)
    service = platform.service(name)
    service.start()
    service.wait()


def _offspring(pid: int | None) -> list[int]:
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    found = [int(child) for child in children.stdout.split()]
    return [*found, *(one for child in found for one in _offspring(child))]


def _command_line(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:
        return ""
