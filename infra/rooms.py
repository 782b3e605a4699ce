"""Runs rooms as processes, each as `python -m <room>`: the floor never imports what stands on it."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from infra.process import launch
from infra.settings import CHECKOUT, Settings


class RoomError(RuntimeError):
    """A room's command that failed; the message is what it said last."""


def become(room: str, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by a room's command."""
    os.execv(sys.executable, command(room, *arguments))


def command(room: str, *arguments: str) -> list[str]:
    """Return the command line of a room."""
    return [sys.executable, "-m", room, *arguments]


def run(room: str, *arguments: str) -> int:
    """Run a room's command to its end, its output this process's own, and return its exit code."""
    return subprocess.run(command(room, *arguments), check=False).returncode


def expire_published(settings: Settings) -> None:
    """Drop from live state the hours that batch has published.

    :raises RoomError: if nothing is published, or a store is away; it can be repeated.
    """
    published = ask(settings, "batch", "published", "--json", question=[])
    ask(settings, "stream", "expire", "--until", f"{published['truth_until']}Z", "--json")


def snapshot_marks(settings: Settings, night: str) -> None:
    """Have the stream leave for batch what it holds of a night, YYYY-MM-DD.

    :raises RoomError: if it does not know it, or a store is away; the night goes without it.
    """
    ask(settings, "stream", "snapshot", "--night", night, "--json")


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
        check=False,
    )
    if done.returncode:
        said = (done.stderr or "see above").strip().splitlines()[-1:]
        raise RoomError(f"`{room} {' '.join(arguments)}` failed: {''.join(said)}")
    return json.loads(done.stdout)


def start(settings: Settings, name: str, room: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start a room's command beside this process; its log and process id are kept under home."""
    return launch(command(room, *arguments), log_folder(settings, name), settings.to_env(), CHECKOUT)


def log_folder(settings: Settings, name: str) -> pathlib.Path:
    """Return where a started room's log and process id are, so that `down` can end it."""
    return settings.home / name
