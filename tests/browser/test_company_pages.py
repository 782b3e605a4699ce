"""The company's pages: country, region, data quality and operations; who is led where."""

import re

from playwright.sync_api import expect

from tests.browser.browser_world import EVE, FEW, REGIONS

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

    def test_a_link_makes_nobody_somebody_else_unasked(self, see, site):
        page = see(role=None).open(f"/login#token={site.tokens['operator']}")
        expect(page.locator("#nav a")).to_have_text(["Country", "Data quality", "Operations"])

        page.goto(f"{site.url}/login#token={site.tokens['household']}")

        expect(page.locator("#trouble")).to_contain_text(f"go on as user:{EVE} instead")
        page.get_by_role("button", name="Log in").click()
        expect(page).to_have_url(re.compile(f"/household/{EVE}"))
