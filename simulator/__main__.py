"""The simulator's commands: send a fleet's heartbeats, and ask the ledger what became of them."""

import functools
import json
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import pyarrow.parquet as pq
import rich.console
import rich.table
import typer
from prometheus_client.registry import Collector

from infra.contracts.durations import DAY_MS
from infra.contracts.heartbeat import USER_ID_MAX, USER_ID_MIN
from infra.contracts.master_data import KINDS
from infra.contracts.utility import UTILITIES, Utility
from infra.exposition import MetricsError, new_registry, show
from infra.settings import SettingError, Settings
from simulator import labels, real_usage
from simulator import ledger as books
from simulator import newest as newest_beats
from simulator.archive_day import write_day
from simulator.counts import Counts
from simulator.faults import FaultError, Faults
from simulator.fleet import Progress
from simulator.hashes import Ints
from simulator.kafka_sink import KafkaAwayError, KafkaRefusalError, KafkaSink
from simulator.ledger import LedgerError, Run
from simulator.load_curves import PeriodError, check_period
from simulator.meter_faults import MeterFaults
from simulator.metrics import Plan, RetryMetrics, SimulatorMetrics
from simulator.options import OptionError, Rate, instant_ms, night_day
from simulator.progress_bar import progress_bar
from simulator.regions import REGIONS
from simulator.s3_sink import S3AwayError, S3Sink
from simulator.send import Send
from simulator.upkeep import Upkeep
from simulator.users import USERS_MAX, chunks, kind_of, region_of, sample

