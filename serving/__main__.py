"""python -m serving serve | live: the only place of this room that knows settings, clock and network."""

import asyncio
import contextlib
import dataclasses
import json
import socket
import sys
import time
from typing import Annotated, Any

import typer
import uvicorn
from fastapi import FastAPI
from rich.console import Console

from infra.addresses import redacted
from infra.settings import SettingError, Settings
from serving import app
from serving.mysql_source import MysqlSource
from serving.redis_source import RedisSource
from serving.sources import StoreAway

GRACE_S = 10  # a request in flight at shutdown may take this long
CONSOLE = Console(stderr=True, highlight=False, soft_wrap=True)
CLI = typer.Typer(
    help="The serving layer: the API and the pages.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@CLI.command()
def live() -> None:
    """Tell what Redis holds of users: a JSON list of ids on standard input, a JSON object by id out."""
    users = [int(user_id) for user_id in json.load(sys.stdin)]
    settings = Settings.from_env()
    source = RedisSource(settings.redis_url, settings.serving_timeout_ms, _now_ms)
    try:
        print(json.dumps(asyncio.run(_live(source, users))))
    except StoreAway as error:
        raise _stop(
            f"redis at {redacted(settings.redis_url)} does not answer ({error}); "
            "start it with `meterbeat up`",
            1,
        ) from None


async def _live(source: RedisSource, users: list[int]) -> dict[int, dict[str, Any]]:
    answers: dict[int, dict[str, Any]] = {}
    for user_id in users:
        state = await source.live_state(user_id)
        meters = state.meters.items() if state else ()
        answers[user_id] = {utility.value: dataclasses.asdict(meter) for utility, meter in meters}
    await source.close()
    return answers


@CLI.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; else the setting.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; else the setting.")] = None,
) -> None:
    """Serve the household and country pages and their API, until interrupted."""
    try:
        settings = Settings.from_env()
    except SettingError as error:
        raise _stop(str(error), 2) from None
    host, port = host or settings.serving_host, port or settings.serving_port
    listener = _listen(host, port)
    server = uvicorn.Server(
        uvicorn.Config(
            _application(settings),
            loop="uvloop",
            http="httptools",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    CONSOLE.print(f"serving on http://{host}:{port}")
    # The server has drained by then and passes the signal on.
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _application(settings: Settings) -> FastAPI:
    redis = RedisSource(settings.redis_url, settings.serving_timeout_ms, _now_ms)
    mysql = MysqlSource(
        host=settings.mysql_host,
        port=settings.mysql_port,
        database=settings.mysql_database,
        user=settings.mysql_serving_user,
        password=settings.mysql_serving_password,
        timeout_ms=settings.serving_timeout_ms,
        now=_now_ms,
    )
    return app.build(redis, mysql, _now_ms)


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket listening there; taken ports are told before anything starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _stop(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port", 1
        ) from None
    return listener


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _stop(message: str, code: int) -> typer.Exit:
    CONSOLE.print(message, markup=False)
    return typer.Exit(code)


if __name__ == "__main__":
    CLI(prog_name="python -m serving")
