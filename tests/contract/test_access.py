"""Access on a real Redis and in a real process: limits that processes share, and logs that keep secrets."""

import asyncio
import contextlib
import dataclasses
import subprocess
import time

import httpx
import pytest

from serving.access.identity import Identity, Role
from serving.access.limits import Grant, SharedAway
from serving.access.revocation import Revocations, RevocationsAway, Revoked
from serving.access.tokens import LIFETIME_S_MAX
from serving.stores.redis_source import RedisSource
from tests.support.services import Platform

TIMEOUT_MS = 2_000
START_S_MAX = 60
PER_MINUTE = 30
PORT_STEP = 480  # of no service of the platform
USER = 99_999_997  # of no fleet: the services are shared


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def subject():
    return f"requests:test-{time.time_ns()}"


def with_sources(url, ask, count=1):
    """Ask with sources of their own, as several processes would."""

    async def asking():
        sources = [RedisSource(url, TIMEOUT_MS, now_ms) for _ in range(count)]
        try:
            return await ask(*sources)
        finally:
            for source in sources:
                await source.close()

    return asyncio.run(asking())


class TestTheSharedBucket:
    def test_gives_a_minutes_requests_to_all_processes_together(self, services, subject):
        async def ask(*sources):
            grants = await asyncio.gather(
                *(source.take(subject, 7, 60) for source in sources for _ in range(20))
            )
            return sum(grant.taken for grant in grants), [grant for grant in grants if not grant.taken]

        taken, refused = with_sources(services.settings.redis_url, ask, count=3)

        assert 60 <= taken <= 61  # it gains one a second
        assert refused
        assert all(0 < grant.wait_us <= 1_000_000 for grant in refused)

    def test_gives_again_after_the_wait_it_told(self, services, subject):
        async def ask(source):
            await source.take(subject, 600, 600)
            refused = await source.take(subject, 1, 600)
            await asyncio.sleep(refused.wait_us / 1e6 + 0.01)
            return refused, await source.take(subject, 1, 600)

        refused, again = with_sources(services.settings.redis_url, ask)

        assert refused.taken == 0
        assert again == Grant(1, 0)

    def test_locks_nobody_out_when_the_clock_is_set_back(self, services, subject):
        async def ask(source):
            an_hour_ahead_us = (int(time.time()) + 3_600) * 1_000_000
            await source._client.set(f"rate:{subject}", an_hour_ahead_us)
            refused = await source.take(subject, 1, 600)
            await asyncio.sleep(refused.wait_us / 1e6 + 0.01)
            return refused, await source.take(subject, 1, 600)

        refused, again = with_sources(services.settings.redis_url, ask)

        assert 0 < refused.wait_us <= 100_000
        assert again == Grant(1, 0)

    def test_is_forgotten_once_it_is_full_again(self, services, subject):
        async def ask(source):
            await source.take(subject, 30, 60)
            return await source._client.pttl(f"rate:{subject}")

        assert 29_000 < with_sources(services.settings.redis_url, ask) <= 30_000

    def test_that_cannot_be_asked_says_so(self, services, subject):
        async def ask(source):
            with pytest.raises(SharedAway):
                await source.take(subject, 1, 60)

        with_sources("redis://127.0.0.1:1/0", ask)


@pytest.fixture(scope="module")
def platform(services):
    """The services as another serving process would be set to use them, with tight limits."""
    settings = services.settings
    return Platform(
        dataclasses.replace(
            settings,
            serving_port=settings.port_base + PORT_STEP,
            serving_rate_limit_per_minute=PER_MINUTE,
            serving_attempt_limit_per_minute=PER_MINUTE,
        )
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("serving") / "serving.log"


@pytest.fixture(scope="module")
def client(platform, log):
    with log.open("wb") as output:
        process = platform.start("serve", "--processes", "1", output=output)
        try:
            with httpx.Client(base_url=platform.settings.serving_url) as client:
                deadline = time.monotonic() + START_S_MAX
                while not _lives(client):
                    assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                    time.sleep(0.2)
                yield client
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)


