"""A page as a test sees it."""

import contextlib
import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Iterator

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
# Where pictures are kept, by name; the README's come from here.
SCREENSHOTS = os.environ.get("SCREENSHOTS_TO")
# What arrives last on each page, by the first part of its path.
LAST = {
    "": ("#ranking tbody tr", ".atlas .state.known", "#load .readout", "#load summary"),
    "household": (
        *("#usage .readout", "#usage summary", "#costs h2", "#invoices .invoices > *"),
        *("#revisions [data-part=body] > *", ".now .feet"),
    ),
    "region": (".total .big", "#usage .readout", "#usage summary"),
    "quality": ("#findings > *", "#night option"),
    "operations": ("#night > *", "#letters > *"),
    "licences": (".licence",),
    "login": ("#scheme",),
}
# Kafka is elsewhere in these tests, and the page of operations says so; a browser tells of it by itself.
EXPECTED = re.compile(r"status of 503 .*/operations/dead-letters")
ARRIVAL_MS_MAX = 30_000


@dataclasses.dataclass
class Seen:
    """A page, what it asked for, what went wrong on it, and parts of what a test expects to go wrong."""

    page: Page
    context: BrowserContext
    errors: list[str]
    asked: list[str]
    expected: list[str]

    def open(self, path: str) -> Page:
        """Go to a page of ours."""
        self.page.goto(path)
        return self.page

    def settle(self, path: str) -> Page:
        """Go to a page of ours and wait until all of it is there."""
        page = self.open(path)
        expect(page.locator("#main")).to_have_attribute("aria-busy", "false", timeout=ARRIVAL_MS_MAX)
        for selector in LAST[path.split("#", maxsplit=1)[0].split("/")[1]]:
            page.locator(selector).first.wait_for(state="attached", timeout=ARRIVAL_MS_MAX)
        for line in page.locator(".readout").all():
            expect(line).not_to_be_empty(timeout=ARRIVAL_MS_MAX)
        return page

    def unexpected(self) -> list[str]:
        """What went wrong and no test expects."""
        return [error for error in self.errors if not any(text in error for text in self.expected)]

    def keep(self, name: str, *, whole: bool = True) -> None:
        """Keep a picture where SCREENSHOTS_TO says."""
        if SCREENSHOTS:
            self.page.screenshot(path=pathlib.Path(SCREENSHOTS) / f"{name}.png", full_page=whole)

    def overflows(self) -> bool:
        """Whether the page is wider than its window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@contextlib.contextmanager
def windows(browser: Browser, url: str, tokens: dict[str, str]) -> Iterator[Callable[..., Seen]]:
    """Yield what opens a window for a role; no console may hold an error that a test does not expect."""
    opened: list[Seen] = []

    def window(role: str | None = "operator", size: dict[str, int] = DESKTOP, scheme: str = "light") -> Seen:
        # A browser far from the household's zone: none of its times may show.
        context = browser.new_context(
            base_url=url,
            viewport=size,
            color_scheme=scheme,
            timezone_id="Asia/Tokyo",
            reduced_motion="reduce",
        )
        if role:
            context.add_cookies([{"name": "meterbeat_session", "value": tokens[role], "url": url}])
        page = context.new_page()
        seen = Seen(page, context, [], [], [])
        page.on("console", lambda message: seen.errors.extend(_told(message)))
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("request", lambda request: seen.asked.append(request.url))
        opened.append(seen)
        return seen

    yield window
    for one in opened:
        one.context.close()
    assert [error for one in opened for error in one.unexpected()] == []


def _told(message: ConsoleMessage) -> list[str]:
    """What a message of the console says is wrong, and where."""
    if message.type not in ("error", "warning"):
        return []
    told = f"{message.text} {message.location.get('url')}"
    return [] if EXPECTED.search(told) else [told]
