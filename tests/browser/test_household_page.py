"""The household page as people use it: live, over the days, in their units, by keyboard, when things fail."""

import datetime
import re
import zoneinfo

import pytest
from playwright.sync_api import expect

from infra.contracts.durations import HOUR_MS
from infra.contracts.utility import Utility
from tests.browser.browser_seen import PHONE, Seen
from tests.browser.browser_world import ADA, EVE, FAR_AWAY, GIANT, LONG_NAME, NOBODY, ZONE, hour_usage

# A summary, alerts, invoices and three utilities' revisions.
SLOW_ANSWERS = 6
UNKNOWN = "\N{EN DASH}"
# Counts what changes where a screen reader is told of changes.
COUNT_TOLD = """() => {
    window.told = 0;
    const told = "[aria-live], [role=status], [role=alert]";
    for (const one of document.querySelectorAll(told)) {
        new MutationObserver((changes) => { window.told += changes.length; })
            .observe(one, {childList: true, subtree: true, characterData: true});
    }
    return document.querySelectorAll(told).length;
}"""


def household(seen: Seen, user_id: int = ADA, choice: str = ""):
    return seen.settle(f"/household/{user_id}{choice}")


class TestNow:
    def test_the_figure_moves_as_the_meter_is_heard(self, see, site):
        site.beat(rate=1_370)
        page = household(see())
        expect(page.locator(".now.electricity .figure")).to_have_text("1.37")

        site.beat(rate=2_480)

        expect(page.locator(".now.electricity .figure")).to_have_text("2.48")
        expect(page.locator(".now.electricity .heard")).to_contain_text("heard")

    def test_a_screen_reader_is_told_of_news_and_not_of_every_heartbeat(self, see, site):
        site.beat(rate=1_370)
        seen = see()
        page = household(seen)
        assert page.evaluate(COUNT_TOLD) >= 3

        for rate in (1_480, 1_590, 1_700):
            site.beat(rate=rate)
            expect(page.locator(".now.electricity .figure")).to_have_text(f"{rate / 1_000:.2f}")
        assert page.evaluate("window.told") == 0

        seen.expected.append("ERR_INTERNET_DISCONNECTED")
        seen.context.set_offline(True)
        expect(page.locator("#told")).to_contain_text("What you see is from")

    def test_times_are_the_households_not_the_browsers(self, see, site):
        heard = datetime.datetime.fromtimestamp((site.beat() - 1_000) / 1_000, datetime.UTC)
        page = household(see(), FAR_AWAY)

        expect(page.locator("#freshness")).to_contain_text("local time of Honolulu")
        expect(page.locator("#freshness")).to_contain_text(
            heard.astimezone(zoneinfo.ZoneInfo("Pacific/Honolulu")).strftime("newest heartbeat %H:%M")
        )

    def test_when_the_network_goes_the_page_says_from_when_it_is_and_comes_back(self, see, site):
        seen = see()
        page = household(seen)

        seen.expected.append("ERR_INTERNET_DISCONNECTED")
        seen.context.set_offline(True)
        expect(page.locator("#freshness")).to_contain_text("What you see is from")
        seen.context.set_offline(False)
        site.beat(rate=999)

        expect(page.locator(".now.electricity .figure")).to_have_text("999")
        expect(page.locator("#freshness")).to_contain_text("Live")

    def test_what_it_lists_stays_when_it_is_asked_for_again_in_vain(self, see):
        seen = see()
        seen.expected.append("status of 503")
        page = household(seen)
        lists = ("#alerts .alert", "#invoices .invoice", "#revisions .entries li")
        shown = [page.locator(one).count() for one in lists]
        slow = re.compile(r"/(summary|alerts|invoices|revisions)(\?|$)")
        page.route(slow, lambda route: route.fulfill(status=503))
        answered = []
        page.on("requestfinished", lambda request: answered.extend(slow.findall(request.url)))

        with page.expect_event("requestfinished", lambda _: len(answered) >= SLOW_ANSWERS):
            page.evaluate("dispatchEvent(new Event('online'))")
        page.evaluate("new Promise((done) => setTimeout(done))")

        assert [page.locator(one).count() for one in lists] == shown
        assert all(shown)


