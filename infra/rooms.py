"""Runs rooms as processes, each as `python -m <room>`: the floor never imports what stands on it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from infra.settings import CHECKOUT, Settings

ANSWER_S_MAX = 1_800


class RoomError(RuntimeError):
    """A room's command that failed; the message is what it said last."""


def become(room: str, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by a room's command."""
    os.execv(sys.executable, command(room, *arguments))


def command(room: str, *arguments: str) -> list[str]:
    """Return the command line of a room."""
    return [sys.executable, "-m", room, *arguments]


def ask(settings: Settings, room: str, *arguments: str, question: Any = None) -> Any:
    """Run a room's command, hand it a question as JSON and return its JSON answer; progress passes through.

    :raises RoomError: with the last line that the command wrote to standard error.
    """
    done = subprocess.run(
        command(room, *arguments),
        input=None if question is None else json.dumps(question),
        stdin=subprocess.DEVNULL if question is None else None,
        stdout=subprocess.PIPE,
        stderr=None if sys.stderr.isatty() else subprocess.PIPE,
        text=True,
        env={**os.environ, **settings.to_env()},
        cwd=CHECKOUT,
        timeout=ANSWER_S_MAX,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or "see above").strip().splitlines()[-1:]
        raise RoomError(f"`{room} {' '.join(arguments)}` failed: {''.join(said)}")
    return json.loads(done.stdout)


def start(settings: Settings, log: str, room: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a room's command beside this process, its output in a log file under home."""
    path = settings.home / "logs" / f"{log}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        return subprocess.Popen(
            command(room, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **settings.to_env()},
            cwd=CHECKOUT,
            start_new_session=True,
        )
