"""The demo: a fleet's yesterday and today through every layer, proved, then live until interrupted."""

import contextlib
import dataclasses
import datetime
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from infra import platform, rooms
from infra.process import ServiceError, end, interruptible, recorded_pid, started_at
from infra.rooms import RoomError
from infra.settings import Settings
from infra.verify import Verdict, console_for_report, print_verdict, verify

USERS = 100
SEED = 7
FAULTS = "late=1%,doubled=1%,lost=1%,malformed=0.01%"
SAMPLE = 100
SETTLE_S_MAX = 1_200
BACKFILL_DAYS_MAX = 7
# A small fleet's day has as many windows as a country's, each nearly empty: fewer groups and a longer
# reach keep the replay fast.
REPLAY: dict[str, Any] = {"stream_buckets": 2, "drift_s": 1_800}
READY_S_MAX = 60
POLL_S = 4  # asking takes a process of its own, and the stream needs the cores


def run(settings: Settings, users: int, seed: int, faults: str, notes: Console, *, stay: bool) -> Verdict:
    """Run the demo and return its verdict; with `stay` only once interrupted. Ends what it started.

    :raises RoomError: if a step fails, with the reason its command gave.
    :raises ServiceError: if a service does not start, or another demo runs already.
    """
    settings = dataclasses.replace(settings, **REPLAY)
    started = time.monotonic()

    def step(text: str) -> None:
        notes.print(f"[dim]{time.monotonic() - started:5.0f} s[/dim]  {text}")

    fleet = ["--users", str(users), "--seed", str(seed), "--faults", faults]
    with interruptible(), contextlib.ExitStack() as cleanup:
        cleanup.enter_context(_alone(settings))
        step("starting Kafka, Redis, MySQL, S3 and Flink")
        running = {service.name for service in platform.services(settings) if service.pid()}
        cleanup.callback(_end_services, settings, running)
        platform.up(settings, lambda *_: None)
        cleanup.callback(_stop_stream, settings)
        now = datetime.datetime.now(datetime.UTC)
        night = now.date() - datetime.timedelta(days=1)
        since = _resume_from(settings, night)
        step(
            f"sending what {users} users' meters beat from {since:%Y-%m-%d %H:%M} to {now:%H:%M} UTC, "
            "and starting the stream"
        )
        period = ["--from", since.isoformat(), "--to", now.isoformat(), "--rate", "max"]
        past = rooms.start(settings, "simulate", "simulator", "run", *fleet, *period)
        cleanup.callback(_end, past)
        rooms.ask(settings, "stream", "run", "--json")
        if past.wait():
            raise RoomError(f"the simulator failed; see {rooms.log_folder(settings, 'simulate')}/service.log")
        step("waiting until the stream has folded and archived them")
        _settle(settings)
        for day in _nights(since.date(), night):
            step(f"recomputing the night {day} with Spark and publishing it to MySQL")
            rooms.snapshot_marks(settings, day.isoformat())
            # The nights run in their order, each once: none is late.
            options = ("--no-late", "--no-compact", "--json")
            rooms.ask(settings, "batch", "run", "--night", day.isoformat(), *options)
        step("starting the API and comparing")
        serving = rooms.start(settings, "serving", "infra", "serve")
        cleanup.callback(_end, serving)
        _wait_for_pages(settings, serving)
        verdict = verify(settings, night, SAMPLE)
        print_verdict(verdict, console_for_report())
        step("proved" if not verdict.difference else "the layers differ")
        if stay:
            _stay(settings, fleet, now, cleanup, notes)
    return verdict


