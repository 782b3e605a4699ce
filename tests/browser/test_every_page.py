"""What every page promises: it fits, all can use it, it loads nothing from elsewhere, and little twice."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from serving.web import vendored
from tests.browser.browser_seen import DESKTOP, PHONE, Seen, windows
from tests.browser.browser_world import ADA, NOBODY

PATHS = {
    "household": f"/household/{ADA}",
    "nobody": f"/household/{NOBODY}",
    "country": "/",
    "region": "/region/US-CA",
    "quality": "/quality",
    "operations": "/operations",
    "licences": "/licences",
    "login": "/login",
}
# A tool that is not ours judges what people with other senses and other hands can use.
AXE = vendored.FOLDER / "axe-core" / "axe.min.js"
JUDGE = """axe.run(document, {resultTypes: ["violations"]}).then(({violations}) => violations
    .filter(({impact}) => impact === "serious" || impact === "critical")
    .map(({id, nodes}) => [id, nodes.map(({html, failureSummary}) => [html, failureSummary])]))"""
# What can be operated, is seen and has no name that a screen reader could tell.
UNNAMED = """[...document.querySelectorAll("button, a, input, select, [tabindex='0']")]
    .filter((one) => one.checkVisibility() && !one.closest("[aria-hidden=true]"))
    .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length))
    .map((one) => one.outerHTML)"""
LOADED = """performance.getEntriesByType("resource").filter(({name}) => name.includes("/pages/"))
    .map(({name, transferSize, initiatorType}) => [name, transferSize, initiatorType])"""
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="class", params=sorted(PATHS))
def seen(request, browser: Browser, site) -> Iterator[Seen]:
    """A page that all tests of a class look at, one after the other."""
    site.beat()
    with windows(browser, site.url, site.tokens) as window:
        visited = window(role=None if request.param == "login" else "operator")
        visited.settle(PATHS[request.param])
        yield visited


@pytest.fixture
def name(request) -> str:
    return str(request.node.callspec.params["seen"])


class TestEveryPage:
    def test_loads_nothing_from_elsewhere(self, seen, site):
        elsewhere = [url for url in seen.asked if not url.startswith((site.url, "data:", "blob:"))]

        assert elsewhere == []

    def test_has_a_name_on_all_that_can_be_operated(self, seen):
        assert seen.page.evaluate(UNNAMED) == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_can_be_used_by_all(self, seen, name, scheme):
        assert AXE.is_file(), "axe-core is missing: fetch it with `make setup`"
        seen.page.set_viewport_size(DESKTOP)
        seen.page.emulate_media(color_scheme=scheme)
        seen.page.evaluate(AXE.read_text())

        barred = seen.page.evaluate(JUDGE)

        assert barred == [], json.dumps(barred, indent=1)
        seen.keep(f"{name}-{scheme}")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_fits_a_phone(self, seen, name, scheme):
        seen.page.set_viewport_size(PHONE)
        seen.page.emulate_media(color_scheme=scheme)

        assert not seen.overflows()
        seen.keep(f"{name}-phone-{scheme}")

    def test_fits_paper_in_light_colours(self, seen, name):
        seen.page.set_viewport_size({"width": 720, "height": 1000})
        seen.page.emulate_media(color_scheme="dark", media="print")

        assert seen.page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
        assert not seen.overflows()
        seen.keep(f"{name}-print")


class TestFiles:
    def test_are_asked_for_at_once_and_never_again(self, see):
        seen = see()
        page = seen.settle("/")
        first = page.evaluate(LOADED)
        by_script = [name.split("/")[-1] for name, _, by in first if name.endswith(".js") and by == "script"]
        assert sorted(by_script) == ["country.js", "scheme.js"], "the document names all others"
        assert [name for name, size, _ in first if name.endswith((".js", ".css")) and not size] == []

        seen.settle("/quality")
        seen.settle("/")

        assert [name for name, size, _ in page.evaluate(LOADED) if size] == []


class TestScheme:
    def test_is_chosen_by_keyboard_and_remembered(self, see):
        page = see(scheme="light").settle("/licences")
        light = page.evaluate(BACKGROUND)
        choice = page.get_by_label("Colours")
        choice.focus()

        page.keyboard.press("End")
        expect(choice).to_have_value("dark")
        dark = page.evaluate(BACKGROUND)
        page.reload()

        expect(page.get_by_label("Colours")).to_have_value("dark")
        assert dark not in (light, "rgba(0, 0, 0, 0)")
        assert page.evaluate(BACKGROUND) == dark

    def test_that_was_chosen_needs_no_module_so_that_no_other_flashes(self, see):
        seen = see(scheme="light")
        page = seen.settle("/licences")
        page.evaluate("localStorage.setItem('meterbeat-scheme', 'dark')")
        seen.expected.append("ERR_FAILED")
        page.route(
            "**/*.js", lambda route: route.fallback() if "scheme" in route.request.url else route.abort()
        )

        page.reload()

        assert page.evaluate("document.documentElement.style.colorScheme") == "dark"
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
