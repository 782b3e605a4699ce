"""The commands of invoices: issue a month's, show one."""

import contextlib
import dataclasses
import datetime
import itertools
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from batch import invoice_run, s3_source
from batch.bucket_sink import Bucket
from batch.database_sink import Database
from batch.invoice_lines import Line, Month
from batch.invoice_store import InvoiceStore
from batch.invoices import Document
from batch.local_hours import date_of
from batch.night import NightRefused
from infra.contracts.invoices import CREDIT, minor_digits, money

MICRO_DIGITS = 6
ONE_DAY = datetime.timedelta(days=1)

MonthOption = Annotated[str, typer.Option(help="the local calendar month, YYYY-MM")]
JsonOption = Annotated[bool, typer.Option("--json", help="report as JSON on standard output")]


def commands(
    *,
    bucket: Callable[[], Bucket],
    database: Callable[[], Database],
    clock: Callable[[], datetime.datetime],
    one_line: Callable[[], contextlib.AbstractContextManager[None]],
    progress: Console,
) -> typer.Typer:
    """Return the commands as an application of their own.

    :param one_line: ends the program with one line for what can be expected to go wrong.
    """
    app = typer.Typer(help=__doc__, no_args_is_help=True)

    @app.command()
    def issue(
        month: MonthOption,
        users: Annotated[str, typer.Option(help="ids with commas; default: all")] = "",
        as_json: JsonOption = False,
    ) -> None:
        """Issue a complete month's invoices; credit and replace those that are no longer right.

        Run again it issues only what is due: the rest is unchanged.
        """
        named, user_ids = _month(month), _user_ids(users)
        with one_line():
            master = bucket()
            tariffs = s3_source.read_tariffs(master)
            agreements = s3_source.read_agreements(master, tariffs)
            with _bar(progress, f"invoices of {named}") as advance:
                done = invoice_run.issue(
                    named,
                    database=database(),
                    tariffs=tariffs,
                    agreements=agreements,
                    user_ids=user_ids,
                    issued_at=clock(),
                    advance=advance,
                )
        counts = {"month": str(named), **dataclasses.asdict(done)}
        if as_json:
            typer.echo(json.dumps(counts))
        else:
            typer.echo("  ".join(f"{name} {value}" for name, value in counts.items()))

    @app.command()
    def show(
        number: Annotated[str, typer.Argument(help="an invoice's or credit's number")] = "",
        user: Annotated[int | None, typer.Option(help="a user's id, in place of a number")] = None,
        month: Annotated[str, typer.Option(help="with --user: YYYY-MM; default: the newest")] = "",
        as_json: JsonOption = False,
    ) -> None:
        """Show an invoice, or all invoices and credits of a user for a month."""
        if bool(number) == (user is not None):
            raise typer.BadParameter("give either a number or --user")
        with one_line():
            found = _find(database(), number, user, _month(month) if month else None)
        if as_json:
            typer.echo(json.dumps([_plain(document, *to) for document, to in found]))
        else:
            for document, to in found:
                _print(document, *to, Console())

    return app


def _find(
    database: Database, number: str, user_id: int | None, month: Month | None
) -> list[tuple[Document, tuple[str, str]]]:
    """Return documents, each with the name and address it goes to.

    :raises NightRefused: if there is none.
    """
    with contextlib.closing(database.connect()) as connection:
        store = InvoiceStore(database, connection)
        numbers = [number] if user_id is None else store.numbers(user_id, month)
        found = [(document, store.recipient(document.user_id)) for document in store.documents(numbers)]
    if not found:
        what = f"number {number}" if user_id is None else f"user {user_id}{f' for {month}' if month else ''}"
        raise NightRefused(f"there is no invoice of {what}; `meterbeat invoice issue` makes those of a month")
    return found


def _plain(document: Document, name: str, address: str) -> dict[str, Any]:
    """Return a document as plain values, its days as dates."""
    fields = {**dataclasses.asdict(document), "total": document.total, "name": name, "address": address}
    lines = [
        {
            **dataclasses.asdict(line),
            "unit": line.unit,
            "amount": line.amount,
            "day_from": date_of(line.day_from),
            "day_until": date_of(line.day_until),
        }
        for line in document.lines
    ]
    plain: dict[str, Any] = json.loads(json.dumps({**fields, "lines": lines}, default=str))
    return plain


def _print(document: Document, name: str, address: str, console: Console) -> None:
    """Write a document for a person; its last day of a line is inclusive."""
    of = f", reverses {document.reverses}" if document.kind == CREDIT else ""
    table = Table(
        title=f"{document.kind} {document.number}{of}",
        caption=f"issued {document.issued_at:%Y-%m-%d %H:%M} UTC, "
        f"by readings until {document.truth_until:%Y-%m-%d %H:%M} UTC",
    )
    table.add_column("")
    for header in ("days", "quantity", "price", "amount"):
        table.add_column(header, justify="right", no_wrap=True)
    for utility, lines in itertools.groupby(document.lines, lambda line: line.utility):
        table.add_section()
        table.add_row(str(utility), style="bold")
        for line in lines:
            last = date_of(line.day_until) - ONE_DAY
            days = f"{date_of(line.day_from).day} to {last.day}"
            quantity, price = _quantity_and_price(line, document.currency)
            table.add_row(_title(line), days, quantity, price, money(line.amount, document.currency))
    table.add_section()
    table.add_row("total", "", "", "", money(document.total, document.currency), style="bold")
    console.print(name, address, f"{document.month:%B %Y}, {document.zone}", sep="\n", markup=False)
    console.print(table)


def _title(line: Line) -> str:
    return escape(line.label) + (f", from {line.tier_from:,} {line.unit}" if line.tier_from else "")


def _quantity_and_price(line: Line, currency: str) -> tuple[str, str]:
    """Return what is paid for and at which price, for a person."""
    if line.component == "tax":
        return money(line.quantity, currency), f"{Decimal(line.price_micro).scaleb(-4).normalize():f} %"
    if line.component == "standing":
        return f"{line.quantity} days", f"{_price(line.price_micro, currency)} a day"
    estimated = f"\n{line.quantity_estimated:,} estimated" if line.quantity_estimated else ""
    # A thousand units are a kWh or a m3, which is what people know prices of.
    per = "kWh" if line.unit == "Wh" else "m3"
    return (
        f"{line.quantity:,} {line.unit}{estimated}",
        f"{_price(line.price_micro * 1_000, currency)} a {per}",
    )


def _price(price_micro: int, currency: str) -> str:
    """Return a price in the currency, with as many digits as it has."""
    return f"{Decimal(price_micro).scaleb(-MICRO_DIGITS - minor_digits(currency)).normalize():f}"


@contextlib.contextmanager
def _bar(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal; yield what moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, users: progress.update(task, completed=done, total=users)


def _month(text: str) -> Month:
    try:
        return Month.named(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--month") from None


def _user_ids(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise typer.BadParameter("user ids are whole numbers", param_hint="--users") from None
