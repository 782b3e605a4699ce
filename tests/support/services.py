"""Real services for a test session: a platform of its own, beside any other, ended by process id."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from infra import platform
from infra.process import Service
from infra.settings import CHECKOUT, Settings

TEST_PORT_BASE = 29_000
COMMAND_S_MAX = 400


@dataclasses.dataclass(frozen=True)
class Platform:
    """A running platform and the command line to it."""

    settings: Settings

    def meterbeat(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a meterbeat command to its end."""
        return self._run([sys.executable, "-m", "infra", *arguments], stdin)

    def room(
        self, room: str, *arguments: str, stdin: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a room's command to its end."""
        return self._run([sys.executable, "-m", room, *arguments], stdin)

    def ask(self, *arguments: str) -> Any:
        """Run a meterbeat command that must succeed and return its JSON answer."""
        done = self.meterbeat(*arguments, "--json")
        assert done.returncode == 0, f"{arguments}: {done.stderr}{done.stdout}"
        return json.loads(done.stdout)

    def start(self, *arguments: str, output: Any = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
        """Start a meterbeat command beside the test."""
        return subprocess.Popen(
            [sys.executable, "-m", "infra", *arguments],
            cwd=CHECKOUT,
            env=self._env(),
            start_new_session=True,
            stdout=output,
            stderr=output,
        )

    def service(self, name: str) -> Service:
        """Return one of the platform's services."""
        [service] = [one for one in platform.services(self.settings) if one.name == name]
        return service

    def kill(self, name: str) -> None:
        """Kill -9 a service that this platform started, and see it gone."""
        service = self.service(name)
        pid = service.pid()
        assert pid is not None, name
        os.killpg(pid, signal.SIGKILL)
        while service.pid():
            time.sleep(0.1)

    def _run(self, command: list[str], stdin: str | None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=CHECKOUT,
            env=self._env(),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )

    def _env(self) -> dict[str, str]:
        return {**os.environ, **self.settings.to_env()}


@contextlib.contextmanager
def running_platform(
    home: pathlib.Path, port_base: int = TEST_PORT_BASE, **changes: Any
) -> Iterator[Platform]:
    """Start every service under a folder and end them all afterwards. A service that cannot start fails."""
    settings = dataclasses.replace(Settings(home=home, port_base=port_base), **changes).completed()
    try:
        platform.up(settings, lambda *_: None)
        yield Platform(settings)
    finally:
        platform.down(settings, lambda *_: None)


def failed_in_one_line(done: "subprocess.CompletedProcess[str]", *, code: int, says: str) -> None:
    """Assert that a command ended with a code and a single line of explanation, never a stack trace."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    said = " ".join(done.stderr.split())
    assert says in said, said
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
