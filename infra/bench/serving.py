"""How fast the API answers for households, uniformly random ones, while the stream folds beside it.

Every user has live state in Redis and, but for those whose meters beat during the run, two published nights
in MySQL (infra/bench/serving_truth.py). Serving runs as it is used: processes behind the balancer, tokens of
each user's own. The client is a process of its own (infra/bench/client.py) on the same cores; its CPU is
told.
"""

import dataclasses
import datetime
import json
import random
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from infra.bench.client import ANSWER_S_MAX
from infra.bench.fleet import BEATS_A_S, users_for
from infra.bench.ground import STREAM, Ground
from infra.bench.latencies import highest, next_rate
from infra.bench.processes import used
from infra.bench.progress import Progress, Report
from infra.bench.serving_truth import HOURS_BETWEEN, publish
from infra.contracts.heartbeat import USER_ID_MIN
from infra.haproxy import server as haproxy
from infra.process import recorded_pid
from infra.rooms import RoomError

SERVICES = (*STREAM, "mysql")
USERS = 1_000_000
RPS = 1_000
SECONDS = 60.0
BEATS_PER_S = 50_000
WARM_UP_S = 15.0
STREAM_WARM_UP_S = 180.0
STATUS_EVERY_S = 5  # each asks Flink, Kafka and their metrics, on the very cores
LAG_S_SETTLED, CATCH_UP_S_MAX = 8.0, 180.0
P99_MS_MAX = 20.0
# The search for the highest rate: each try is short, and there are few.
TRY_S = 15.0
TRIES_MAX = 8
GROWTH, STEP = 1.5, 100
CONNECTIONS_MAX = 200
ASKED_USERS_MAX = 200_000  # each needs a token
START_S_MAX = 120
# Of a thousand requests: what people do besides looking at now.
SHARES = {"household": 990, "usage by day": 6, "usage by hour": 2, "country": 2}
PATHS = {
    "household": "/api/v1/households/{user}",
    "usage by day": "/api/v1/households/{user}/usage?utility=electricity&by=day",
    "usage by hour": "/api/v1/households/{user}/usage?utility=electricity&by=hour",
    "country": "/api/v1/country",
}
CHANGES = {
    "serving_rate_limit_per_minute": 10_000_000,
    "serving_attempt_limit_per_minute": 10_000_000,
}


@dataclasses.dataclass(frozen=True)
class Load:
    """What is asked, and what the stream does meanwhile."""

    seed: int
    users: int
    rps: int
    seconds: float
    beats_per_s: int
    search: bool

    @property
    def beating(self) -> int:
        """How many users' meters beat during the run; they come first."""
        return min(users_for(self.beats_per_s), self.users) if self.beats_per_s else 0


def run(ground: Ground, load: Load, now: datetime.datetime) -> dict[str, Any]:
    """Fill both stores, start everything, ask, and return the figures.

    :raises RoomError: if a step fails.
    """
    rows = _fill(ground, load, now)
    processes = _serve(ground)
    if rows:
        _check(ground, USER_ID_MIN + load.users - 1)
    plan = _plan(ground, load)
    with Progress(ground.settings, ground.meter.watch, STATUS_EVERY_S) as progress:
        if load.beats_per_s:
            _beat(ground, load, progress)
        ground.say(f"warming up for {WARM_UP_S:g} s")
        _ask(ground, plan, load.rps, WARM_UP_S)
        ground.say(f"asking for {load.seconds:g} s, {load.rps:,} times a second")
        before, told, began_s = ground.meter.cpu_s(), len(progress.reports), time.monotonic()
        figures = _ask(ground, plan, load.rps, load.seconds)
        took_s, spent = time.monotonic() - began_s, used(before, ground.meter.cpu_s())
        reports = progress.reports[max(0, told - 1) :]
        tried = list(_search(ground, plan, load, figures, progress)) if load.search else []
    return {
        "users": load.users,
        "users_beating": load.beating,
        "rows_published": rows,
        "serving_processes": processes,
        "stream_heartbeats_per_s": _folded_a_s(reports),
        "stream_lag_s_end": reports[-1].lag_s if reports else None,
        "shares_per_1000": SHARES,
        "tokens": "each household's own; an analyst's for the country",
        **figures,
        "rps_at_p99_20_ms": highest([(one["rps"], _held(one)) for one in tried]) if tried else None,
        "search": [
            {name: one[name] for name in ("rps", "p50_ms", "p99_ms", "errors", "client_late_ms_max")}
            for one in tried
        ],
        "cpu_s": spent,
        "cpu_share": {group: round(s / took_s, 3) for group, s in spent.items()},
    }


def _fill(ground: Ground, load: Load, now: datetime.datetime) -> int:
    """Give every user live state, and those whose meters do not beat two nights; return the nights' rows."""
    still = load.users - load.beating
    if not still:
        return 0
    # Live state begins a day ago, as it does until the night that has just ended is expired from it.
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since, hours = today - datetime.timedelta(days=1), 24 + now.hour
    ground.say(f"loading live state of {still:,} users")
    options = ["--users", str(still), "--first", str(load.beating), "--last-hour", str(hours)]
    options += ["--hours-between", str(HOURS_BETWEEN)]
    since_ms = str(round(since.timestamp() * 1_000))
    ground.ask("loader", "stream", "load", *options, "--since-ms", since_ms, "--json")
    ground.say(f"publishing two nights of {still:,} users")
    nights = [since.date() - datetime.timedelta(days=1), since.date()]
    return publish(ground.settings, load.beating, still, nights, since.date())


