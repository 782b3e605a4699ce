"""A service as a process: started once, told from a stranger with its id, ended without a trace."""

import dataclasses
import json
import os
import pathlib
import signal
import socket
import sys
import time

import pytest

from infra.process import STREAM_NICE, Service, ServiceError, started_at


def sleeper(folder, ports=None, ready=lambda: True, command=("-c", "import time; time.sleep(60)")) -> Service:
    return Service("sleeper", folder, [sys.executable, *command], ports or {}, ready)


def autogroup_nice(pid: int) -> int | None:
    """Return the priority of a process's session, None where the system shares no processor by sessions."""
    try:
        told = pathlib.Path(f"/proc/{pid}/autogroup").read_text()
    except OSError:
        return None
    return int(told.rpartition("nice ")[2]) if "nice" in told else None


@pytest.fixture
def service(tmp_path):
    one = sleeper(tmp_path)
    yield one
    one.stop()


class TestService:
    def test_starts_once(self, service):
        assert [service.start(), service.start()] == [True, False]

    def test_that_gives_way_lets_others_go_first_and_its_starter_stays_as_it_was(self, tmp_path):
        service = dataclasses.replace(sleeper(tmp_path), nice=STREAM_NICE)
        before = os.getpriority(os.PRIO_PROCESS, 0), autogroup_nice(os.getpid())
        service.start()
        its = os.getpriority(os.PRIO_PROCESS, service.pid()), autogroup_nice(service.pid())
        after = os.getpriority(os.PRIO_PROCESS, 0), autogroup_nice(os.getpid())
        service.stop()

        assert its[0] == max(STREAM_NICE, before[0])
        assert its[1] in (STREAM_NICE, None)
        assert after == before

    def test_is_gone_once_killed(self, service):
        service.start()
        pid = service.pid()
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

        assert service.pid() is None
        assert service.start()

    def test_killed_leaves_no_child_behind_once_started_again(self, tmp_path):
        parent = "import subprocess as s; p = s.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
        service = sleeper(tmp_path, command=("-c", parent))
        service.start()
        while not service.log_path.read_text():
            time.sleep(0.01)
        child, pid = int(service.log_path.read_text()), service.pid()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

        alive_before = started_at(child)
        service.start()
        service.stop()

        assert alive_before is not None
        assert started_at(child) is None

    def test_does_not_take_a_stranger_for_itself(self, service, tmp_path):
        record = {"pid": os.getpid(), "started_at": (started_at(os.getpid()) or 0) + 1}
        service.pid_path.write_text(json.dumps(record))

        assert service.pid() is None
        assert not service.stop()

    def test_names_a_taken_port(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]

            with pytest.raises(ServiceError, match=rf"sleeper: port {port} \(server\) is taken"):
                sleeper(tmp_path, {"server": port}).start()

    def test_that_ends_at_start_shows_why(self, tmp_path):
        service = sleeper(tmp_path, ready=lambda: False, command=("-c", "raise SystemExit('no disk')"))
        service.start()

        with pytest.raises(ServiceError, match="no disk"):
            service.wait()

    def test_that_does_not_heed_a_request_is_ended_all_the_same(self, tmp_path, monkeypatch):
        monkeypatch.setattr("infra.process.STOP_S_MAX", 0.3)
        stubborn = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "print('ready', flush=True); time.sleep(60)"
        )
        service = sleeper(tmp_path, command=("-c", stubborn))
        service.start()
        pid = service.pid()
        while not service.log_path.read_text():
            time.sleep(0.01)

        assert service.stop()
        assert started_at(pid) is None
