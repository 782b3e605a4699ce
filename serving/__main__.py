"""python -m serving serve | live | token: the only place here that knows settings, clock and network."""

import asyncio
import contextlib
import json
import os
import pathlib
import socket
import sys
import time
from typing import Annotated, Any

import typer
from rich.console import Console

from infra.addresses import redacted
from infra.contracts.durations import HOUR_S
from infra.settings import SettingError, Settings, listed
from serving import app
from serving.access import keys
from serving.access.identity import Role, owned_by_this_machine
from serving.access.limits import limits
from serving.access.refusal import Refusal
from serving.access.revocation import Revocations, RevocationsAway, Revoked
from serving.access.session import LOGIN, Access
from serving.access.tokens import LIFETIME_S, LIFETIME_S_MAX, TOKEN_ID, Tokens
from serving.stores.kafka_source import KafkaSource
from serving.stores.mysql_source import MysqlSource
from serving.stores.redis_source import RedisSource
from serving.stores.sources import StoreAway
from serving.stores.stream_metrics_source import StreamMetricsSource
from serving.web.drain import Drain
from serving.web.server import Server, unix_listener

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
        state = await source.live_state(owned_by_this_machine(user_id))
        meters = state.meters.items() if state else ()
        answers[user_id] = {
            utility.value: {**meter._asdict(), "marks": meter.marks_by_hour()} for utility, meter in meters
        }
    await source.close()
    return answers


@CLI.command()
def token(
    user: Annotated[int | None, typer.Option(help="A household's token: of which user.")] = None,
    role: Annotated[Role | None, typer.Option(help="A token of another role.")] = None,
    name: Annotated[str | None, typer.Option(help="Whose it is, with --role; else one by chance.")] = None,
    hours: Annotated[
        int, typer.Option(min=1, max=LIFETIME_S_MAX // HOUR_S, help="How long it is valid.")
    ] = LIFETIME_S // HOUR_S,
    each: Annotated[
        bool, typer.Option("--each", help="JSON list of users on standard input, tokens by user out.")
    ] = False,
    revoke: Annotated[
        str | None, typer.Option(help="Take a token back instead: the token itself, or its id.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
) -> None:
    """Issue a token and the link that logs in with it: `--user N` or `--role analyst`; or take one back."""
    settings = _settings()
    tokens = _tokens(settings)
    if revoke is not None:
        _take_back(settings, tokens, revoke)
        return
    role = role or (Role.HOUSEHOLD if user or each else None)
    if role is None:
        raise _stop("whose token: give --user N, or --role analyst, operator or device", 2)
    try:
        if each:
            users = [int(user_id) for user_id in json.load(sys.stdin)]
            print(json.dumps({user_id: tokens.issue(role, user_id, hours * HOUR_S) for user_id in users}))
            return
        issued = tokens.issue(role, user, hours * HOUR_S, name)
    except ValueError as error:
        raise _stop(str(error), 2) from None
    link = f"{settings.serving_url}{LOGIN}#token={issued}"
    if as_json:
        known = tokens.check(issued)
        told = {"token": issued, "link": link, "role": role, "expires_at": known.expires_at}
        print(json.dumps({**told, "id": known.token_id}))
        return
    print(issued)
    CONSOLE.print(f"log in: {link}", markup=False)


def _take_back(settings: Settings, tokens: Tokens, named: str) -> None:
    try:
        revoked = _named(tokens, named)
    except Refusal as refusal:
        raise _stop(f"cannot take that token back: {refusal.detail}", 2) from None
    source = RedisSource(settings.redis_url, settings.serving_timeout_ms, _now_ms)

    async def told() -> None:
        try:
            await source.revoke([revoked])
        finally:
            await source.close()

    try:
        asyncio.run(told())
    except RevocationsAway:
        raise _stop(
            f"redis at {redacted(settings.redis_url)} does not answer, so that nobody was told; "
            "start it with `meterbeat up` and try again",
            1,
        ) from None
    CONSOLE.print(f"taken back: {revoked.token_id}; every process knows within 2 s", markup=False)


def _named(tokens: Tokens, named: str) -> Revoked:
    """Return the token that is named by itself or by its id.

    :raises Refusal: where it is neither.
    """
    if not TOKEN_ID.fullmatch(named):
        known = tokens.check(named)
        return Revoked(known.token_id, known.expires_at)
    # When it ends only the token itself tells: not later than any.
    return Revoked(named, _now_ms() // 1000 + LIFETIME_S_MAX)


@CLI.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; else the setting.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; else the setting.")] = None,
    balancer_socket: Annotated[
        pathlib.Path | None, typer.Option("--socket", help="Listen there too, for a load balancer alone.")
    ] = None,
    core: Annotated[
        int | None, typer.Option(help="Keep the event loop to this core; else it runs where there is room.")
    ] = None,
) -> None:
    """Serve the household and country pages and their API, until interrupted.

    SIGTERM drains first: /readyz says so, and requests are served on for a while.
    """
    if core is not None and core not in (cores := os.sched_getaffinity(0)):
        raise typer.BadParameter(f"{core}: this process may use {sorted(cores)}", param_hint="--core")
    settings = _settings()
    host, port = host or settings.serving_host, port or settings.serving_port
    listeners = [_listen(host, port)]
    if balancer_socket:
        listeners.append(unix_listener(balancer_socket))
    drain = Drain()
    application = _application(settings, drain)
    server = Server(
        application,
        application.short_way,
        drain,
        settings.serving_drain_s,
        settings.serving_forwarded_by,
        core,
    )
    CONSOLE.print(f"serving on http://{host}:{port}")
    # The server has drained by then and passes the signal on.
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=listeners)


def _settings() -> Settings:
    try:
        return Settings.from_env()
    except SettingError as error:
        raise _stop(str(error), 2) from None


def _application(settings: Settings, drain: Drain) -> app.Application:
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
    spending = limits(
        redis, settings.serving_rate_limit_per_minute, settings.serving_attempt_limit_per_minute, _now_ms
    )
    revocations = Revocations(redis, _now_ms)
    access = Access(_tokens(settings), spending, revocations, settings.serving_cookie_secure)
    urls = listed(settings.serving_stream_metrics_urls)
    stream = StreamMetricsSource(urls, settings.serving_timeout_ms)
    letters = KafkaSource(settings.kafka_bootstrap, _now_ms)
    return app.build(redis, mysql, access, _now_ms, drain, stream, letters)


def _tokens(settings: Settings) -> Tokens:
    try:
        return Tokens(keys.load_or_make(settings.serving_token_keys), _now_ms)
    except (keys.KeysUnusable, OSError) as error:
        raise _stop(str(error), 1) from None


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