app = typer.Typer(
    help="The fleet: heartbeats and master data out, and the ledger of them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Told = TypeVar("Told")
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


@app.command()
def run(
    *,
    users: Annotated[int, typer.Option(min=1, max=USERS_MAX, help="How many users, each with three meters.")],
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Same seed, same fleet, byte for byte.")],
    rate: Annotated[str, typer.Option(help="real-time, max, or heartbeats a second.")] = "real-time",
    from_: Annotated[
        str, typer.Option("--from", help="ISO-8601 instant with Z or offset, now, or yesterday.")
    ] = "now",
    to: Annotated[str | None, typer.Option(help="Up to this instant; the same forms as --from.")] = None,
    duration: Annotated[float | None, typer.Option(min=0.001, help="Seconds of event time.")] = None,
    faults: Annotated[str, typer.Option(help="late=1%,doubled=1%,lost=1%,malformed=0.01%")] = "",
    meter_faults: Annotated[
        str,
        typer.Option(
            help="gap=2%,spike=1%,... of meters' days: gap, spike, negative, stuck, zero, rate, clock, read, "
            "leak, reset, exchange; rollover of all meters"
        ),
    ] = "",
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Show metrics there; 0: nowhere. Else the setting.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write master data, then send the fleet's heartbeats until --to, --duration or an interrupt."""
    pace, wrong, wrong_meters = Rate.parse(rate), Faults.parse(faults), MeterFaults.parse(meter_faults)
    _period(from_, to, duration, pace)
    settings = Settings.from_env()
    stop = _stop_on_signals()
    retries = RetryMetrics(time.sleep)
    kafka: KafkaSink[Progress] = KafkaSink(settings.kafka_bootstrap, UTILITIES, retries.sleep)
    send = Send(seed, users, wrong, _s3(settings), kafka, wrong_meters)
    send.prepare(*_period(from_, to, duration, pace))
    # Making the fleet ready takes a while; `now` is when the first heartbeat can leave.
    from_ms, to_ms = _period(from_, to, duration, pace)
    started_s = time.monotonic()
    plan = Plan.of(pace, users, from_ms, time.time())
    metrics = SimulatorMetrics(plan, lambda: kafka.acknowledged, time.time)
    _show_metrics(settings, metrics_port, retries, metrics)
    with progress_bar(from_ms, to_ms) as show_progress:
        done = send.run(
            from_ms=from_ms,
            to_ms=to_ms,
            rate=pace,
            clock=time.time,
            stop=stop,
            on_progress=_both(metrics.progressed, show_progress),
            on_trouble=_both(metrics.troubled, _trouble),
        )
    kafka.close()
    _report_run(done, time.monotonic() - started_s, as_json=as_json)


@app.command()
def archive(
    users: Annotated[int, typer.Option(min=1, max=USERS_MAX, help="How many users, each with three meters.")],
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Same seed, same fleet, byte for byte.")],
    night: Annotated[str, typer.Option(help="UTC day, YYYY-MM-DD.")],
    faults: Annotated[str, typer.Option(help="As of `run`.")] = "",
    meter_faults: Annotated[str, typer.Option(help="As of `run`.")] = "",
) -> None:
    """Put a whole UTC day straight into the archive, without broker and stream: for benches of the night."""
    s3 = _s3(Settings.from_env())
    s3.make_bucket()
    wrong, wrong_meters, day = Faults.parse(faults), MeterFaults.parse(meter_faults), night_day(night)
    start_ms = day * DAY_MS
    runs = s3.read_runs()
    books.check_joins(runs, seed)
    Upkeep(s3, seed, users, wrong_meters, runs).write(start_ms, start_ms + DAY_MS)
    done = write_day(s3, seed, users, start_ms, wrong, wrong_meters)
    print(json.dumps(done.to_json()))


def _period(from_: str, to: str | None, duration_s: float | None, rate: Rate) -> tuple[int, int | None]:
    """Return the period [from, to) in ms, `to` being None for a run without end."""
    if to is not None and duration_s is not None:
        raise OptionError("--to and --duration both say where to end. Give one of them")
    now_ms = time.time_ns() // 1_000_000
    from_ms = instant_ms("--from", from_, now_ms)
    to_ms = None if to is None else instant_ms("--to", to, now_ms)
    if duration_s is not None:
        to_ms = from_ms + round(duration_s * 1_000)
    if to_ms is None and rate.unlimited:
        raise OptionError("--rate max would run into the future. Give --to or --duration")
    if to_ms is not None and to_ms <= from_ms:
        raise OptionError("--to is not after --from. Give a later --to or an earlier --from")
    check_period(from_ms, from_ms if to_ms is None else to_ms)
    return from_ms, to_ms


def _show_metrics(settings: Settings, port: int | None, *collectors: Collector) -> None:
    """Show metrics at a port, else at the setting's; a run goes on without if that is taken by another."""
    chosen = settings.simulator_metrics_port if port is None else port
    if not chosen or not settings.metrics_host:
        return
    registry = new_registry()
    for collector in collectors:
        registry.register(collector)
    try:
        show(registry, settings.metrics_host, chosen)
    except MetricsError as error:
        if port is not None:
            raise OptionError(str(error)) from None
        _trouble(str(error))


def _both(first: Callable[[Told], None], second: Callable[[Told], None]) -> Callable[[Told], None]:
    """Return what tells two listeners the same."""

    def tell(what: Told) -> None:
        first(what)
        second(what)

    return tell


def _trouble(line: str) -> None:
    print(f"meterbeat simulate: {line}; the run goes on", file=sys.stderr)


@app.command()
def ledger(
    summary: Annotated[bool, typer.Option("--summary", help="Counts over all runs, no queries.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer queries {user_id, utility, at} read as a JSON list: the last delivered heartbeat before `at`."""
    queries = [] if summary else _queries(sys.stdin.read())
    runs = _runs(may_be_none=summary)
    if not summary:
        # Of many questions about a meter the first heartbeat before each is one and the same.
        first = functools.cache(functools.partial(books.first_delivered, tuple(runs), at_ms=None))
        print(json.dumps([_answer(runs, first, *query) for query in queries]))
        return
    counts: dict[str, Counts] = {str(utility): Counts() for utility in UTILITIES}
    for recorded in runs:
        for topic, made in recorded.counts.items():
            counts[topic] += made
    if as_json:
        topics = {str(topic): made.to_json() for topic, made in counts.items()}
        print(json.dumps({"runs": [recorded.to_json() for recorded in runs], "topics": topics}))
    else:
        _print_counts(counts)


@app.command()
def newest(
    to: Annotated[pathlib.Path, typer.Option(help="Parquet file to write; one that exists is replaced.")],
) -> None:
    """Write every user's newest delivered heartbeat by utility: sent_at, register, rate; null if none."""
    runs = _runs()
    newest_beats.check_meters_right(runs)
    rows = _write(to, newest_beats.SCHEMA, runs, functools.partial(newest_beats.table_of, runs))
    print(json.dumps({"users": rows}))


@app.command("labels")
def write_labels(
    night: Annotated[str, typer.Option(help="UTC day, YYYY-MM-DD.")],
    to: Annotated[pathlib.Path, typer.Option(help="Parquet file to write; one that exists is replaced.")],
) -> None:
    """Write the meter faults of a night: user_id, utility, rule, from_ms, to_ms."""
    day, runs = night_day(night), _runs()
    rows = _write(to, labels.SCHEMA, runs, lambda user_id: labels.labels_of(runs, user_id, day))
    print(json.dumps({"labels": rows}))


@app.command()
def usage(
    night: Annotated[str, typer.Option(help="UTC day, YYYY-MM-DD.")],
    to: Annotated[pathlib.Path, typer.Option(help="Parquet file to write; one that exists is replaced.")],
) -> None:
    """Write what was really used in each UTC hour of a night: user_id, utility, h00 to h23."""
    day, runs = night_day(night), _runs()
    rows = _write(to, real_usage.SCHEMA, runs, lambda user_id: real_usage.usage_of(runs, user_id, day))
    print(json.dumps({"meters": rows}))


def _write(to: pathlib.Path, schema: Any, runs: list[Run], table_of: Callable[[Ints], Any]) -> int:
    """Write the tables of all users of the runs to one Parquet file; return how many rows that are."""
    rows = 0
    with pq.ParquetWriter(to, schema) as file:
        for user_id in chunks(max(recorded.users for recorded in runs)):
            table = table_of(user_id)
            file.write_table(table)
            rows += table.num_rows
    return rows


@app.command()
def users(
    size: Annotated[int, typer.Option("--sample", min=1, help="How many users.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Name some users of the recorded runs, of every kind and region, always the same ones."""
    runs = _runs()
    seed = runs[0].seed
    chosen = sample(seed, max(recorded.users for recorded in runs), size)
    rows = _user_rows(seed, chosen)
    if as_json:
        print(json.dumps(rows))
    else:
        for row in rows:
            print(*row.values())


def _user_rows(seed: int, chosen: Ints) -> list[dict[str, Any]]:
    places = [REGIONS[index] for index in region_of(seed, chosen).tolist()]
    kinds = [KINDS[index] for index in kind_of(seed, chosen).tolist()]
    return [
        {"user_id": user_id, "kind": kind, "region": place.code, "zone": place.zone}
        for user_id, kind, place in zip(chosen.tolist(), kinds, places, strict=True)
    ]


def _queries(text: str) -> list[tuple[int, Utility, int | None]]:
    """Read the queries from standard input."""
    try:
        queries = [(int(q["user_id"]), Utility(q["utility"]), q.get("at")) for q in json.loads(text)]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OptionError(
            f"queries on standard input are unusable ({error!r}). Give a JSON list of "
            '{"user_id": 10000000, "utility": "gas", "at": null}'
        ) from None
    for user_id, _, at in queries:
        if not (USER_ID_MIN <= user_id <= USER_ID_MAX and (at is None or isinstance(at, int))):
            raise OptionError(
                f"query of user {user_id} at {at!r} is unusable. Give 8 digits, and whole ms or null"
            )
    return queries


def _answer(
    runs: list[Run],
    first_delivered: Callable[[int, Utility], books.Reading | None],
    user_id: int,
    utility: Utility,
    at_ms: int | None,
) -> dict[str, int] | None:
    last = books.last_delivered(runs, user_id, utility, at_ms)
    first = last and first_delivered(user_id, utility)
    if last is None or first is None:
        return None
    return {
        "sent_at": last.sent_at,
        "register": last.register,
        "rate": last.rate,
        "counted": last.counted,
        "first_sent_at": first.sent_at,
        "first_register": first.register,
        "first_counted": first.counted,
    }


def _runs(*, may_be_none: bool = False) -> list[Run]:
    runs = _s3(Settings.from_env()).read_runs()
    if runs or not may_be_none:
        books.check_one_fleet(runs)
    return runs


def _s3(settings: Settings) -> S3Sink:
    return S3Sink(
        settings.s3_endpoint,
        settings.s3_bucket,
        settings.s3_region,
        settings.s3_access_key,
        settings.s3_secret_key,
    )


def _stop_on_signals() -> threading.Event:
    """Return an event that the first interrupt sets; a second one ends the program at once."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


def _report_run(done: Run, wall_s: float, *, as_json: bool) -> None:
    sent = sum(counts.sent for counts in done.counts.values())
    rate = round(sent / max(wall_s, 1e-3))
    if as_json:
        print(json.dumps({**done.to_json(), "wall_s": round(wall_s, 3), "heartbeats_per_s": rate}))
        return
    _print_counts(done.counts)
    print(f"{sent:,} heartbeats in {wall_s:.1f} s: {rate:,} a second")


def _print_counts(counts: Any) -> None:
    columns = list(Counts().to_json())
    table = rich.table.Table("topic", *columns)
    for topic, made in counts.items():
        table.add_row(str(topic), *(f"{made.to_json()[column]:,}" for column in columns))
    console = rich.console.Console()
    # A report that goes into a file or a pipe has no width to keep to.
    rich.console.Console(width=None if console.is_terminal else 120).print(table)


def main() -> None:
    """Run a command; what is expected to go wrong is one line on standard error."""
    try:
        app(standalone_mode=True)
    except (OptionError, FaultError, PeriodError, SettingError) as error:
        sys.exit(_complain(error, 2))
    except (KafkaAwayError, KafkaRefusalError, S3AwayError, LedgerError) as error:
        sys.exit(_complain(error, 1))
    except KeyboardInterrupt:
        sys.exit(_complain("interrupted twice: what was not acknowledged is not recorded as delivered", 1))


def _complain(error: object, code: int) -> int:
    print(f"meterbeat simulate: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
