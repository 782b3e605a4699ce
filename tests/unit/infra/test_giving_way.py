"""A room's command that gives way: its exit code, its priority, and what an interrupt does to it."""

import os
import signal
import subprocess
import sys
import time

from infra.process import NIGHT_NICE, started_at
from infra.rooms import run_giving_way

# Any module is a room to `python -m`; this one runs a statement.
ROOM = ("timeit", "-n", "1", "-r", "1")
RUN = f"import sys, infra.rooms as rooms; rooms.run_giving_way(*{ROOM}, sys.argv[1], nice={NIGHT_NICE})"


class TestRunGivingWay:
    def test_lets_others_go_first_in_a_session_of_its_own(self, tmp_path):
        said = tmp_path / "said"
        statement = (
            "import os, pathlib, time\n"
            f"while os.getpriority(os.PRIO_PROCESS, 0) < {NIGHT_NICE}: time.sleep(0.01)\n"
            f"pathlib.Path({str(said)!r}).write_text(str(os.getsid(0) == os.getpid()))"
        )
        before = os.getpriority(os.PRIO_PROCESS, 0)

        assert run_giving_way(*ROOM, statement, nice=NIGHT_NICE) == 0
        assert said.read_text() == "True"
        assert os.getpriority(os.PRIO_PROCESS, 0) == before

    def test_returns_what_it_ended_with(self):
        assert run_giving_way(*ROOM, "1 / 0", nice=NIGHT_NICE) == 1

    def test_asked_to_terminate_it_ends_what_it_runs(self, tmp_path):
        said = tmp_path / "said"
        statement = (
            "import os, pathlib, time\n"
            f"pathlib.Path({str(said)!r}).write_text(str(os.getpid()))\n"
            "time.sleep(60)"
        )
        run = subprocess.Popen([sys.executable, "-c", RUN, statement], stderr=subprocess.PIPE, text=True)
        while not said.exists() or not said.read_text():
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(signal.SIGTERM)
        _, complained = run.communicate(timeout=30)

        assert "KeyboardInterrupt" in complained
        assert started_at(int(said.read_text())) is None
