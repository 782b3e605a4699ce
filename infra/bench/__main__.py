"""`meterbeat bench NAME`: runs one bench on a platform of its own and prints one JSON object."""

import dataclasses
import datetime
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from infra.bench import (
    archive,
    end_to_end,
    fold,
    live_state,
    machine,
    night,
    results,
    serving,
    simulator,
    vee,
)
from infra.bench.fleet import SEED, Fleet, users_for
from infra.bench.ground import Ground, ground
from infra.contracts.heartbeat import INTERVAL_MS, USER_ID_MAX, USER_ID_MIN
from infra.process import ServiceError
from infra.rooms import RoomError
from infra.settings import SettingError, Settings

app = typer.Typer(
    help="Measure the platform, each bench on a platform of its own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
notes = Console(stderr=True, highlight=False, soft_wrap=True)
DAY = datetime.timedelta(days=1)
DAY_BEATS = DAY // datetime.timedelta(milliseconds=INTERVAL_MS)
USERS_MAX = USER_ID_MAX - USER_ID_MIN + 1

Seed = Annotated[int, typer.Option(min=0, help="Same seed, same fleet.")]
Cores = Annotated[str, typer.Option(help="Keep everything to these cores, such as 0 or 0,1; default: all.")]
Keep = Annotated[bool, typer.Option("--keep", help="Leave the bench's data where it is.")]
Record = Annotated[bool, typer.Option("--record", help="Put the result into docs/results.json.")]
Json = Annotated[bool, typer.Option("--json", help="Report as JSON.")]
Heartbeats = Annotated[int, typer.Option(min=1_000, help="At least so many heartbeats.")]
Users = Annotated[int, typer.Option(min=1, max=USERS_MAX, help="How many users.")]


@dataclasses.dataclass(frozen=True)
class Call:
    """What every bench can be told."""

    seed: int
    cores: str
    keep: bool
    record: bool
    as_json: bool


@app.command(name="simulator")
def simulator_command(
    users: Users = simulator.USERS,
    heartbeats: Heartbeats = simulator.HEARTBEATS_MIN,
    seed: Seed = SEED,
    cores: Cores = "",
    keep: Keep = False,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """One simulator process into the broker, as fast as possible."""
    fleet = Fleet.of(seed, users, heartbeats, _past())

    def measure(on: Ground) -> dict[str, Any]:
        return simulator.run(on, fleet)

    _run("simulator", measure, simulator.SERVICES, Call(seed, cores, keep, record, as_json))


@app.command(name="fold")
def fold_command(
    users: Users = fold.USERS,
    heartbeats: Heartbeats = fold.HEARTBEATS_MIN,
    seed: Seed = SEED,
    cores: Cores = "",
    keep: Keep = False,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Drain a backlog that was produced before the stream started, checkpoints on."""
    fleet = Fleet.of(seed, users, heartbeats, _past())

    def measure(on: Ground) -> dict[str, Any]:
        return fold.run(on, fleet)

    _run("fold", measure, fold.SERVICES, Call(seed, cores, keep, record, as_json))


@app.command(name="end-to-end")
def end_to_end_command(
    rate: Annotated[int, typer.Option(min=1, max=5_000_000, help="Heartbeats a second.")] = 200_000,
    minutes: Annotated[float, typer.Option(min=0.5, max=1_440, help="How long.")] = 10,
    warm_up_s: Annotated[float, typer.Option(min=0, max=600, help="Sent before lag is counted.")] = 60,
    flush_after_s: Annotated[
        float, typer.Option(min=0, max=3_600, help="Lose all of Redis so long after the warm-up; 0: never.")
    ] = 0,
    faults: Annotated[str, typer.Option(help="As in `simulate`; none: an empty text.")] = end_to_end.FAULTS,
    seed: Seed = SEED,
    cores: Cores = "",
    keep: Keep = False,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Everything at real-time pace. Exit 1 if a heartbeat is lost or Redis is not what the ledger says."""
    load = end_to_end.Load(seed, users_for(rate), minutes, warm_up_s, flush_after_s, faults)

    def measure(on: Ground) -> dict[str, Any]:
        return end_to_end.run(on, load)

    result = _run("end-to-end", measure, end_to_end.SERVICES, Call(seed, cores, keep, record, as_json))
    raise typer.Exit(1 if end_to_end.failed(result) else 0)


@app.command(name="live-state")
def live_state_command(
    users: Users = live_state.USERS,
    cores: Cores = "",
    keep: Keep = False,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Load every user's live state into Redis and ask the server for its memory."""

    def measure(on: Ground) -> dict[str, Any]:
        return live_state.run(on, users)

    _run("live-state", measure, live_state.SERVICES, Call(SEED, cores, keep, record, as_json))


@app.command(name="archive")
def archive_command(
    users: Users = archive.USERS,
    heartbeats: Heartbeats = archive.HEARTBEATS_MIN,
    day_users: Annotated[int, typer.Option(min=1, help="Users of the day to compact.")] = archive.DAY_USERS,
    seed: Seed = SEED,
    cores: Cores = "",
    keep: Keep = False,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Bytes a heartbeat as the stream writes it, and compacted."""
    midnight = _past().replace(hour=0, minute=0, second=0)
    written = Fleet.of(seed, users, heartbeats, midnight)
    day = Fleet(seed, day_users, DAY_BEATS, midnight - 2 * DAY)

    def measure(on: Ground) -> dict[str, Any]:
        return archive.run(on, written, day)

    _run("archive", measure, archive.SERVICES, Call(seed, cores, keep, record, as_json), archive.REPLAY)


@app.command(name="night")
def night_command(
    heartbeats: Heartbeats = night.HEARTBEATS,
    seed: Seed = SEED,
    cores: Cores = "",
    keep: Keep = False,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Run whole nights from the archive to the switch in MySQL: an eighth, a quarter, a half, and all."""
    first = (_past() - (len(night.GROWTH) + 1) * DAY).date()

    def measure(on: Ground) -> dict[str, Any]:
        return night.run(on, seed, heartbeats, first, DAY_BEATS)

    _run("night", measure, night.SERVICES, Call(seed, cores, keep, record, as_json))


@app.command(name="vee")
def vee_command(
    users: Users = vee.USERS,
    nights: Annotated[int, typer.Option(min=2, max=30, help="How many nights.")] = vee.NIGHTS,
    seed: Seed = SEED,
    cores: Cores = "",
    keep: Keep = False,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Hold validation against labelled faults. Exit 1 if a rule's recall or precision is below 0.95."""
    first = (_past() - (nights + 1) * DAY).date()

    def measure(on: Ground) -> dict[str, Any]:
        return vee.run(on, seed, users, first, nights)

    result = _run("vee", measure, vee.SERVICES, Call(seed, cores, keep, record, as_json))
    raise typer.Exit(1 if vee.failed(result) else 0)


@app.command(name="serving")
def serving_command(
    users: Users = serving.USERS,
    rps: Annotated[int, typer.Option(min=10, max=50_000, help="Requests a second.")] = serving.RPS,
    seconds: Annotated[float, typer.Option(min=2, max=3_600, help="How long.")] = serving.SECONDS,
    beats: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Heartbeats a second that the stream folds beside it.")
    ] = serving.BEATS_PER_S,
    search: Annotated[bool, typer.Option(help="Look for the highest rate at p99 <= 20 ms as well.")] = True,
    seed: Seed = SEED,
    cores: Cores = "",
    keep: Keep = False,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Ask for random households at a constant rate while the stream folds. Exit 1 on any error."""
    load = serving.Load(seed, users, rps, seconds, beats, search)
    now = datetime.datetime.now(datetime.UTC)

    def measure(on: Ground) -> dict[str, Any]:
        return serving.run(on, load, now)

    call = Call(seed, cores, keep, record, as_json)
    result = _run("serving", measure, serving.SERVICES, call, serving.CHANGES)
    raise typer.Exit(1 if result["errors"] else 0)


@app.command(name="table")
def table_command(
    write: Annotated[bool, typer.Option("--write", help="Put it into ARCHITECTURE.md.")] = False,
) -> None:
    """Print the table that ARCHITECTURE.md shows of docs/results.json."""
    shown = results.table(results.load())
    if write:
        results.DOCUMENT.write_text(results.replaced(results.DOCUMENT.read_text(), shown))
    else:
        print(shown)


def _run(
    name: str,
    measure: Callable[[Ground], dict[str, Any]],
    services: Sequence[str],
    call: Call,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a bench on a ground of its own and report; the result is recorded whatever it says."""
    settings = Settings.from_env()
    machine.pin(call.cores)
    started_at, began = datetime.datetime.now(datetime.UTC), time.monotonic()

    def say(text: str) -> None:
        notes.print(f"[dim]{time.monotonic() - began:5.0f} s[/dim]  {text}")

    with ground(settings, services, say, keep=call.keep, **(changes or {})) as on:
        figures = measure(on)
    result = {
        "bench": name,
        "command": " ".join(["meterbeat bench", *sys.argv[1:]]),
        "seed": call.seed,
        "cores": machine.cores(),
        "machine": machine.machine(),
        "versions": machine.versions(settings),
        "started_at": started_at.isoformat(timespec="seconds"),
        "duration_s": round(time.monotonic() - began, 1),
        **figures,
    }
    if call.record:
        results.record(result)
    _report(result, call.as_json)
    return result


def _report(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    rows = Table(show_header=False, box=None)
    for name, value in result.items():
        rows.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    Console().print(rows)


def _past() -> datetime.datetime:
    """Return a whole second of a minute ago: a fleet's past ends there."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return now - datetime.timedelta(minutes=1)


def main() -> None:
    """Run a command; what can be expected to go wrong is told in one line."""
    try:
        app()
    except (SettingError, ServiceError, RoomError) as error:
        notes.print(f"error: {error}", style="red", markup=False)
        sys.exit(2 if isinstance(error, SettingError) else 1)


if __name__ == "__main__":
    main()
