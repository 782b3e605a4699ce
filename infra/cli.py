"""`meterbeat`: the one entry to the platform. Services are started here; rooms run as their own processes."""

import contextlib
import dataclasses
import datetime
import json
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from infra import demo as demonstration
from infra import platform, rooms, serving
from infra.process import ServiceError
from infra.rooms import RoomError
from infra.settings import SettingError, Settings
from infra.verify import VerifyError, console_for_report, print_verdict, verify

app = typer.Typer(
    help="Meterbeat: electricity, gas and water meters, live and true.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
notes = Console(stderr=True, highlight=False, soft_wrap=True)
LOOPBACK = ("127.0.0.1", "::1", "localhost")
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
Json = Annotated[bool, typer.Option("--json", help="Report as JSON.")]


@app.command()
def up(as_json: Json = False) -> None:
    """Start Kafka, Redis, MySQL, S3 and Flink on this machine; those that run are left alone."""
    outcomes: dict[str, str] = {}
    platform.up(Settings.from_env(), _told(outcomes))
    _answer(outcomes, as_json)


@app.command()
def down(as_json: Json = False) -> None:
    """End what `up` and the rooms left running, and no other process."""
    outcomes: dict[str, str] = {}
    platform.down(Settings.from_env(), _told(outcomes))
    _answer(outcomes, as_json)


@app.command()
def status(as_json: Json = False) -> None:
    """Tell which services run, on which ports, and which were killed. Exit 1 unless all run."""
    found = platform.status(Settings.from_env())
    if as_json:
        print(json.dumps([dataclasses.asdict(one) for one in found]))
    else:
        table = Table("service", "state", "pid", "ports", box=None)
        table.add_column("log", overflow="fold")
        for one in found:
            ports = ", ".join(f"{purpose} {port}" for purpose, port in one.ports.items())
            table.add_row(one.name, one.state, str(one.pid or ""), ports, one.log)
        Console().print(table)
    raise typer.Exit(0 if all(one.state == "running" for one in found) else 1)


@app.command(context_settings=PASS_ON)
def simulate(context: typer.Context) -> None:
    """Send a fleet's heartbeats and keep their ledger. `meterbeat simulate --help` lists the options."""
    rooms.become("simulator", ["run", *context.args])


@app.command(context_settings=PASS_ON)
def stream(context: typer.Context) -> None:
    """Run the speed layer: run, status, stop, rebuild, dead-letters."""
    rooms.become("stream", context.args or ["--help"])


@app.command(context_settings=PASS_ON)
def batch(context: typer.Context) -> None:
    """Recompute and publish a night: --night YYYY-MM-DD; then drop its hours from live state.

    `backfill --from YYYY-MM-DD --to YYYY-MM-DD` does so for a period. `verify --night YYYY-MM-DD` holds a
    published night against a recount, `rollback --night YYYY-MM-DD` puts back what was published before it,
    and `compact --day YYYY-MM-DD` only rewrites a day of the archive, as every night does with its own.
    """
    command, arguments = "run", context.args
    if arguments[:1] in (["backfill"], ["verify"], ["rollback"], ["compact"]):
        command, *arguments = arguments
    if command in ("verify", "rollback", "compact") or "--help" in arguments:
        rooms.become("batch", [command, *arguments])
    settings, without = Settings.from_env(), ""
    if command == "run" and "--night" in arguments[:-1]:
        try:
            rooms.snapshot_marks(settings, _day(arguments[arguments.index("--night") + 1]))
        except RoomError as error:
            without = f"the night went without the stream's own figures: {error}"
    code = rooms.run("batch", command, *arguments)
    if without and not code:
        notes.print(without, markup=False)
    # A night may be published and its archive not compacted, or only the first of several be published.
    if code in (0, 1):
        try:
            rooms.expire_published(settings)
        except RoomError as error:
            if not code:
                notes.print(f"the night is published; its hours stay in live state: {error}", markup=False)
    raise typer.Exit(code)


@app.command(context_settings=PASS_ON)
def invoice(context: typer.Context) -> None:
    """Issue a month's invoices, or show one: `issue --month YYYY-MM`, `show --help`."""
    rooms.become("batch", ["invoice", *(context.args or ["--help"])])


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; else the setting.")] = "",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; else the setting.")] = 0,
    processes: Annotated[
        int, typer.Option(min=0, max=32, help="How many behind a load balancer; else the setting.")
    ] = 0,
) -> None:
    """Serve the API and the pages until interrupted: several processes behind a load balancer, or one.

    `restart-serving` restarts them in turn. SIGTERM lets requests under way be answered.
    """
    settings = Settings.from_env()
    host, port = host or settings.serving_host, port or settings.serving_port
    count = processes or settings.serving_processes
    _warn_of_the_clear(settings, host)
    if count == 1:
        rooms.become("serving", ["serve", "--host", host, "--port", str(port)])
    running = serving.Serving(settings, f"{host}:{port}", count, _said)
    notes.print(f"serving on http://{host}:{port}")
    with contextlib.suppress(KeyboardInterrupt):
        running.run()


