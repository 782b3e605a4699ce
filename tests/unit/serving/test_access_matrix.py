"""Every role on every route and page, and every way to write its address.

What is expected is written down here, not taken from the routes' policies. A route that is not in TABLE fails
the test: write down who may take it, then declare it so.
"""

import asyncio
import dataclasses
import datetime
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from serving_builders import (
    ELECTRICITY,
    TOKEN_KEY,
    USER_ID,
    InMemoryLive,
    InMemoryTruth,
    Meter,
    OneList,
    a_household,
    a_night,
    an_access,
    instant,
)
from wire_client import Answer, ask

from infra.contracts.durations import DAY_MS
from infra.contracts.live_state import RegionUse
from serving.access.revocation import Revocations
from serving.app import build
from serving.figures.records import Invoice
from serving.figures.regions import RegionMaster

START = instant("2026-06-01T00:00")
NOW = instant("2026-06-04T20:30:05")
NOW_S = NOW // 1000
METER = Meter(START, [100] * 24 * 5)
OTHER_ID = 10_000_043  # exists as well
NOBODY_ID = 10_000_044
NAMES = {USER_ID: "Wilhelmina Ashworth", OTHER_ID: "Bartholomew Quill"}  # in no example and no file

UNPROVEN = ("none", "malformed", "wrong-key", "alg-none", "alg-hs512", "expired", "wrong-audience")
PROVEN = ("own", "other", "analyst", "operator", "device")
CALLERS = (*UNPROVEN, *PROVEN)


@dataclasses.dataclass(frozen=True)
class Row:
    """What each kind of caller is answered; `allowed` is the status of what a route lets through."""

    who: Mapping[str, int | None]  # None: let through
    query: str = ""
    body: bytes = b""
    allowed: int = 200


def row(*statuses: int | None, unproven: int | None = 401) -> dict[str, int | None]:
    return {**dict.fromkeys(UNPROVEN, unproven), **dict(zip(PROVEN, statuses, strict=True))}


EVERYBODY = row(None, None, None, None, None, unproven=None)
LOGGED_IN = row(None, None, None, None, None)
HOUSEHOLD = row(None, 404, 403, None, 403)
COUNTRY = row(403, 403, None, None, 403)
OPERATOR = row(403, 403, 403, None, 403)
PAGE = row(None, None, None, None, 403, unproven=303)

TABLE = {
    "GET /api/v1/households/{user_id}": Row(HOUSEHOLD),
    "GET /api/v1/households/{user_id}/live": Row(HOUSEHOLD),
    "GET /api/v1/households/{user_id}/usage": Row(HOUSEHOLD, query="utility=electricity"),
    "GET /api/v1/households/{user_id}/export": Row(HOUSEHOLD, query="format=csv"),
    "GET /api/v1/households/{user_id}/usage/{utility}/revisions": Row(HOUSEHOLD),
    "GET /api/v1/households/{user_id}/summary": Row(HOUSEHOLD),
    "GET /api/v1/households/{user_id}/invoices": Row(HOUSEHOLD),
    "GET /api/v1/households/{user_id}/invoices/{number}": Row(HOUSEHOLD),
    "GET /api/v1/households/{user_id}/alerts": Row(HOUSEHOLD),
    "GET /api/v1/regions": Row(COUNTRY),
    "GET /api/v1/regions/live": Row(COUNTRY),
    "GET /api/v1/regions/{code}": Row(COUNTRY),
    "GET /api/v1/regions/{code}/usage": Row(COUNTRY, query="utility=electricity"),
    "GET /api/v1/country": Row(COUNTRY),
    "GET /api/v1/country/usage": Row(COUNTRY, query="utility=electricity"),
    "GET /api/v1/country/load": Row(COUNTRY),
    "GET /api/v1/quality": Row(COUNTRY),
    "GET /api/v1/quality/nights": Row(COUNTRY),
    "GET /api/v1/operations": Row(OPERATOR),
    # Kafka is away here.
    "GET /api/v1/operations/dead-letters": Row(OPERATOR, allowed=503),
    "POST /api/v1/operations/dead-letters/replay": Row(
        OPERATOR, body=b'{"place": 1, "topic": "gas", "partition": 0, "offset": 1}', allowed=503
    ),
    "GET /api/v1/session": Row(LOGGED_IN),
    # The token that logs in is the one of the body, whoever asks; here there is none.
    "POST /api/v1/session": Row(EVERYBODY, body=b'{"token": "none"}', allowed=401),
    "DELETE /api/v1/session": Row(EVERYBODY, allowed=204),
    "GET /api/v1/openapi.json": Row(EVERYBODY),
    "GET /healthz": Row(EVERYBODY),
    "GET /readyz": Row(EVERYBODY),
    "GET /metrics": Row(EVERYBODY),
    # A household finds nothing on the country's page and is led to its own.
    "GET /": Row({**PAGE, "own": 303, "other": 303}),
    "GET /household/{user_id}": Row(PAGE),
    "GET /region/{code}": Row(PAGE),
    "GET /quality": Row(PAGE),
    "GET /operations": Row(PAGE),
    "GET /login": Row(EVERYBODY),
    "GET /licences": Row(EVERYBODY),
}
# Files, the same for everybody.
FILES = {"/pages/{version}/{name:path}"}
PARAMETERS = {
    "user_id": str(USER_ID),
    "code": "US-NY",
    "utility": "electricity",
    "number": f"2026-05-{USER_ID}-1",
}

