"""Cards and lists of the pages, given answers that real engines rarely give: partly known, late, none."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

# A page of ours without figures, with a place for a card and a way to the modules beside its own.
PLACE = """() => {
    const beside = document.querySelector("script[type=module]").src;
    window.load = (module) => import(new URL(`../${module}.js`, beside));
    window.host = document.createElement("section");
    host.id = "host";
    document.querySelector("#main").replaceChildren(host);
}"""
NOW_CARDS = """async (answer) => {
    window.cards = (await load("household/now")).nowCards(host);
    cards.show(answer);
}"""
USAGE_VIEW = """async (shown) => (await load("usage/view")).usageView(host, host).show(shown)"""
USAGE_CARD = """async () => {
    const { make } = await load("lib/dom");
    const parts = ["choices", "title", "chart", "below"].map((name) => make("div", { "data-part": name }));
    host.append(make("h2", { text: "Usage" }), ...parts);
    window.card = (await load("usage/card")).usageCard(host, "/api/v1/regions/US-CA/usage");
    card.begin("UTC");
}"""
INVOICES = """async () => {
    const path = "/api/v1/households/10000001/invoices";
    window.invoices = (await load("household/invoices")).invoiceCard(host, path);
    await invoices.refresh("UTC");
}"""
LETTERS = """async () => {
    const { make } = await load("lib/dom");
    const [letters, more, said] = ["div", "button", "p"].map((name) => make(name));
    more.textContent = "Older letters";
    host.append(said, letters, more);
    (await load("company/letters")).deadLetters(letters, more, said);
}"""
YESTERDAYS = """async ([utility, answers]) => {
    const of = (await load("company/yesterday")).yesterdays();
    const told = [];
    for (const answer of answers) {
        const hours = [await of(answer, utility), await of(answer, utility)];
        told.push(hours.map((items) => items?.[0].usage ?? null));
    }
    return told;
}"""
TWO_CLICKS = "(button) => { button.click(); button.click(); }"
AWAY = {"title": "No store can answer", "detail": "MySQL is away; try again soon"}


@dataclasses.dataclass
class Api:
    """What a page is answered, whatever it asks: one after the other, the last for ever; None fails."""

    page: Page
    answers: list[Any] = dataclasses.field(default_factory=list)
    asked: list[str] = dataclasses.field(default_factory=list)

    def answer(self, route: Route) -> None:
        self.asked.append(route.request.url)
        told = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        status, kind = (503, "application/problem+json") if told is None else (200, "application/json")
        route.fulfill(status=status, content_type=kind, body=json.dumps(AWAY if told is None else told))

    def when_asked(self, times: int) -> None:
        """Wait until the page has been answered that often, and has done with it."""
        self.page.wait_for_function(
            "times => performance.getEntriesByType('resource').filter(({name, responseStatus}) => "
            "name.includes('/api/') && responseStatus).length >= times",
            arg=times,
        )
        self.page.evaluate("new Promise((done) => setTimeout(done))")


@pytest.fixture(scope="module")
def place(browser: Browser, site) -> Iterator[Page]:
    with opened(browser, site) as page:
        yield page


@contextlib.contextmanager
def opened(browser: Browser, site) -> Iterator[Page]:
    with browser.new_context(base_url=site.url, timezone_id="Asia/Tokyo") as context:
        page = context.new_page()
        page.goto("/licences")
        expect(page.locator("#main")).to_have_attribute("aria-busy", "false")
        yield page


@pytest.fixture
def api(place: Page) -> Iterator[Api]:
    with answering(place) as api:
        yield api


@contextlib.contextmanager
def answering(page: Page) -> Iterator[Api]:
    page.evaluate(PLACE)
    page.evaluate("performance.clearResourceTimings()")
    api = Api(page)
    page.route("**/api/**", api.answer)
    yield api
    page.unroute_all()


class TestUsage:
    @pytest.mark.parametrize(
        ("before", "complete", "words"),
        [
            pytest.param(7_200, False, "72.0 kWh", id="a-past-that-is-partly-known"),
            pytest.param(
                6_000,
                True,
                "72.0 kWh · 12 times as much as April 2024 \N{EN DASH} March 2025 in the same time",
                id="twelvefold",
            ),
            pytest.param(
                57_600,
                True,
                "72.0 kWh · 25 % more than April 2024 \N{EN DASH} March 2025 in the same time",
                id="more",
            ),
        ],
    )
    def test_is_compared_with_what_is_known_in_full(self, api, before, complete, words):
        months = [_month("2026-01", None), _month("2026-02", 72_000)]
        past = [_month("2025-01", None), {**_month("2025-02", before), "complete": complete}]

        api.page.evaluate(
            USAGE_VIEW,
            {
                "answer": _answer(months),
                "before": _answer(past),
                "period": {"by": "month", "from": "2025-04-01", "to": "2026-04-01"},
                "other": {"by": "month", "from": "2024-04-01", "to": "2025-04-01"},
                "utility": "electricity",
                "zone": "UTC",
            },
        )

        expect(api.page.locator(".readout")).to_have_text(words)

    def test_stays_where_it_is_asked_for_again_in_vain(self, api):
        api.answers = [_answer([_month("2026-02", 4_390)])["body"], None]
        api.answers.insert(0, api.answers[0])
        api.page.evaluate(USAGE_CARD)
        expect(api.page.locator(".readout")).to_contain_text("4.39 kWh")

        api.page.evaluate("card.refresh()")
        api.when_asked(4)

        expect(api.page.locator(".readout")).to_contain_text("4.39 kWh")
        expect(api.page.locator(".plot")).to_be_visible()

    def test_goes_on_with_the_day_where_the_newest_is_shown(self, browser, site):
        with opened(browser, site) as page, answering(page) as api:
            api.answers = [_answer([])["body"]]
            day, earlier, later, today = (
                page.get_by_label("Day to show"),
                *(page.get_by_role("button", name=name) for name in ("Earlier", "Later", "Today")),
            )
            page.clock.set_fixed_time("2026-03-08T23:59:00Z")
            page.evaluate(USAGE_CARD)
            expect(day).to_have_value("2026-03-08")

            page.clock.set_fixed_time("2026-03-09T00:01:00Z")
            page.evaluate("card.refresh()")
            expect(day).to_have_value("2026-03-09")
            expect(later).to_be_disabled()
            expect(today).to_be_disabled()

            earlier.click()
            page.clock.set_fixed_time("2026-03-10T00:01:00Z")
            page.evaluate("card.refresh()")
            expect(later).to_be_enabled()
            expect(day).to_have_value("2026-03-08")


class TestNow:
    def test_an_open_table_goes_on_open_and_focused(self, api):
        page = api.page
        page.evaluate(NOW_CARDS, _household(1_000))
        summary = page.locator(".now.electricity summary")
        summary.focus()
        page.keyboard.press("Enter")
        expect(page.locator(".now.electricity td").first).to_have_text("1.00 kWh")

        page.evaluate("(answer) => cards.show(answer)", _household(2_000))

        expect(page.locator(".now.electricity td").first).to_have_text("2.00 kWh")
        expect(summary).to_be_focused()


class TestInvoices:
    def test_two_quick_clicks_ask_for_earlier_ones_once(self, api):
        api.answers = [_page("03", "02", more=True), _page("01", more=True), _page("00")]
        api.page.evaluate(INVOICES)

        api.page.get_by_role("button", name="Earlier invoices").evaluate(TWO_CLICKS)
        api.when_asked(2)

        expect(api.page.locator(".invoice")).to_have_count(3)
        assert len(api.asked) == 2

    def test_stay_where_they_are_asked_for_again_in_vain(self, api):
        api.answers = [_page("03", "02", more=True), None]
        api.page.evaluate(INVOICES)

        api.page.evaluate("invoices.refresh('UTC')")
        api.when_asked(2)
        api.page.get_by_role("button", name="Earlier invoices").click()
        expect(api.page.locator("[role=status]", has_text="No store can answer")).to_be_visible()

        expect(api.page.locator(".invoice")).to_have_count(2)
        expect(api.page.get_by_role("button", name="Earlier invoices")).to_be_enabled()

    def test_an_open_one_stays_open_beside_a_new_one(self, api):
        invoice = {"number": "02", "currency": "USD", "total": 1, "lines": []}
        api.answers = [_page("02"), invoice, _page("03", "02"), invoice]
        api.page.evaluate(INVOICES)
        api.page.locator("summary", has_text="No 02").click()
        expect(api.page.locator(".invoice table")).to_have_count(1)

        api.page.evaluate("invoices.refresh('UTC')")

        expect(api.page.locator(".invoice")).to_have_count(2)
        expect(api.page.locator(".invoice[open]")).to_have_attribute("data-number", "02")


class TestLetters:
    def test_two_quick_clicks_ask_for_older_ones_once(self, api):
        api.answers = [_letters(9, 8, more=True), _letters(7, more=True), _letters(6)]
        api.page.evaluate(LETTERS)
        expect(api.page.locator("tbody tr")).to_have_count(2)

        api.page.get_by_role("button", name="Older letters").evaluate(TWO_CLICKS)
        api.when_asked(2)

        expect(api.page.locator("tbody tr")).to_have_count(3)
        assert len(api.asked) == 2

    def test_stay_as_they_are_when_older_ones_come_or_fail(self, api):
        api.answers = [_letters(9, 8, more=True), {}, None, _letters(7)]
        api.page.evaluate(LETTERS)
        first = api.page.get_by_role("button", name="Replay").first
        first.click()
        expect(api.page.locator("#host > p")).to_contain_text("was put back")

        api.page.get_by_role("button", name="Older letters").click()
        expect(api.page.locator("#host > p")).to_contain_text("No store can answer")
        expect(api.page.locator("tbody tr")).to_have_count(2)
        api.page.get_by_role("button", name="Older letters").click()

        expect(api.page.locator("tbody tr")).to_have_count(3)
        expect(first).to_be_disabled()


class TestCompares:
    @pytest.mark.parametrize(
        ("until", "words"),
        [
            ("2026-03-08T09:00:00-04:00", ["The same as yesterday", "0.90 kWh by 09:00, 2.40 kWh in all"]),
            # Of the day before, asked for before midnight.
            ("2026-03-07T23:00:00-05:00", ["Yesterday", "2.40 kWh in all"]),
        ],
    )
    def test_hold_today_against_as_much_of_yesterday(self, api, until, words):
        answer = _household(2_400)
        so_far = {"until": until, "today": 900, "yesterday": 900, "same_day_last_week": 1_800}
        of_last_week = {"so_far": so_far, "same_day_last_week": {"date": "2026-03-01", "usage": None}}
        answer["utilities"] = {name: {**use, **of_last_week} for name, use in answer["utilities"].items()}

        api.page.evaluate(NOW_CARDS, answer)

        yesterday, week_ago = api.page.locator(".now.electricity .compares p").all()
        expect(yesterday).to_have_text("".join(words))
        told = "50 % less than last Sunday" if until.startswith("2026-03-08") else "Last Sunday"
        expect(week_ago).to_contain_text(told)
        expect(week_ago).to_contain_text("not known")


class TestYesterday:
    def test_is_asked_for_until_it_is_known_and_once_for_each_load(self, api):
        loads = [{"as_of": f"2026-03-08T00:{minute}:00Z"} for minute in ("05", "06", "16", "17")]
        api.answers = [None, *({"items": [{"usage": usage}], "next": None} for usage in (None, 7))]

        told = api.page.evaluate(YESTERDAYS, ["gas", loads])

        assert told == [[None, None], [None, None], [7, 7], [7, 7]]
        assert len(api.asked) == 3


def _month(month: str, usage: int | None) -> dict[str, Any]:
    return {"from": f"{month}-01T00:00:00Z", "to": f"{month}-28T00:00:00Z", "usage": usage, "complete": True}


def _answer(items: list[dict[str, Any]]) -> dict[str, Any]:
    body = {"unit": "Wh", "as_of": "2026-03-08T12:00:00Z", "items": items, "next": None}
    return {"ok": True, "status": 200, "body": body}


def _household(usage: int) -> dict[str, Any]:
    hours = [{"from": "2026-03-08T00:00:00Z", "usage": usage, "complete": True, "quality": None}]
    day = {"date": "2026-03-08", "usage": usage, "usage_estimated": 0, "complete": True, "hours": hours}
    use = {"unit": "Wh", "rate_unit": "W", "now": None, "today": day, "yesterday": day}
    return {"as_of": "2026-03-08T01:00:00Z", "utilities": dict.fromkeys(("electricity", "gas", "water"), use)}


def _page(*numbers: str, more: bool = False) -> dict[str, Any]:
    head = {"kind": "invoice", "month": "2026-02", "total": 1, "currency": "USD", "version": 1}
    issued = {"issued_at": "2026-03-02T00:00:00Z", "stands": True}
    items = [{**head, **issued, "number": number} for number in numbers]
    return {"items": items, "next": f"after-{numbers[-1]}" if more else None}


def _letters(*offsets: int, more: bool = False) -> dict[str, Any]:
    letter = {"place": "0", "topic": "gas", "partition": 0, "reason": "too short", "size_bytes": 4}
    items = [{**letter, "offset": offset, "at": "2026-03-02T00:00:00Z"} for offset in offsets]
    return {"items": items, "next": "older" if more else None}