def _stay(
    settings: Settings,
    fleet: list[str],
    since: datetime.datetime,
    cleanup: contextlib.ExitStack,
    notes: Console,
) -> None:
    """Bring the fleet up to the present and keep it there at real-time pace until interrupted."""
    pace = ["--rate", "real-time", "--from", since.isoformat()]
    live = rooms.start(settings, "simulate", "simulator", "run", *fleet, *pace)
    cleanup.callback(_end, live)
    users = rooms.ask(settings, "simulator", "users", "--json", "--sample", "3")
    notes.print("\neach link logs in:")
    notes.print(f"the country:   [bold]{_link(settings, '--role', 'operator')}[/bold]")
    for user in users:
        label = f"a {user['kind']}:".ljust(14)
        notes.print(f"{label} {_link(settings, '--user', str(user['user_id']))}")
    notes.print(f"the API:       {settings.serving_url}/api/v1/openapi.json")
    notes.print("the fleet beats at real-time pace; Ctrl-C ends everything")
    with contextlib.suppress(KeyboardInterrupt):
        live.wait()
        raise RoomError(f"the simulator ended; see {rooms.log_folder(settings, 'simulate')}/service.log")
    notes.print("\nshutting down")


def _link(settings: Settings, *whose: str) -> str:
    """Return a link that logs in."""
    return str(rooms.ask(settings, "serving", "token", *whose, "--json")["link"])


def _nights(since: datetime.date, last: datetime.date) -> list[datetime.date]:
    """Return the nights that what was just sent completes, yesterday's in any case."""
    first = min(since, last)
    return [first + datetime.timedelta(days=day) for day in range((last - first).days + 1)]


def _resume_from(settings: Settings, night: datetime.date) -> datetime.datetime:
    """Return where the fleet's history ends, or the beginning of yesterday if it has none.

    :raises RoomError: if that is too long ago to make up for.
    """
    runs = rooms.ask(settings, "simulator", "ledger", "--summary", "--json")["runs"]
    if not runs:
        return datetime.datetime.combine(night, datetime.time(), datetime.UTC)
    newest = max(run["acknowledged_until"] for run in runs)
    last = datetime.datetime.fromtimestamp(newest / 1000, datetime.UTC)
    if datetime.datetime.now(datetime.UTC) - last > datetime.timedelta(days=BACKFILL_DAYS_MAX):
        raise RoomError(f"the last heartbeat is of {last:%Y-%m-%d}; begin anew with `make clean demo`")
    return last


def _settle(settings: Settings) -> None:
    """Wait until every heartbeat is folded and archived."""
    deadline, told = time.monotonic() + SETTLE_S_MAX, ""
    with Console(stderr=True).status("") as line:
        while time.monotonic() < deadline:
            try:
                report = rooms.ask(settings, "stream", "status", "--json")
                if report["windows_closed"]:
                    rooms.ask(settings, "stream", "settle", "--json")
                    return
                line.update(f"{report['lag']:,} of {report['heartbeats_produced']:,} heartbeats to go")
            except RoomError as error:
                if str(error) != told:
                    told = str(error)
                    line.console.print(
                        "the stream does not run; `meterbeat stream run` resumes it", style="yellow"
                    )
            time.sleep(POLL_S)
    raise RoomError(f"the stream has not caught up in {SETTLE_S_MAX} s; see `meterbeat stream status`")


def _wait_for_pages(settings: Settings, serving: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_S_MAX
    while serving.poll() is None and time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{settings.serving_url}/readyz", timeout=2),
        ):
            return
        time.sleep(0.2)
    raise RoomError(
        f"the API does not answer at {settings.serving_url}; "
        f"see {rooms.log_folder(settings, 'serving')}/service.log"
    )


def _stop_stream(settings: Settings) -> None:
    with contextlib.suppress(RoomError):
        rooms.ask(settings, "stream", "stop", "--json")


def _end_services(settings: Settings, kept: set[str]) -> None:
    """End the services that did not run before the demo."""
    for service in reversed(platform.services(settings)):
        if service.name not in kept:
            service.stop()


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        end(process.pid)


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Keep a second demo off the same folder.

    :raises ServiceError: if one runs.
    """
    folder = settings.home / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "demo.pid"
    other = recorded_pid(lock)
    if other:
        raise ServiceError(
            f"a demo runs already (process {other}); end it, or set METERBEAT_HOME and _PORT_BASE"
        )
    lock.write_text(json.dumps({"pid": os.getpid(), "started_at": started_at(os.getpid())}))
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