# Ways to write a user's id: by the first it is the same id, by the others it is none.
SAME_IDS = ("%31%30%30%30%30%30%34%32", "1000004%32")
NO_IDS = (
    "010000042",
    "+10000042",
    "%2010000042",
    "10000042%20",
    "10000042%00",
    "10000042%0a",
    "1%0d%0aX:%20y",
    "%EF%BC%91%EF%BC%90%EF%BC%90%EF%BC%90%EF%BC%90%EF%BC%90%EF%BC%94%EF%BC%92",
    "1e7",
    "0x989680",
    "10000042.0",
    "-10000042",
    "10000042;10000043",
    "10000042,10000043",
    "*",
    "me",
    "%2e%2e",
    "%00",
    "null",
    "9" * 400,
)


def token(key: bytes = TOKEN_KEY, algorithm: str | None = "HS256", **changed: Any) -> str:
    """Return a token made by hand, by no code of ours."""
    claims = {
        "iss": "meterbeat",
        "aud": "meterbeat-api",
        "sub": "operator:ada",
        "role": "operator",
        "jti": "a-token-of-tests",
        "iat": NOW_S - 60,
        "exp": NOW_S + 3_600,
    }
    return jwt.encode({**claims, **changed}, key if algorithm != "none" else None, algorithm)


def household_token(user_id: int) -> str:
    return token(sub=f"user:{user_id}", role="household", user_id=user_id)


TOKENS = {
    "malformed": "not.a.token",
    "wrong-key": token(key=b"another key, as long as the one that is the right one"),
    "alg-none": token(algorithm="none"),
    "alg-hs512": token(algorithm="HS512", key=TOKEN_KEY * 2),
    "expired": token(iat=NOW_S - 7_200, exp=NOW_S - 3_600),
    "wrong-audience": token(aud="another-api"),
    "own": household_token(USER_ID),
    "other": household_token(OTHER_ID),
    "analyst": token(sub="analyst:ada", role="analyst"),
    "operator": token(),
    "device": token(sub="device:d-1", role="device"),
}


def bearer(caller: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[caller]}"} if caller in TOKENS else {}