def _warn_of_the_clear(settings: Settings, host: str) -> None:
    if host not in LOOPBACK and not settings.serving_cookie_secure:
        notes.print(
            f"tokens and figures travel in the clear at {host}: put https in front and set "
            "METERBEAT_SERVING_COOKIE_SECURE=true",
            style="yellow",
            markup=False,
        )


@app.command(name="restart-serving")
def restart_serving(as_json: Json = False) -> None:
    """Restart the serving processes in turn; requests are answered all the while."""
    took_s = serving.restart(Settings.from_env(), _said)
    if as_json:
        print(json.dumps({"restart_s": round(took_s, 1)}))


@app.command(context_settings=PASS_ON)
def token(context: typer.Context) -> None:
    """Issue a token and the link that logs in: --user N, or --role analyst; --revoke takes one back."""
    rooms.become("serving", ["token", *context.args])


@app.command(context_settings=PASS_ON)
def bench(context: typer.Context) -> None:
    """Measure simulator, fold, end-to-end, live-state, archive, night, vee, serving; each on its own."""
    rooms.become("infra.bench", context.args or ["--help"])


@app.command(name="verify")
def verify_command(
    night: Annotated[str, typer.Option(help="UTC day, YYYY-MM-DD; default: yesterday.")] = "",
    users: Annotated[int, typer.Option(min=1, max=10_000, help="How many users.")] = 100,
    as_json: Json = False,
) -> None:
    """Lay ledger, Redis, MySQL and API side by side for a sample of users. Exit 1 on any difference."""
    verdict = verify(Settings.from_env(), _night(night), users)
    if as_json:
        print(json.dumps(verdict.to_json()))
    else:
        print_verdict(verdict, console_for_report())
    raise typer.Exit(1 if verdict.difference else 0)


@app.command()
def demo(
    users: Annotated[int, typer.Option(min=1, max=100_000, help="How large a fleet.")] = demonstration.USERS,
    seed: Annotated[int, typer.Option(help="Same seed, same fleet.")] = demonstration.SEED,
    faults: Annotated[str, typer.Option(help="As in `simulate`.")] = demonstration.FAULTS,
    stay: Annotated[
        bool, typer.Option(help="Stay up with the fleet at real-time pace until interrupted.")
    ] = True,
) -> None:
    """Run the whole platform on real input and prove its totals; stays up until interrupted."""
    verdict = demonstration.run(Settings.from_env(), users, seed, faults, notes, stay=stay)
    raise typer.Exit(1 if verdict.difference else 0)


def _told(outcomes: dict[str, str]) -> Callable[[str, str], None]:
    """Return what notes an outcome down and shows it as it comes."""

    def tell(name: str, outcome: str) -> None:
        outcomes[name] = outcome
        notes.print(f"{name:18} {outcome}")

    return tell


def _answer(outcomes: dict[str, str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(outcomes))


def _said(text: str) -> None:
    notes.print(text, markup=False)


def _day(night: str) -> str:
    """Return what `--night` of batch says as a date: `yesterday` is one."""
    return _yesterday().isoformat() if night == "yesterday" else night


def _night(text: str) -> datetime.date:
    if not text:
        return _yesterday()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--night is {text!r}, not a date like 2026-03-29") from None


def _yesterday() -> datetime.date:
    """Return the last UTC day that is over."""
    return datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=1)


def main() -> None:
    """Run a command; what can be expected to go wrong is told in one line."""
    try:
        app()
    except SettingError as error:
        notes.print(f"error: {error}", style="red", markup=False)
        sys.exit(2)
    except (ServiceError, RoomError, VerifyError) as error:
        notes.print(f"error: {error}", style="red", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
