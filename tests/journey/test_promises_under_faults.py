"""Promises under faults: whatever is killed under load, ledger, Redis and archive agree to the last unit.

`make soak` kills each once, then three times, and resumes with another parallelism and back as often.
"""

import dataclasses
import datetime
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from infra.bench.archive_files import ArchiveFiles
from infra.bench.comparison import compare_all
from infra.contracts.utility import UTILITIES
from tests.support.services import Platform, running_platform

pytestmark = pytest.mark.soak
PORT_BASE = 24_500
TASK_PROCESS = "flink-taskmanager"
USERS, SEED, RATE = 1_000, 23, 5_000
FAULTS = "late=1%,doubled=1%,lost=1%,malformed=0.1%"
WAIT_S_MAX = 180
SETTLE_S_MAX = 300
HOURS = 24  # of the fleet's time: more than is sent before the last fault


class Load:
    """A fleet beating on while services are killed, and the platform that it beats on."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=HOURS)
        fleet = ["--users", str(USERS), "--seed", str(SEED), "--rate", str(RATE), "--faults", FAULTS]
        self._told = platform.settings.home / "simulate.log"
        with self._told.open("wb") as output:
            self._sender = platform.start("simulate", *fleet, "--from", start.isoformat(), output=output)

    def go_on(self) -> None:
        """Wait until both jobs run and the fold made a checkpoint with more heartbeats in it."""
        deadline = time.monotonic() + WAIT_S_MAX
        before = None
        while True:
            done = self.platform.meterbeat("stream", "status", "--json")
            report = json.loads(done.stdout) if done.returncode == 0 else {}
            if report and report["tasks_running"] == report["tasks"]:
                read = report["heartbeats_produced"] - report["lag"]
                before = read if before is None else before
                if read > before:
                    return
            assert time.monotonic() < deadline, done.stdout + done.stderr
            assert self._sender.poll() is None, self._told.read_text()
            time.sleep(0.5)

    def end(self) -> None:
        """Interrupt the fleet, as a person would, and wait until it has recorded what it sent."""
        self._sender.send_signal(signal.SIGINT)
        self._sender.wait(timeout=60)

    def kill_task_process(self) -> None:
        self.platform.kill(TASK_PROCESS)
        self.platform.ask("stream", "run")

    def kill_python_worker(self) -> None:
        """Flink starts another by itself."""
        task_process = self.platform.service(TASK_PROCESS).pid()
        workers = [pid for pid in _offspring(task_process) if "pyflink.fn_execution" in _command_line(pid)]
        assert workers
        os.kill(workers[0], signal.SIGKILL)

    def kill_broker(self) -> None:
        self._kill_and_start("kafka")

    def kill_redis(self) -> None:
        self._kill_and_start("redis")

    def _kill_and_start(self, name: str) -> None:
        self.platform.kill(name)
        service = self.platform.service(name)
        service.start()
        service.wait()

    def resume_with(self, parallelism: int) -> None:
        """Stop with savepoints and go on from them with another parallelism."""
        stopped = self.platform.ask("stream", "stop")
        settings = dataclasses.replace(self.platform.settings, stream_parallelism=parallelism)
        self.platform = Platform(settings)
        resumed = self.platform.ask("stream", "run")
        assert resumed["restored_from"] == stopped["savepoint"]
        assert resumed["archive_restored_from"] == stopped["archive_savepoint"]


KILLS = (Load.kill_task_process, Load.kill_python_worker, Load.kill_broker, Load.kill_redis)


def _offspring(pid: int | None) -> list[int]:
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    found = [int(child) for child in children.stdout.split()]
    return [*found, *(one for child in found for one in _offspring(child))]


def _command_line(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:
        return ""


@pytest.fixture(scope="module", params=[pytest.param(1, id="once"), pytest.param(3, id="thrice")])
def survived(request, tmp_path_factory):
    """The platform at rest after every fault, each as often as the parameter says."""
    home = tmp_path_factory.mktemp("faults")
    changes = {"flink_task_slots": 6, "archive_checkpoint_interval_s": 5}
    with running_platform(home, port_base=PORT_BASE, **changes) as platform:
        platform.ask("stream", "run")
        load = Load(platform)
        for _ in range(request.param):
            for kill in KILLS:
                load.go_on()
                kill(load)
            for parallelism in (4, 2):
                load.go_on()
                load.resume_with(parallelism)
        load.go_on()
        load.end()
        load.platform.ask("stream", "settle", "--within-s", str(SETTLE_S_MAX))
        yield load.platform, platform_topics(load.platform)


def platform_topics(platform: Platform) -> dict[str, dict[str, int]]:
    """Return what the ledger says was sent, by topic."""
    topics: dict[str, dict[str, int]] = json.loads(
        platform.room("simulator", "ledger", "--summary", "--json").stdout
    )["topics"]
    return topics


class TestAfterEveryFault:
    def test_redis_shows_the_ledgers_newest_heartbeat_of_every_meter(self, survived, tmp_path):
        platform, _ = survived
        newest = tmp_path / "newest.parquet"
        done = platform.room("simulator", "newest", "--to", str(newest))
        assert done.returncode == 0, done.stderr

        found = compare_all(newest, platform.settings.redis_url)

        assert (found.meters, found.differences) == (USERS * len(UTILITIES), 0), found.example

    def test_the_archive_holds_every_message_once_and_no_heartbeat_is_lost(self, survived):
        platform, topics = survived
        files = ArchiveFiles(platform.settings)
        days = files.days()

        distinct = {utility: files.distinct(utility, days) for utility in UTILITIES}
        rows = files.stock(days).rows
        letters = platform.ask("stream", "dead-letters")
        produced = platform.ask("stream", "status")["heartbeats_produced"]

        assert distinct == {utility: topics[utility]["delivered"] for utility in UTILITIES}
        # A broker that is killed may have got a batch whose acknowledgement was lost: it is sent again.
        assert rows == produced - len(letters)

    def test_every_malformed_message_is_a_dead_letter(self, survived):
        platform, topics = survived

        letters = platform.ask("stream", "dead-letters")

        assert len(letters) >= sum(made["malformed"] for made in topics.values()) > 0