class TestUsage:
    def test_a_day_on_which_the_clock_changes_has_each_of_its_hours(self, see, site):
        date = site.world.changed
        page = household(see(), ADA, f"#electricity/hour/{date}/none")
        page.locator("#usage summary").click()

        rows = page.locator("#usage table tbody tr")
        expect(rows).to_have_count(25 if date.month > 6 else 23)
        first = page.locator("#usage table tbody th").all_inner_texts()
        assert len(set(first)) == len(first), "an hour that comes twice is told apart"

    def test_hours_are_the_published_ones_with_cost_and_quality(self, see, site):
        night = site.world.nights[-3]
        page = household(see(), ADA, f"#electricity/hour/{night}/none")
        page.locator("#usage summary").click()

        noon = page.locator("#usage table tbody tr", has_text="12:00")
        expect(noon).to_contain_text("measured")
        expect(page.locator("#usage")).to_contain_text("not wholly measured")

    def test_the_hours_of_a_published_day_are_those_of_its_registers(self, see, site):
        date = site.world.nights[-3].day
        page = household(see(), ADA, f"#water/hour/{date}/none")
        page.locator("#usage summary").click()

        expect(page.locator("#usage table tbody td:nth-child(2)")).to_have_text(
            [str(hour_usage(ADA, Utility.WATER, hour)) for hour in _local_hours(date)]
        )

    def test_days_and_months_are_a_choice_away_and_remembered_by_the_address(self, see):
        page = household(see())

        page.get_by_role("button", name="Gas").click()
        page.get_by_role("button", name="Days").click()

        expect(page).to_have_url(re.compile("#gas/day/now/before$"))
        expect(page.locator("#usage .readout")).to_contain_text("m³")
        page.reload()
        expect(page.get_by_role("button", name="Days")).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="Months").click()
        expect(page.locator("#usage .chart")).to_have_attribute("aria-label", re.compile("by month$"))
        expect(page.locator("#usage .readout")).to_contain_text("m³")

    def test_downloads_are_of_what_is_shown(self, see, site):
        night = site.world.nights[-3]
        page = household(see(), ADA, f"#water/hour/{night}/none")

        for name in ("csv", "parquet", "espi"):
            link = page.locator(f"#exports a[href*='format={name}']")
            expect(link).to_have_attribute("href", re.compile(f"utility=water&from={night}"))


class TestUnits:
    def test_of_the_us_are_remembered(self, see):
        page = household(see())
        expect(page.locator(".now.water .unit")).to_have_text("L/h")

        page.get_by_role("button", name="US", exact=True).click()

        expect(page.locator(".now.water .unit")).to_have_text("gal/h")
        expect(page.locator(".now.gas .todayNote")).to_contain_text("therms")
        page.reload()
        expect(page.locator(".now.water .unit")).to_have_text("gal/h")


class TestKeyboard:
    def test_reaches_everything_and_reads_the_chart_point_by_point(self, see):
        page = household(see())
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to the content")).to_be_focused()

        page.locator("#usage .chart").focus()
        page.keyboard.press("Home")

        expect(page.locator("#usage .readout")).to_contain_text("00:00")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#usage .chart")).to_have_attribute("aria-valuetext", re.compile("^01:00"))


class TestWhatIsUnusual:
    def test_nothing_known_is_said_not_drawn_as_nothing(self, see):
        page = household(see(), NOBODY)

        expect(page.locator(".now.electricity .figure")).to_have_text(UNKNOWN)
        expect(page.locator(".now.electricity .heard")).to_have_text("no live figure")
        expect(page.locator("#usage .readout")).to_have_text("Nothing is known of this time.")
        expect(page.locator("main")).not_to_contain_text(re.compile("null|NaN|undefined"))

    @pytest.mark.parametrize("size", [None, PHONE])
    def test_huge_figures_and_a_long_name_fit(self, see, size):
        seen = see(**({"size": size} if size else {}))
        page = household(seen, GIANT)

        expect(page.locator("#name")).to_have_text(LONG_NAME)
        expect(page.locator(".now.electricity .unit")).to_have_text(re.compile("GW|MW"))
        assert not seen.overflows()

    def test_a_user_who_is_not_is_told(self, see):
        seen = see()
        seen.expected.append("404")
        page = seen.open("/household/99999999")

        expect(page.locator("#trouble-title")).to_have_text("User is unknown")
        expect(page.locator("#content")).to_be_hidden()


class TestLooks:
    def test_as_the_readme_shows_it(self, see, site):
        site.beat(rate=1_200)
        seen = see("household")
        page = household(seen, EVE)
        for rate in (1_290, 1_420, 1_310, 1_370):
            site.beat(rate=rate)
            expect(page.locator(".now.electricity .figure")).to_have_text(f"{rate / 1_000:.2f}")
        expect(page.locator("#usage canvas")).to_be_visible()
        seen.keep("household")

    def test_as_the_readme_shows_it_on_a_phone(self, see, site):
        site.beat()
        seen = see("household", size=PHONE, scheme="dark")
        household(seen, EVE)
        seen.keep("phone", whole=False)


def _local_hours(date: datetime.date) -> range:
    """The hours since 1970 of a local date of ADA's."""
    zone = zoneinfo.ZoneInfo(ZONE)
    start, end = (
        datetime.datetime.combine(date + datetime.timedelta(days=days), datetime.time(), zone)
        for days in (0, 1)
    )
    return range(round(start.timestamp()) * 1_000 // HOUR_MS, round(end.timestamp()) * 1_000 // HOUR_MS)