def cookie(caller: str) -> dict[str, str]:
    kept = {"Cookie": f"theme=dark; meterbeat_session={TOKENS[caller]}"} if caller in TOKENS else {}
    return {**kept, "Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def app(loop: asyncio.AbstractEventLoop) -> Iterator[FastAPI]:
    """The application with two households, started once."""
    use = RegionUse(NOW - 4_000, 9_000, 20, 1, 21)
    ids = (USER_ID, OTHER_ID)
    live = InMemoryLive({user: METER.live(NOW - 5_000) for user in ids}, {"US-NY": {ELECTRICITY: use}})
    truth = InMemoryTruth(
        {user: a_household()._replace(name=NAMES[user]) for user in ids},
        {user: METER.truth(START + DAY_MS, START + 2 * DAY_MS) for user in ids},
        {"US-NY": RegionMaster("New York", "America/New_York")},
    )
    issued = (1, None, "America/New_York", "USD", 8_412, NOW - DAY_MS, NOW - DAY_MS, True)
    truth.bills = [(Invoice(PARAMETERS["number"], "invoice", datetime.date(2026, 5, 1), *issued), [])]
    truth.published = [a_night(datetime.date(2026, 6, 3))]
    app = build(live, truth, an_access(lambda: NOW), lambda: NOW)
    # Whoever logs out takes back a token that other rows ask with: tests/unit/serving/test_revocation.py.
    kept = Revocations(OneList(), lambda: NOW)
    app.state.access = dataclasses.replace(app.state.access, revocations=kept)
    lifespan = app.router.lifespan_context(app)
    loop.run_until_complete(lifespan.__aenter__())
    yield app
    loop.run_until_complete(lifespan.__aexit__(None, None, None))


@pytest.fixture
def asked(app: FastAPI, loop: asyncio.AbstractEventLoop) -> Any:
    def asked(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        return loop.run_until_complete(ask(app, method, target, headers, body))

    return asked


def target(template: str, row: Row, **named: str) -> str:
    path = template.format(**{**PARAMETERS, **named})
    return f"{path}?{row.query}" if row.query else path


def expected(row: Row, caller: str) -> int:
    status = row.who[caller]
    return row.allowed if status is None else status


def tells_of(answer: Answer, caller: str) -> set[str]:
    """Return the households that an answer names beside the caller's own."""
    own = {"own": USER_ID, "other": OTHER_ID}.get(caller)
    named = {name for user, name in NAMES.items() if name in answer.body and user != own}
    return set() if caller == "operator" else named


ROUTES = [pytest.param(*route.split(" ", 1), row, id=route) for route, row in TABLE.items()]
OF_A_USER = [one for one in ROUTES if one.values[2].who == HOUSEHOLD]  # type: ignore[union-attr]


class TestTheTable:
    def test_has_every_route_of_the_application(self, app: FastAPI) -> None:
        found = {
            f"{method} {route.path}"
            for route in iter_route_contexts(app.routes)
            if route.path not in FILES
            for method in route.methods or ("ANY",)
        }

        assert found == set(TABLE), "write down in TABLE who may take it"

    def test_has_every_route_of_the_openapi_document(self, app: FastAPI) -> None:
        documented = {
            f"{method.upper()} {path}"
            for path, methods in app.openapi()["paths"].items()
            for method in methods
        }

        assert documented <= set(TABLE)
        assert {route for route in TABLE if route.split()[1].startswith("/api/v1/households")} <= documented


@pytest.mark.parametrize(("method", "path", "row"), ROUTES)
class TestEveryRole:
    @pytest.mark.parametrize("caller", CALLERS)
    @pytest.mark.parametrize("carried", [bearer, cookie])
    def test_is_answered_as_written_down(
        self, asked: Any, method: str, path: str, row: Row, caller: str, carried: Any
    ) -> None:
        headers = {"Content-Type": "application/json", **carried(caller)}

        answer = asked(method, target(path, row), headers, row.body)

        assert answer.status == expected(row, caller), answer.body
        assert not tells_of(answer, caller)
        assert answer.headers["content-security-policy"]
        if answer.status == 401 and row.who["none"]:
            assert answer.headers["www-authenticate"].startswith("Bearer")
        if answer.status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["cache-control"] == "no-store"
        elif row.who["none"] is not None and answer.status == 200:
            assert {"no-store", "private"} & set(answer.headers["cache-control"].split(", "))
            assert {"authorization", "cookie"} <= set(answer.headers["vary"].lower().split(", "))

    @pytest.mark.parametrize(
        "other", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "FOO"]
    )
    def test_takes_no_other_method(self, asked: Any, method: str, path: str, row: Row, other: str) -> None:
        if f"{other} {path}" in TABLE:
            return
        for caller in CALLERS:
            answer = asked(other, target(path, row), bearer(caller), row.body)

            # What is no method of HTTP the server refuses itself.
            assert answer.status == (400 if other in ("get", "FOO") else 405), (caller, answer)
            assert not tells_of(answer, caller)

    def test_takes_no_other_spelling_of_its_address(
        self, asked: Any, method: str, path: str, row: Row
    ) -> None:
        plain = path.format(**PARAMETERS)
        spellings = {
            f"{plain}/",
            f"/{plain}",
            f"{plain}//",
            plain.replace("/", "//"),
            plain.upper(),
            plain.title(),
            f"{plain}/.",
            f"{plain}/..",
            f"/.{plain}",
            f"/x/..{plain}",
            f"{plain}%2f",
            f"{plain}%5c",
            f"{plain};",
            f"{plain}%00",
            f"{plain}.json",
            f"{plain}%20",
            plain.replace("/", "\\"),
            "/" + plain[1:].replace("/", "\\"),
            f"{plain}%3Fx=1",
        } - {plain, "/household/10000042"}
        if path == "/":
            spellings -= {"/."}
        for spelling, caller in itertools.product(sorted(spellings), CALLERS):
            answer = asked(method, spelling, bearer(caller), row.body)

            # A page reads its own address: one that is none is told by its script, which holds no data.
            page = "{" in path and row.who is PAGE and answer.status in (200, 303)
            # What does not begin like an address the server refuses itself.
            refused = (401, 403, 404, 405, 422) if spelling.startswith("/") else (400,)
            assert answer.status in refused or page, (spelling, caller, answer)
            assert not tells_of(answer, caller)


@pytest.mark.parametrize(("method", "path", "row"), OF_A_USER)
class TestAUser:
    @pytest.mark.parametrize("spelling", SAME_IDS)
    def test_is_the_same_however_its_id_is_encoded(
        self, asked: Any, method: str, path: str, row: Row, spelling: str
    ) -> None:
        for caller in CALLERS:
            answer = asked(method, target(path, row, user_id=spelling), bearer(caller), row.body)

            assert answer.status == expected(row, caller), caller

    @pytest.mark.parametrize("spelling", NO_IDS)
    def test_is_nobody_by_what_is_no_id(
        self, asked: Any, method: str, path: str, row: Row, spelling: str
    ) -> None:
        for caller in CALLERS:
            answer = asked(method, target(path, row, user_id=spelling), bearer(caller), row.body)

            refused = expected(row, caller) if expected(row, caller) in (401, 403) else 422
            assert answer.status == refused, (caller, answer)
            assert not tells_of(answer, caller)

    def test_of_another_and_one_who_does_not_exist_are_told_apart_by_nothing(
        self, asked: Any, method: str, path: str, row: Row
    ) -> None:
        others = asked(method, target(path, row, user_id=str(OTHER_ID)), bearer("own"), row.body)
        nobody = asked(method, target(path, row, user_id=str(NOBODY_ID)), bearer("own"), row.body)

        assert others.status == nobody.status == 404
        assert others.headers == nobody.headers
        assert others.body.replace(str(OTHER_ID), str(NOBODY_ID)) == nobody.body

    def test_is_unknown_to_an_operator_as_well(self, asked: Any, method: str, path: str, row: Row) -> None:
        nobody = asked(method, target(path, row, user_id=str(NOBODY_ID)), bearer("operator"), row.body)

        assert nobody.status == 404

    def test_of_another_is_not_had_by_its_tag(self, asked: Any, method: str, path: str, row: Row) -> None:
        first = asked(method, target(path, row), bearer("own"))
        for tag in (first.headers.get("etag", '"x"'), "*"):
            conditional = {"If-None-Match": tag, **bearer("other")}

            assert asked(method, target(path, row), conditional).status == 404


class TestTwoTokens:
    def test_in_one_request_are_that_of_the_header(self, asked: Any) -> None:
        path = f"/api/v1/households/{USER_ID}"

        assert asked("GET", path, {**cookie("own"), **bearer("other")}).status == 404
        assert asked("GET", path, {**cookie("other"), **bearer("own")}).status == 200
        assert asked("GET", path, {**cookie("own"), "Authorization": "Basic YWRhOm1pbGxlcg=="}).status == 401
        assert asked("GET", path, {**cookie("own"), "Authorization": "Bearer"}).status == 401

    @pytest.mark.parametrize("name", ["token", "access_token", "meterbeat_session", "Authorization"])
    def test_of_an_address_are_not_read(self, asked: Any, name: str) -> None:
        target = f"/api/v1/households/{USER_ID}?{name}={TOKENS['own']}"

        assert asked("GET", target, {}).status == 401


class TestFiles:
    @pytest.mark.parametrize(
        "path", ["/pages/any/style.css", "/pages/any/public/login.js", "/pages/any/licences.json"]
    )
    def test_are_for_everybody(self, asked: Any, path: str) -> None:
        answer = asked("GET", path, {})

        assert answer.status == 200
        assert answer.headers["cache-control"] == "no-cache"

    @pytest.mark.parametrize(
        "path",
        [
            "/pages/any/../app.py",
            "/pages/any/%2e%2e/app.py",
            "/pages/any/..%2fapp.py",
            "/pages/any//etc/passwd",
            "/pages/any/",
            "/pages/any/%2e%2e%2f%2e%2e%2fpyproject.toml",
            "/pages/any/..%5capp.py",
            "/pages/any/style.css%00",
            "/pages/any/shell.html",
            "/pages/any",
            "/pages/style.css",
            "/pages",
            "/pages/any/vendor/../pyproject.toml",
            "/pages/any/vendor/",
            "/pages/any/vendor//etc/passwd",
        ],
    )
    def test_are_only_those_of_the_pages(self, asked: Any, path: str) -> None:
        assert asked("GET", path, {}).status == 404
