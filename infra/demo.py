"""The demo: a fleet's yesterday and today through every layer, proved, then live until interrupted."""

import contextlib
import dataclasses
import datetime
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from infra import platform, rooms
from infra.process import end
from infra.rooms import RoomError
from infra.settings import Settings
from infra.verify import Verdict, console_for_report, print_verdict, verify

USERS = 120
SEED = 7
FAULTS = "late=1%,doubled=1%,lost=1%,malformed=0.01%"
SAMPLE = 100
SETTLE_S_MAX = 1_200
BACKFILL_DAYS_MAX = 7
# A small fleet's day has as many windows as a country's, each nearly empty: fewer groups and a longer
# reach keep the replay fast.
REPLAY: dict[str, Any] = {"stream_buckets": 2, "drift_s": 1_800}
LATE_WINDOW_S = 3  # what came late is folded this long after it came, at the latest
READY_S_MAX = 30


def run(settings: Settings, users: int, seed: int, faults: str, notes: Console, *, stay: bool) -> Verdict:
    """Run the demo and return its verdict; with `stay` only once interrupted. Ends what it started.

    :raises RoomError: if a step fails, with the reason its command gave.
    :raises ServiceError: if a service does not start.
    """
    settings = dataclasses.replace(settings, **REPLAY)
    started = time.monotonic()

    def step(text: str) -> None:
        notes.print(f"[dim]{time.monotonic() - started:5.0f} s[/dim]  {text}")

    fleet = ["--users", str(users), "--seed", str(seed), "--faults", faults]
    with _interruptible(), contextlib.ExitStack() as cleanup:
        cleanup.callback(platform.down, settings, lambda *_: None)
        step("starting Kafka, Redis, MySQL, S3 and Flink")
        platform.up(settings, lambda *_: None)
        cleanup.callback(_stop_stream, settings)
        now = datetime.datetime.now(datetime.UTC)
        night = now.date() - datetime.timedelta(days=1)
        since = _resume_from(settings, night)
        step(
            f"sending what {users} users' meters beat from {since:%Y-%m-%d %H:%M} to {now:%H:%M} UTC, "
            "and starting the stream"
        )
        past = _past(settings, fleet, since, now)
        cleanup.callback(_end, past)
        rooms.ask(settings, "stream", "run", "--json")
        _wait(past, "simulate")
        step("waiting until the stream has folded and archived them")
        _settle(settings)
        step(f"recomputing the night {night} with Spark and publishing it to MySQL")
        rooms.ask(settings, "batch", "run", "--night", night.isoformat(), "--json")
        step("starting the API and comparing")
        serving = rooms.start(settings, "serving", "serving", "serve")
        cleanup.callback(_end, serving)
        _wait_for_pages(settings, serving)
        verdict = verify(settings, night, SAMPLE)
        print_verdict(verdict, console_for_report())
        step("proved" if not verdict.difference else "the layers differ")
        if stay:
            _stay(settings, fleet, cleanup, notes)
    return verdict


def _stay(settings: Settings, fleet: list[str], cleanup: contextlib.ExitStack, notes: Console) -> None:
    """Bring the fleet up to the present, then keep it there at real-time pace until interrupted."""
    now = datetime.datetime.now(datetime.UTC)
    _wait(_past(settings, fleet, _last_acknowledged(settings), now), "simulate")
    live = rooms.start(
        settings, "simulate", "simulator", "run", *fleet, "--rate", "real-time", "--from", now.isoformat()
    )
    cleanup.callback(_end, live)
    users = rooms.ask(settings, "simulator", "users", "--json", "--sample", "3")
    notes.print(f"\nthe country:   [bold]{settings.serving_url}/[/bold]")
    for user in users:
        label = f"a {user['kind']}:".ljust(14)
        notes.print(f"{label} {settings.serving_url}/household/{user['user_id']}")
    notes.print(f"the API:       {settings.serving_url}/docs")
    notes.print("the fleet beats at real-time pace; Ctrl-C ends everything")
    with contextlib.suppress(KeyboardInterrupt):
        live.wait()
        raise RoomError(f"the simulator ended; see {settings.home}/logs/simulate.log")
    notes.print("\nshutting down")


def _resume_from(settings: Settings, night: datetime.date) -> datetime.datetime:
    """Return where the fleet's history ends, or the beginning of yesterday if it has none.

    :raises RoomError: if that is too long ago to make up for.
    """
    try:
        last = _last_acknowledged(settings)
    except RoomError:
        return datetime.datetime.combine(night, datetime.time(), datetime.UTC)
    if datetime.datetime.now(datetime.UTC) - last > datetime.timedelta(days=BACKFILL_DAYS_MAX):
        raise RoomError(f"the last heartbeat is of {last:%Y-%m-%d}; begin anew with `make clean demo`")
    return last


def _last_acknowledged(settings: Settings) -> datetime.datetime:
    runs = rooms.ask(settings, "simulator", "ledger", "--summary", "--json")["runs"]
    if not runs:
        raise RoomError("no run is recorded")
    newest = max(run["acknowledged_until"] for run in runs)
    return datetime.datetime.fromtimestamp(newest / 1000, datetime.UTC)


def _past(
    settings: Settings, fleet: list[str], since: datetime.datetime, until: datetime.datetime
) -> "subprocess.Popen[bytes]":
    period = ["--from", since.isoformat(), "--to", until.isoformat(), "--rate", "max"]
    return rooms.start(settings, "simulate", "simulator", "run", *fleet, *period)


def _settle(settings: Settings) -> None:
    """Wait until every heartbeat is folded, archived and checkpointed."""
    deadline = time.monotonic() + SETTLE_S_MAX
    told = ""
    with Console(stderr=True).status("") as line:
        while True:
            try:
                report = rooms.ask(settings, "stream", "status", "--json")
                if report["lag"] == 0 and report["windows_closed"]:
                    break
                line.update(f"{report['lag']:,} of {report['heartbeats_produced']:,} heartbeats to go")
            except RoomError as error:
                if str(error) != told:
                    told = str(error)
                    line.console.print(
                        "the stream does not run; `meterbeat stream run` resumes it", style="yellow"
                    )
            if time.monotonic() > deadline:
                raise RoomError(
                    f"the stream has not caught up after {SETTLE_S_MAX} s; see `meterbeat stream status`"
                )
            time.sleep(1)
    time.sleep(LATE_WINDOW_S)


def _wait(process: "subprocess.Popen[bytes]", log: str) -> None:
    if process.wait():
        raise RoomError(f"the simulator failed; see logs/{log}.log under METERBEAT_HOME")


def _wait_for_pages(settings: Settings, serving: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_S_MAX
    while True:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{settings.serving_url}/readyz", timeout=2),
        ):
            return
        if serving.poll() is not None or time.monotonic() > deadline:
            raise RoomError(
                f"the API does not answer at {settings.serving_url}; see {settings.home}/logs/serving.log"
            )
        time.sleep(0.2)


def _stop_stream(settings: Settings) -> None:
    with contextlib.suppress(RoomError):
        rooms.ask(settings, "stream", "stop", "--json")


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        end(process.pid)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Make a request to terminate clean up as an interrupt does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