def _lives(client):
    with contextlib.suppress(httpx.HTTPError):
        return client.get("/healthz").status_code == 200
    return False


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class TestTheProcess:
    def test_lets_a_household_in_by_its_link_and_shows_it_itself_alone(self, platform, client):
        issued = platform.ask("token", "--user", str(USER))
        link, _, token = issued["link"].partition("#token=")

        login = httpx.post(f"{platform.settings.serving_url}/api/v1/session", json={"token": token})
        cookies = {"meterbeat_session": login.cookies["meterbeat_session"]}
        answers = [
            httpx.get(f"{platform.settings.serving_url}{path}", cookies=cookies).status_code
            for path in (
                f"/household/{USER}",
                "/api/v1/session",
                f"/api/v1/households/{USER - 1}",
                "/api/v1/regions",
            )
        ]

        assert client.get(link).status_code == 200
        assert login.json()["go"] == f"/household/{USER}"
        assert answers == [200, 200, 404, 403]

    def test_issues_what_it_is_asked_and_says_what_it_cannot(self, platform):
        several = platform.room("serving", "token", "--each", stdin=f"[{USER}, {USER - 1}]")
        nobody = platform.meterbeat("token")
        both = platform.meterbeat("token", "--user", str(USER), "--role", "operator")

        assert several.stdout.count(".") == 4
        assert (nobody.returncode, both.returncode) == (2, 2)
        assert "--user N" in nobody.stderr
        assert len(both.stderr.splitlines()) == 1

    @pytest.mark.parametrize("by", ["token", "id"])
    def test_lets_nobody_in_by_a_token_that_was_taken_back(self, platform, client, by):
        issued, other = (platform.ask("token", "--user", str(USER - n)) for n in (30, 31))

        done = platform.meterbeat("token", "--revoke", issued[by])

        assert done.returncode == 0, done.stderr
        deadline = time.monotonic() + 2
        while client.get("/api/v1/session", headers=bearer(issued["token"])).status_code != 401:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert client.get("/api/v1/session", headers=bearer(other["token"])).status_code == 200

    def test_says_what_cannot_be_taken_back(self, platform):
        refused = platform.meterbeat("token", "--revoke", "no token")

        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)

    def test_refuses_who_asks_too_often_and_nobody_else(self, platform, client):
        one, other = (platform.ask("token", "--user", str(USER - n))["token"] for n in (10, 11))

        statuses = [
            client.get("/api/v1/session", headers=bearer(one)).status_code for _ in range(PER_MINUTE * 2)
        ]
        refused = client.get("/api/v1/session", headers=bearer(one))

        assert statuses.count(200) in range(PER_MINUTE, PER_MINUTE + PER_MINUTE // 10 + 10)
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert client.get("/api/v1/session", headers=bearer(other)).status_code == 200

    def test_writes_no_secret_and_nobodys_line_into_a_log(self, platform, client, log):
        settings = platform.settings
        token = platform.ask("token", "--user", str(USER - 20))["token"]
        forged = token[:-4] + "AAAA"
        for secret in (token, forged):
            client.get(f"/api/v1/households/{USER - 20}", headers=bearer(secret))
            client.get(f"/api/v1/households/{USER - 20}?token={secret}")
            client.get(f"/household/{USER - 20}", headers={"Cookie": f"meterbeat_session={secret}"})
            client.get(f"/api/v1/{secret}%0d%0aERROR%20forged%20line")
            client.post("/api/v1/session", json={"token": secret})
            client.post("/api/v1/session", json={"token": [secret]})
            client.post("/api/v1/session", content=secret)
            client.get("/api/v1/session", headers={"Authorization": secret})
        with contextlib.suppress(httpx.HTTPError):
            client.get("/", headers={"X-Long": "forged line" * 10_000})
        keys = settings.serving_token_keys.read_text().split()

        logs = [log, *settings.home.rglob("*.log")]
        told = "".join(path.read_text(errors="replace") for path in logs)

        assert "serving on http://" in log.read_text()
        for secret in (token, forged, token.split(".")[2], *keys):
            assert secret not in told
        assert "forged line" not in told
        assert settings.serving_token_keys.stat().st_mode & 0o777 == 0o600


class TestRevokedTokens:
    @pytest.fixture
    def revoked(self):
        return Revoked(f"{time.time_ns():016}"[-16:], now_ms() // 1000 + 60)

    def identity(self, revoked):
        return Identity("operator:test", Role.OPERATOR, None, *revoked)

    def test_are_known_to_every_process_within_two_seconds(self, services, revoked):
        async def ask(*sources):
            here, *others = (Revocations(source, now_ms) for source in sources)
            following = [asyncio.create_task(one.follow(lambda: None)) for one in others]
            await asyncio.sleep(0.1)
            await here.revoke(revoked)
            began = time.monotonic()
            while not all(one.hold(self.identity(revoked)) for one in others):
                await asyncio.sleep(0.01)
            for task in following:
                task.cancel()
            return time.monotonic() - began

        assert with_sources(services.settings.redis_url, ask, count=3) < 2

    def test_are_told_once_each_and_page_by_page(self, services):
        some = [Revoked(f"{time.time_ns() + number:016}"[-16:], now_ms() // 1000 + 60) for number in range(3)]

        async def ask(source):
            before = await newest(source)
            await source.revoke(some[:2])
            await source.revoke(some[1:])
            return await source.revoked_since(before), await source.revoked_since(await newest(source))

        async def newest(source):
            place = 0
            while (news := await source.revoked_since(place)).revoked:
                place = news.place
            return place

        news, after = with_sources(services.settings.redis_url, ask)

        assert list(news.revoked) == some
        assert after.revoked == []
        assert after.held >= 3

    def test_are_put_back_on_a_list_that_was_lost(self, services, revoked):
        async def ask(source):
            here = Revocations(source, now_ms)
            await here.revoke(revoked)
            await here.refresh()
            await source._client.delete("revoked")
            await here.refresh()
            await here.refresh()
            return await source.revoked_since(0)

        assert revoked in with_sources(services.settings.redis_url, ask).revoked

    def test_last_no_longer_than_a_token_can(self, services, revoked):
        async def ask(source):
            await source.revoke([revoked])
            return await source._client.pttl("revoked")

        assert 0 < with_sources(services.settings.redis_url, ask) <= LIFETIME_S_MAX * 1_000

    def test_on_a_list_that_is_none_are_not_read(self, services, revoked):
        async def ask(source):
            await source._client.zadd("revoked", {"garbage": 2**52})
            try:
                with pytest.raises(RevocationsAway):
                    await source.revoked_since(2**52 - 1)
            finally:
                await source._client.delete("revoked")

        with_sources(services.settings.redis_url, ask)

    def test_while_redis_is_away_are_those_known_before(self, services, revoked):
        async def ask(source):
            here = Revocations(source, now_ms)
            await here.revoke(revoked)
            nowhere = RedisSource("redis://127.0.0.1:1/0", TIMEOUT_MS, now_ms)
            here._shared = nowhere
            with pytest.raises(RevocationsAway):
                await here.refresh()
            await nowhere.close()
            return here.hold(self.identity(revoked))

        assert with_sources(services.settings.redis_url, ask)