def _serve(ground: Ground) -> int:
    """Start serving as it is used; return how many processes there are."""
    ground.say(f"starting {ground.settings.serving_processes} serving processes behind the balancer")
    command = ground.start("supervisor", "infra", "serve")
    deadline = time.monotonic() + START_S_MAX
    while "UP" not in (states := haproxy.states(ground.settings)).values() or "DOWN" in states.values():
        if command.ended() or time.monotonic() > deadline:
            raise RoomError("serving does not start; see serving-1/service.log with --keep")
        time.sleep(0.2)
    for path in ground.settings.home.glob("*/service.pid"):
        name = path.parent.name
        if name == "haproxy" or name.startswith("serving-"):
            ground.meter.watch("balancer" if name == "haproxy" else "serving", recorded_pid(path) or 0)
    return len(states)


def _check(ground: Ground, user_id: int) -> None:
    """Hold the filled stores to each other: what does not fit is answered by other ways than people's.

    :raises RoomError: if a day of a user is not known whole.
    """
    token = ground.ask("tokens", "serving", "token", "--user", str(user_id), "--json")["token"]
    path = PATHS["household"].format(user=user_id)
    asked = urllib.request.Request(
        f"{ground.settings.serving_url}{path}", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(asked, timeout=ANSWER_S_MAX) as answer:
        utilities = json.load(answer)["utilities"]
    gaps = [note for use in utilities.values() if not use["yesterday"]["complete"] for note in use["notes"]]
    if gaps:
        raise RoomError(f"the bench filled its stores wrongly: yesterday of user {user_id} has gaps, {gaps}")


def _plan(ground: Ground, load: Load) -> list[list[str]]:
    """Return the requests, of users drawn evenly from all."""
    some = random.Random(load.seed)  # noqa: S311 - which users are asked is no secret
    wanted = round(load.rps * (load.seconds + WARM_UP_S)) + 1
    users = some.sample(range(load.users), min(ASKED_USERS_MAX, wanted, load.users))
    asked = [USER_ID_MIN + number for number in users]
    ground.say(f"making tokens of {len(asked):,} users")
    path = ground.settings.home / "users.json"
    path.write_text(json.dumps(asked))
    tokens = ground.ask_with(path, "tokens", "serving", "token", "--each")
    analyst = ground.ask("tokens", "serving", "token", "--role", "analyst", "--json")["token"]
    routes = some.choices(list(SHARES), list(SHARES.values()), k=len(asked))
    return [
        [route, PATHS[route].format(user=user), analyst if route == "country" else tokens[str(user)]]
        for user, route in zip(asked, routes, strict=True)
    ]


def _beat(ground: Ground, load: Load, progress: Progress) -> None:
    """Start the stream and the meters, and wait until both have found their pace."""
    ground.say(f"starting the stream, and {load.beating * BEATS_A_S:,.0f} heartbeats a second")
    ground.start_stream()
    fleet = ("--users", str(load.beating), "--seed", str(load.seed))
    ground.start("simulator", "simulator", "run", *fleet, "--rate", "real-time", "--from", "now", "--json")
    progress.wait(_visible, START_S_MAX, "shown the first heartbeats")
    # Its first minutes compile, and so does its first archive file after two of them: what that costs, it
    # costs no more. The next file falls into the minute that is measured.
    time.sleep(STREAM_WARM_UP_S)
    progress.wait(_caught_up, CATCH_UP_S_MAX, "caught up")


def _visible(report: Report) -> bool:
    return bool(report.made_visible)


def _caught_up(report: Report) -> bool:
    return report.lag_s is not None and report.lag_s <= LAG_S_SETTLED


def _folded_a_s(reports: list[Report]) -> int:
    """Return how many heartbeats the stream folded a second, from the first report to the last."""
    if len(reports) < 2:
        return 0
    first, last = reports[0], reports[-1]
    return round(((last.made_visible or 0) - (first.made_visible or 0)) / (last.at_s - first.at_s))


def _ask(ground: Ground, plan: list[list[str]], rps: int, seconds: float) -> dict[str, Any]:
    path = ground.settings.home / "plan.json"
    told = {"url": ground.settings.serving_url, "rps": rps, "seconds": seconds}
    path.write_text(json.dumps(told | {"connections_max": CONNECTIONS_MAX, "requests": plan}))
    figures: dict[str, Any] = ground.ask("client", "infra.bench.client", str(path))
    return figures


def _search(
    ground: Ground, plan: list[list[str]], load: Load, first: dict[str, Any], progress: Progress
) -> Iterator[dict[str, Any]]:
    """Yield what was found at each rate that was tried, the run itself first.

    What the stream could not fold during a try that was too much it does before the next one.
    """
    yield first
    tried = [(load.rps, _held(first))]
    for _ in range(TRIES_MAX):
        rate = next_rate(tried, GROWTH, STEP)
        if rate is None:
            return
        if load.beats_per_s:
            progress.wait(_caught_up, CATCH_UP_S_MAX, "caught up after a try")
        ground.say(f"trying {rate:,} a second")
        found = _ask(ground, plan, rate, TRY_S)
        tried.append((rate, _held(found)))
        yield found


def _held(figures: dict[str, Any]) -> bool:
    return not figures["errors"] and figures["p99_ms"] is not None and figures["p99_ms"] <= P99_MS_MAX
