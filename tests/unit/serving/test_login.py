"""Logging in and out, where one is led, and what other sites' pages can make a browser do."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from serving_builders import USER_ID, InMemoryLive, InMemoryTruth, an_access, instant, logged_in
from wire_client import Answer, ask

from serving.access.identity import Role
from serving.access.origin import sent_from_elsewhere
from serving.access.session import COOKIE
from serving.app import BODY_BYTES_MAX, build

NOW = instant("2026-06-04T20:30:05")
SESSION = "/api/v1/session"
JSON = {"Content-Type": "application/json"}
Asked = Callable[..., Answer]


def application(**options: Any) -> FastAPI:
    return build(InMemoryLive(), InMemoryTruth(), an_access(lambda: NOW, **options), lambda: NOW)


@pytest.fixture
def asking() -> Iterator[Callable[..., Asked]]:
    """Return what asks an application of its own with some options."""
    loop = asyncio.new_event_loop()

    def of(**options: Any) -> Asked:
        app = application(**options)

        def asked(
            method: str,
            target: str,
            headers: Mapping[str, str] | None = None,
            body: Any = b"",
            client: str = "192.0.2.1",
        ) -> Answer:
            sent = body if isinstance(body, bytes) else json.dumps(body).encode()
            return loop.run_until_complete(ask(app, method, target, headers, sent, client))

        return asked

    yield of
    loop.close()


@pytest.fixture
def asked(asking: Callable[..., Asked]) -> Asked:
    return asking()


def token(role: Role = Role.HOUSEHOLD, user_id: int | None = USER_ID) -> str:
    return logged_in(NOW, role, user_id)["Authorization"].removeprefix("Bearer ")


def kind(answer: Answer) -> str:
    return str(json.loads(answer.body)["type"]).removeprefix("urn:meterbeat:problem:")


class TestLoggingIn:
    def test_leaves_the_token_where_no_script_and_no_other_site_reaches_it(self, asked: Asked) -> None:
        answer = asked("POST", SESSION, JSON, {"token": token()})

        assert answer.status == 200
        value, *attributes = answer.headers["set-cookie"].split("; ")
        assert value == f"{COOKIE}={token_of(answer)}"
        assert {one.lower() for one in attributes} == {
            "httponly",
            "samesite=strict",
            "path=/",
            "max-age=86400",
        }
        assert json.loads(answer.body) == {
            "subject": f"user:{USER_ID}",
            "role": "household",
            "user_id": USER_ID,
            "expires_at": "2026-06-05T20:30:05.000Z",
            "home": f"/household/{USER_ID}",
            "go": f"/household/{USER_ID}",
        }
        assert answer.headers["cache-control"] == "no-store"

    def test_by_https_keeps_the_cookie_to_it(self, asking: Callable[..., Asked]) -> None:
        answer = asking(secure=True)("POST", SESSION, JSON, {"token": token()})

        assert "Secure" in answer.headers["set-cookie"].split("; ")
        assert answer.headers["strict-transport-security"].startswith("max-age=")

    def test_by_https_is_not_by_a_cookie_that_another_host_of_our_domain_left(
        self, asking: Callable[..., Asked]
    ) -> None:
        asked = asking(secure=True)
        kept = asked("POST", SESSION, JSON, {"token": token()}).headers["set-cookie"].split(";")[0]

        assert kept.startswith("__Host-")
        assert asked("GET", SESSION, {"Cookie": kept}).status == 200
        assert asked("GET", SESSION, {"Cookie": kept.removeprefix("__Host-")}).status == 401

    def test_by_http_promises_nothing_of_https(self, asked: Asked) -> None:
        assert "strict-transport-security" not in asked("GET", "/login").headers

    def test_then_asking_with_the_cookie_tells_who_it_is(self, asked: Asked) -> None:
        cookie = asked("POST", SESSION, JSON, {"token": token()}).headers["set-cookie"].split(";")[0]

        answer = asked("GET", SESSION, {"Cookie": cookie})

        assert json.loads(answer.body)["user_id"] == USER_ID

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"token": "not.a.token"}, 401),
            ({"token": ""}, 422),
            ({"token": "x" * 5_000}, 422),
            ({"token": 7}, 422),
            ({"token": None}, 422),
            ({}, 422),
            ([], 422),
            ({"token": "\ud800"}, 422),
            ({"token": "x", "more": 1}, 422),
            (b"{", 422),
            (b"\xff\xfe", 422),
            (b"", 422),
        ],
    )
    def test_with_what_is_no_token_is_refused(self, asked: Asked, body: Any, status: int) -> None:
        answer = asked("POST", SESSION, JSON, body)

        assert answer.status == status
        assert "set-cookie" not in answer.headers

    def test_repeats_no_token_in_its_refusal(self, asked: Asked) -> None:
        secret = token()[:-1] + "~"

        for body in (
            {"token": secret},
            {"token": secret * 20},
            {"token": [secret]},
            {"token": secret, "x": 1},
        ):
            assert secret not in asked("POST", SESSION, JSON, body).body

    def test_is_not_for_a_device_which_has_no_page(self, asked: Asked) -> None:
        answer = asked("POST", SESSION, JSON, {"token": token(Role.DEVICE, None)})

        assert (answer.status, kind(answer)) == (403, "role-not-allowed")
        assert "set-cookie" not in answer.headers

    def test_is_counted_by_address(self, asking: Callable[..., Asked]) -> None:
        asked = asking(attempts=10)
        body = {"token": "not.a.token"}

        statuses = [asked("POST", SESSION, JSON, body).status for _ in range(15)]
        refused = asked("POST", SESSION, JSON, body)

        assert statuses == [401] * 11 + [429] * 4
        assert int(refused.headers["retry-after"]) >= 1
        assert asked("POST", SESSION, JSON, body, client="192.0.2.2").status == 401

    def test_that_fails_too_often_does_not_shut_out_who_has_a_token(
        self, asking: Callable[..., Asked]
    ) -> None:
        asked = asking(attempts=10)
        bad = {"Authorization": "Bearer not.a.token"}

        assert [asked("GET", SESSION, bad).status for _ in range(12)][-1] == 429
        assert asked("GET", SESSION, logged_in(NOW)).status == 200


class TestLoggingOut:
    def test_takes_the_cookie_back(self, asked: Asked) -> None:
        headers = {"Cookie": f"{COOKIE}={token()}", "Sec-Fetch-Site": "same-origin"}

        answer = asked("DELETE", SESSION, headers)

        assert answer.status == 204
        assert answer.headers["set-cookie"].startswith(f'{COOKIE}=""; ')
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert answer.headers["clear-site-data"] == '"cache"'


class TestOtherSites:
    @pytest.mark.parametrize(
        ("headers", "let_through"),
        [
            ({"sec-fetch-site": "same-origin"}, True),
            ({"sec-fetch-site": "same-origin", "origin": "https://elsewhere.example"}, True),
            ({"sec-fetch-site": "same-site"}, False),
            ({"sec-fetch-site": "cross-site", "origin": "http://test"}, False),
            ({"sec-fetch-site": "none"}, False),
            ({"origin": "http://test"}, True),
            ({"origin": "https://test"}, True),
            ({"origin": "http://test:8080"}, False),
            ({"origin": "http://test.elsewhere.example"}, False),
            ({"origin": "http://elsewhere.example/test"}, False),
            ({"origin": "http://test@elsewhere.example"}, False),
            ({"origin": "null"}, False),
            ({"origin": ""}, False),
            ({}, False),
        ],
    )
    def test_change_nothing_by_a_browsers_cookie(
        self, asked: Asked, headers: dict[str, str], let_through: bool
    ) -> None:
        answer = asked("DELETE", SESSION, {"Cookie": f"{COOKIE}={token()}", **headers})

        assert answer.status == (204 if let_through else 403)
        assert let_through or kind(answer) == "cross-site"

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_log_nobody_in(self, asked: Asked, site: str) -> None:
        answer = asked("POST", SESSION, {**JSON, "Sec-Fetch-Site": site}, {"token": token()})

        assert (answer.status, kind(answer)) == (403, "cross-site")
        assert "set-cookie" not in answer.headers

    def test_post_no_form(self, asked: Asked) -> None:
        for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = asked("POST", SESSION, {"Content-Type": media}, {"token": token()})

            assert answer.status == 422
            assert "set-cookie" not in answer.headers

    def test_are_told_nothing_by_headers(self, asked: Asked) -> None:
        answer = asked("GET", SESSION, {"Origin": "https://elsewhere.example", **logged_in(NOW)})

        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"

    @given(st.sampled_from(["GET", "HEAD", "OPTIONS"]), st.dictionaries(st.text(), st.text()), st.booleans())
    def test_may_be_come_from_to_read(self, method: str, headers: dict[str, str], by_cookie: bool) -> None:
        assert not sent_from_elsewhere(method, headers, by_cookie=by_cookie)


class TestPages:
    @pytest.mark.parametrize(
        ("target", "place"),
        [
            ("/", "/login?next=/"),
            (f"/household/{USER_ID}", f"/login?next=/household/{USER_ID}"),
            (f"/household/{USER_ID}?units=us", f"/login?next=/household/{USER_ID}%3Funits%3Dus"),
            ("/?x=%0d%0aSet-Cookie:%20a=b", "/login?next=/%3Fx%3D%250d%250aSet-Cookie%3A%2520a%3Db"),
            ("/?next=//elsewhere.example", "/login?next=/"),
            ("/household/%2f%2felsewhere.example", "/login"),
            ("/household/%0d%0aLocation:%20https:", "/login"),
        ],
    )
    def test_lead_who_is_not_logged_in_to_the_login_and_back(
        self, asked: Asked, target: str, place: str
    ) -> None:
        answer = asked("GET", target)

        assert answer.status in (303, 404)
        if answer.status == 303:
            assert answer.headers["location"] == place
            assert answer.headers["cache-control"] == "no-store"

    def test_begin_with_a_households_own(self, asked: Asked) -> None:
        answer = asked("GET", "/", logged_in(NOW, Role.HOUSEHOLD, USER_ID))

        assert (answer.status, answer.headers["location"]) == (303, f"/household/{USER_ID}")
        assert answer.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("host", ["elsewhere.example", "a/b", "a?b", "a#b", "a@b", "//", ""])
    def test_lead_nowhere_else_by_the_host_that_is_said(self, asked: Asked, host: str) -> None:
        answer = asked("GET", "/quality", {"Host": host})

        assert (answer.status, answer.headers["location"]) == (303, "/login?next=/quality")

    def test_are_kept_by_nobody_but_their_reader(self, asked: Asked) -> None:
        answer = asked("GET", "/", logged_in(NOW))

        assert answer.status == 200
        assert "private" in answer.headers["cache-control"]

    def test_are_no_place_to_try_tokens_without_end(self, asking: Callable[..., Asked]) -> None:
        asked = asking(attempts=10)

        assert [asked("GET", "/", {"Cookie": f"{COOKIE}=x"}).status for _ in range(20)][-1] == 429


class TestBounds:
    def test_of_a_body_hold_whoever_sends_it(self, asked: Asked) -> None:
        body = {"token": "x" * BODY_BYTES_MAX}

        answer = asked("POST", SESSION, {**JSON, "Transfer-Encoding": "chunked"}, body)

        assert answer.status == 413
        assert kind(answer)

    def test_of_a_body_hold_what_it_says_of_itself(self, asked: Asked) -> None:
        length = {"Content-Length": str(BODY_BYTES_MAX + 1)}

        assert asked("POST", SESSION, {**JSON, **length}, {"token": "x"}).status == 413

    def test_of_requests_hold_a_household_whichever_token_it_has(self, asking: Callable[..., Asked]) -> None:
        asked = asking(per_minute=10)

        def status() -> int:
            return asked("GET", SESSION, logged_in(NOW, Role.HOUSEHOLD, USER_ID)).status

        assert [status() for _ in range(14)] == [200] * 11 + [429] * 3
        assert asked("GET", SESSION, logged_in(NOW)).status == 200

    def test_keep_nobody_from_logging_out(self, asking: Callable[..., Asked]) -> None:
        asked = asking(per_minute=10)
        headers = {"Authorization": f"Bearer {token()}"}
        while asked("GET", SESSION, headers).status != 429:
            pass

        assert asked("DELETE", SESSION, headers).status == 204
        assert asked("GET", SESSION, headers).status == 401


def token_of(answer: Answer) -> str:
    return answer.headers["set-cookie"].split(";")[0].partition("=")[2]
