"""The night's commands: `python -m batch run --night YYYY-MM-DD` and `python -m batch published`."""

import contextlib
import datetime
import json
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer
from pyspark.sql import SparkSession
from rich.console import Console

from batch import job, mysql_sink, session
from batch.mysql_sink import Database
from batch.night import Night, NightRefused
from batch.s3_source import Bucket
from infra.settings import SettingError, Settings

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
progress = Console(stderr=True)

NightOption = Annotated[datetime.datetime, typer.Option(formats=["%Y-%m-%d"], help="the UTC day")]
JsonOption = Annotated[bool, typer.Option("--json", help="report as JSON on standard output")]


@app.command()
def run(
    night: NightOption,
    partial: Annotated[
        bool, typer.Option("--partial", help="publish although the archive does not reach the day's end")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute one closed UTC day from the archive and publish it whole."""
    with _one_line():
        settings = Settings.from_env()
        now = datetime.datetime.now(datetime.UTC)
        closed = Night.closed(night.date(), now)
        seconds: dict[str, float] = {}
        report = job.run(
            closed,
            bucket=_bucket(settings),
            database=_database(settings),
            start_spark=lambda: _spark(settings),
            stage=_stages(seconds),
            published_at=now,
            partial=partial,
        )
    if as_json:
        print(json.dumps({**report.to_json(), "seconds": seconds}))
    else:
        report.print(Console(), seconds)


@app.command()
def published(
    night: Annotated[
        datetime.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="the UTC day; default: the newest")
    ] = None,
    users: Annotated[str, typer.Option(help="ids with commas; default: a JSON list on standard input")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show the published rows of some users."""
    user_ids = _user_ids(users)
    with _one_line():
        day = night.date() if night else None
        answer = mysql_sink.published_rows(_database(Settings.from_env()), day, user_ids)
    if as_json:
        print(json.dumps(answer))
        return
    print(f"night {answer['night']}, truth until {answer['truth_until']} UTC")
    for row in answer["rows"]:
        print(
            f"{row['user_id']}  {row['utility']:11} {row['register_start']:>12} -> {row['register_end']:>12}"
            f"  = {row['usage_total']}"
        )


def main() -> None:
    """Run the command line."""
    app()


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """End with one line for what can be expected to go wrong: exit code 2 for a setting, else 1."""
    try:
        yield
    except (NightRefused, SettingError) as error:
        progress.print(str(error), style="red", highlight=False, soft_wrap=True, markup=False)
        raise typer.Exit(2 if isinstance(error, SettingError) else 1) from None


def _stages(seconds: dict[str, float]) -> job.Stage:
    """Return the stage that shows itself on a terminal and writes down how long it took."""

    @contextlib.contextmanager
    def stage(name: str) -> Iterator[None]:
        began = time.monotonic()
        shown = progress.status(f"night: {name}") if progress.is_terminal else contextlib.nullcontext()
        with shown:
            yield
        seconds[name] = round(time.monotonic() - began, 3)
        if progress.is_terminal:
            progress.print(f"night: {name:9} {seconds[name]:7.1f} s", highlight=False)

    return stage


def _user_ids(text: str) -> list[int]:
    try:
        return [int(part) for part in (text.split(",") if text else json.load(sys.stdin))]
    except (ValueError, TypeError):
        raise typer.BadParameter("user ids are whole numbers", param_hint="--users") from None


def _bucket(settings: Settings) -> Bucket:
    return Bucket(
        settings.s3_endpoint,
        settings.s3_region,
        settings.s3_access_key,
        settings.s3_secret_key,
        settings.s3_bucket,
    )


def _database(settings: Settings) -> Database:
    return Database(
        settings.mysql_host,
        settings.mysql_port,
        settings.mysql_database,
        settings.mysql_batch_user,
        settings.mysql_batch_password,
    )


def _spark(settings: Settings) -> SparkSession:
    return session.start(
        master=settings.spark_master,
        driver_memory_mb=settings.spark_driver_memory_mb,
        scratch=settings.home / "spark",
        jars=settings.jars / "spark",
        s3_endpoint=settings.s3_endpoint,
        s3_region=settings.s3_region,
        s3_access_key=settings.s3_access_key,
        s3_secret_key=settings.s3_secret_key,
    )


if __name__ == "__main__":
    main()
