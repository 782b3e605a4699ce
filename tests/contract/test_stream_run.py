"""`stream run` when the process that runs both jobs has been killed: what the cluster does not yet know."""

import os
import signal
import subprocess
import time

import pytest

from infra.contracts.utility import Utility
from stream.flink_client import FlinkClient
from stream.jobs import CHECKPOINT_S_MAX, FOLD
from tests.contract.meters import WAIT_S_MAX, Meters
from tests.support.faults import TASK_PROCESS

SILENT_S = 7  # longer than the command takes, shorter than the cluster waits for a heartbeat
ASKED_S = 11  # the cluster asks for metrics every 10 s, if it is asked for them
UNDER_WAY_S = 3  # longer than the cluster waits between two watermarks that it tells
TICK_S_MAX = 120  # on a slow machine; Flink alone takes ten minutes
AGAIN_S_MAX = 3 * CHECKPOINT_S_MAX[FOLD]


@pytest.fixture
def silent(services):
    """Stop the task manager for a test, which makes it as silent as one that was killed; its process id."""
    services.ask("stream", "run")
    pid = services.service(TASK_PROCESS).pid()
    os.kill(pid, signal.SIGSTOP)
    yield pid
    if services.service(TASK_PROCESS).pid() == pid:
        os.kill(pid, signal.SIGCONT)


def test_jobs_of_a_silent_task_manager_are_not_said_to_run(services, silent):
    run = services.start("stream", "run", "--json", output=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(SILENT_S)
    os.kill(silent, signal.SIGCONT)

    said = run.communicate(timeout=WAIT_S_MAX)

    assert run.returncode == 0, said
    assert services.ask("stream", "status")["state"] == "RUNNING"


def test_the_last_windows_end_though_a_task_manager_was_killed_while_asked_for_its_metrics(services, silent):
    """The watch ticks by what the cluster tells, which waits for an answer that never comes."""
    client, asked_until = FlinkClient(services.settings.flink_rest), time.monotonic() + ASKED_S
    while time.monotonic() < asked_until:
        assert client.job(FOLD)
        time.sleep(0.5)
    services.kill(TASK_PROCESS)

    services.ask("stream", "run")
    beat(services, 4_000)


def test_checkpoints_go_on_though_a_task_manager_was_killed_within_one(services):
    """What was to be told after it is awaited by the next, which holds sources up until it is given up."""
    services.ask("stream", "run")
    client = FlinkClient(services.settings.flink_rest)
    assert client.checkpoint(FOLD)  # or the second would take too long to begin before more is told
    beat(services, 5_000)  # so that there are watermarks to align by
    os.kill(services.service(TASK_PROCESS).pid(), signal.SIGSTOP)
    assert client.checkpoint(FOLD)
    time.sleep(UNDER_WAY_S)
    services.kill(TASK_PROCESS)

    services.ask("stream", "run")

    before, deadline = client.job(FOLD), time.monotonic() + AGAIN_S_MAX
    while client.job(FOLD).checkpoints_completed <= before.checkpoints_completed:
        assert time.monotonic() < deadline, before
        time.sleep(0.5)
    beat(services, 6_000)


def beat(services, register):
    """Send one heartbeat and wait until it shows."""
    meters, sent_at = Meters(services.settings), int(time.time() * 1000)
    meters.send(Utility.WATER, sent_at, register)
    meters.flush()
    assert meters.wait_for(Utility.WATER, sent_at, within_s=TICK_S_MAX).register == register
