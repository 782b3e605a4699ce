"""The company's pages: country, region, data quality and operations; who is led where."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.browser_world import EVE, FEW, REGIONS

SESSION = "**/api/v1/session"
WITH_LOAD = {"width": 1440, "height": 1275}


class TestCountry:
    def test_shows_every_region_that_may_be_shown_on_the_map_and_in_the_ranking(self, see, site):
        site.beat()
        page = see().settle("/")

        expect(page.locator(".atlas .state.known")).to_have_count(len(REGIONS) - len(FEW))
        expect(page.locator("#ranking tbody tr")).to_have_count(len(REGIONS) - len(FEW) + 1)
        expect(page.locator("#ranking tbody tr").last).to_contain_text("Others")
        expect(page.locator("#totals")).to_contain_text("meters active")

    def test_leads_to_a_region_and_back(self, see, site):
        site.beat()
        page = see().settle("/#gas")

        page.locator("#ranking").get_by_role("link", name="California").click()
        expect(page.locator("h1")).to_have_text("California")
        page.get_by_role("link", name="The country", exact=True).click()

        expect(page.locator("h1")).to_have_text("The country now")

    def test_moves_as_windows_end(self, see, site):
        site.beat()
        page = see().settle("/")
        before = page.locator("#freshness").inner_text()

        site.beat_in_the_next_window()

        expect(page.locator("#freshness")).not_to_have_text(before)
        expect(page.locator("#freshness")).to_have_attribute("data-state", "fresh")

    def test_holds_the_day_against_the_one_before_and_its_forecast(self, see, site):
        site.beat()
        page = see().settle("/")

        expect(page.locator("#load .readout")).to_contain_text(
            re.compile("yesterday at that time|heard today")  # nothing is, right after midnight
        )
        page.locator("#load summary").click()
        hours = page.locator("#load tbody tr")
        expect(hours).to_have_count(24)
        expect(hours.locator("td:nth-child(3)", has_text="W")).to_have_count(24)

    def test_asks_again_for_a_day_before_that_is_not_published_yet(self, see, site):
        site.beat()
        seen = see()
        seen.expected.append("status of 503")
        asked = "**/country/usage?*"
        seen.page.route(asked, lambda route: route.fulfill(status=503), times=1)
        page = seen.settle("/")

        with page.expect_response(asked) as answered:
            page.evaluate("dispatchEvent(new Event('online'))")  # as a minute later

        assert answered.value.ok
        page.locator("#load summary").click()
        expect(page.locator("#load tbody td:nth-child(3)", has_text="W")).to_have_count(24)

    def test_as_the_readme_shows_it(self, see, site):
        site.beat()
        seen = see(size=WITH_LOAD)
        seen.settle("/")
        expect(seen.page.locator("#load canvas")).to_be_visible()
        seen.keep("country", whole=False)


class TestRegion:
    def test_shows_its_own_nights(self, see, site):
        site.beat()
        page = see().settle("/region/US-CA")

        expect(page.locator("#freshness")).to_contain_text("of the country's use")
        page.locator("#usage summary").click()
        expect(page.locator("#usage tbody tr")).to_have_count(24)


class TestQuality:
    def test_tells_of_last_night(self, see):
        page = see().settle("/quality")

        expect(page.locator("#tiles")).to_contain_text("estimated")
        expect(page.locator("#freshness")).to_contain_text("published")

    def test_stays_at_the_night_that_was_chosen_when_it_asks_again(self, see):
        page = see().settle("/quality")
        nights = page.get_by_label("Night")
        newest, before = [option.get_attribute("value") for option in nights.locator("option").all()][:2]
        for chosen in (before, newest):
            nights.select_option(chosen)
            with page.expect_response(lambda answer: "/quality/nights" in answer.url):
                page.evaluate("dispatchEvent(new Event('online'))")

            expect(page.locator("#main")).to_have_attribute("aria-busy", "false")
            expect(nights).to_have_value(chosen)


class TestOperations:
    def test_say_what_cannot_be_known(self, see):
        page = see().settle("/operations")

        expect(page.locator("#letters")).to_contain_text(re.compile("Kafka|answer"))


class TestWho:
    def test_without_a_session_one_is_led_to_the_login_and_back(self, see, site):
        page = see(role=None).open("/quality")
        expect(page).to_have_url(re.compile(r"/login\?next=/quality"))

        page.locator("#token").fill(site.tokens["operator"])
        page.get_by_role("button", name="Log in").click()

        expect(page).to_have_url(re.compile("/quality$"))

    def test_an_analyst_has_no_way_to_operations(self, see):
        page = see("analyst").settle("/")

        expect(page.locator("#nav a")).to_have_text(["Country", "Data quality"])

    def test_a_household_is_led_to_its_own_page_alone(self, see, site):
        page = see(role=None).open(f"/login#token={site.tokens['household that leaves']}")

        expect(page).to_have_url(re.compile(f"/household/{EVE}"))
        expect(page.locator("#nav a")).to_have_text(["My household"])
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_url(re.compile("/login"))

    @pytest.mark.parametrize(("offline", "reason"), [(False, "too many requests"), (True, "no connection")])
    def test_who_could_not_be_logged_out_is_told_to_try_again(self, see, offline, reason):
        seen = see()
        seen.expected += ["status of 429", "status of 401", "ERR_INTERNET_DISCONNECTED"]
        page = seen.settle("/licences")
        page.evaluate("localStorage.setItem('meterbeat-session-until', '2999-01-01T00:00:00Z')")
        page.reload()
        log_out = page.get_by_role("button", name="Log out")
        expect(log_out).to_be_visible()
        busy = {"status": 429, "json": {"title": "Too many requests"}}
        if not offline:
            page.route(SESSION, lambda route: route.fulfill(**busy), times=1)

        seen.context.set_offline(offline)
        log_out.click()

        told = page.get_by_role("alert").filter(visible=True)
        expect(told).to_have_text(f"You are still logged in: {reason}. Try again.")
        assert page.evaluate("localStorage.getItem('meterbeat-session-until')")
        seen.context.set_offline(False)
        page.route(SESSION, lambda route: route.fulfill(status=401), times=1)
        log_out.click()
        expect(page).to_have_url(re.compile("/login$"))

    def test_a_link_makes_nobody_somebody_else_unasked(self, see, site):
        page = see(role=None).open(f"/login#token={site.tokens['operator']}")
        expect(page.locator("#nav a")).to_have_text(["Country", "Data quality", "Operations"])

        page.goto(f"{site.url}/login#token={site.tokens['household']}")

        expect(page.locator("#trouble")).to_contain_text(f"go on as user:{EVE} instead")
        page.get_by_role("button", name="Log in").click()
        expect(page).to_have_url(re.compile(f"/household/{EVE}"))
