"""A browser, and pages over real Redis, real MySQL and a serving process of their own.

All of it ends with this folder's last test: a browser holds the event loop that other tests run their own in.
"""

import contextlib
import dataclasses
import os
import pathlib
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from batch.__main__ import database_of
from infra.mysql import server
from tests.browser.browser_seen import Seen, windows
from tests.browser.browser_world import EVE, World
from tests.support.chromium import chromium
from tests.support.services import Platform, running_platform

PORT_BASE = 26_000
WINDOW_MS = 5_000
READY_S_MAX = 120
# As long as a slow and busy machine may take for what takes this one a second.
SEEN_MS_MAX = 30_000
CHANGES: dict[
    str, Any
] = {  # a platform of Redis, MySQL and one serving process: what is elsewhere is not started
    "kafka_bootstrap": "elsewhere:9092",
    "s3_endpoint": "http://elsewhere:9000",
    "flink_rest": "http://elsewhere:8081",
    "metrics_host": "",
    "serving_processes": 1,
    "serving_rate_limit_per_minute": 100_000,
}


@dataclasses.dataclass
class Site:
    """The pages' address, what stands behind them, and tokens to log in with."""

    platform: Platform
    world: World
    tokens: dict[str, str]

    @property
    def url(self) -> str:
        return self.platform.settings.serving_url

    def beat(self, **changes: int) -> int:
        """Let every meter be heard now; return when, in ms since 1970."""
        at_ms = now_ms()
        self.world.beat(self.platform.settings.redis_url, at_ms, **changes)
        return at_ms

    def beat_in_the_next_window(self) -> None:
        """Let every meter be heard once another window of regions has begun."""
        time.sleep((WINDOW_MS - now_ms() % WINDOW_MS) / 1_000)
        self.beat()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Pages over a world that was just published and heard."""
    home = tmp_path_factory.mktemp("browser")
    with running_platform(home, port_base=PORT_BASE, **CHANGES) as platform:
        world = World(now_ms())
        server.migrate(platform.settings)
        world.publish(database_of(platform.settings))
        world.bill(platform.settings)
        world.settle(platform.settings)
        world.course(platform.settings.redis_url)
        world.beat(platform.settings.redis_url, now_ms())
        with _serving(platform, home):
            roles = {
                "operator": ["--role", "operator"],
                "analyst": ["--role", "analyst"],
                "household": ["--user", str(EVE)],
                # Taken back by the test that logs out.
                "household that leaves": ["--user", str(EVE)],
            }
            tokens = {role: platform.ask("token", *options)["token"] for role, options in roles.items()}
            yield Site(platform, world, tokens)


@contextlib.contextmanager
def _serving(platform: Platform, home: pathlib.Path) -> Iterator[None]:
    with (home / "serving.log").open("wb") as log:
        process = platform.start("serve", output=log)
        try:
            _wait_until_ready(platform.settings.serving_url, home / "serving.log")
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)
            # Shown where a test fails: what the pages' process said of it.
            print((home / "serving.log").read_text())


def _wait_until_ready(url: str, log: pathlib.Path) -> None:
    for _ in range(READY_S_MAX * 5):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    pytest.fail(f"pages are not served: {log.read_text()}")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium without a window."""
    found = chromium()
    # Root has no sandbox to go into.
    expect.set_options(timeout=SEEN_MS_MAX)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def see(browser: Browser, site: Site) -> Iterator[Callable[..., Seen]]:
    """Open a window for a role: see(), see("analyst"), see(size=PHONE, scheme="dark")."""
    with windows(browser, site.url, site.tokens) as window:
        yield window
