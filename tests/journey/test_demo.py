"""`meterbeat demo`: killed in the middle it proves its totals, interrupted it leaves nothing running."""

import os
import re
import signal
import time

import httpx
import pytest

from infra.process import recorded_pid, started_at
from infra.settings import Settings
from tests.support.services import Platform

USERS = "6"
WINDOW_S = 15  # a day of short windows takes long, however few users are in each
PORT_BASE = 25_000
DEMO_S_MAX = 480


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo that runs beside the test, in a folder of its own."""
    home = tmp_path_factory.mktemp("demo")
    platform = Platform(Settings(home=home, port_base=PORT_BASE, window_s=WINDOW_S).completed())
    output = home / "output.txt"
    with output.open("wb") as stream:
        process = platform.start("demo", "--users", USERS, output=stream)
        yield platform, process, output
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=120)


def wait_for(demo, text: str) -> str:
    """Wait until the demo has printed a text and return all that it printed."""
    _, process, output = demo
    deadline = time.monotonic() + DEMO_S_MAX
    while text not in output.read_text():
        assert process.poll() is None, output.read_text()[-3_000:]
        assert time.monotonic() < deadline, output.read_text()[-3_000:]
        time.sleep(0.5)
    return output.read_text()


class TestDemo:
    def test_killed_in_the_middle_and_resumed_ends_without_differences(self, demo):
        platform, _, _ = demo
        wait_for(demo, "waiting until the stream")
        pid = recorded_pid(platform.settings.home / "flink" / "flink-taskmanager" / "service.pid")
        os.killpg(pid, signal.SIGKILL)

        resumed = platform.meterbeat("stream", "run")
        printed = wait_for(demo, "Ctrl-C ends everything")
        session = f"{platform.settings.serving_url}/api/v1/session"

        assert resumed.returncode == 0, resumed.stderr
        assert "no differences" in printed
        tokens = re.findall(rf"{re.escape(platform.settings.serving_url)}/login#token=(\S+)", printed)
        sessions = [httpx.get(session, headers={"Authorization": f"Bearer {token}"}) for token in tokens]
        assert [one.json()["role"] for one in sessions] == ["operator", *["household"] * 3]

    def test_a_second_one_in_the_same_folder_is_refused(self, demo):
        done = demo[0].meterbeat("demo")

        assert done.returncode == 1
        assert "a demo runs already" in done.stderr

    def test_stays_at_real_time_pace(self, demo):
        """The newest heartbeat in Redis is of the last half minute."""
        platform, _, _ = demo
        deadline = time.monotonic() + 120
        while True:
            age_s = time.time() - platform.ask("stream", "status")["newest_event_ms"] / 1000
            if age_s < 30:
                break
            assert time.monotonic() < deadline, age_s
            time.sleep(1)

        done = platform.meterbeat("verify", "--users", USERS)

        assert done.returncode == 0, done.stdout + done.stderr
        assert "the fleet beating" in done.stdout

    def test_interrupted_leaves_nothing_running(self, demo):
        platform, process, output = demo
        records = list(platform.settings.home.rglob("service.pid"))
        pids = [pid for pid in map(recorded_pid, records) if pid]

        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)

        assert len(pids) >= 8, records
        assert [pid for pid in pids if started_at(pid) is not None] == []
        assert "Traceback" not in output.read_text()
