"""Invoices, revisions and alerts over HTTP: pages, tags, strangers, and a store away."""

import datetime
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from serving_builders import USER_ID, InMemoryLive, InMemoryTruth, Meter, a_household, instant

from infra.contracts.durations import DAY_MS
from infra.contracts.quality import Rule
from infra.contracts.utility import Utility
from serving.api import shapes, shapes_user
from serving.figures.alerts import Finding
from serving.figures.records import Invoice, InvoiceLine, Predecessor

START = instant("2026-06-01T00:00")
NOW = instant("2026-06-04T20:30:05")
METER = Meter(START, [100] * 24 * 5)
HOUSEHOLD = f"/api/v1/households/{USER_ID}"
Ask = Callable[..., httpx.Response]


def an_invoice(month: int, version: int = 1, reverses: str | None = None) -> Invoice:
    number = f"2026-{month:02}-{USER_ID}-{version}"
    return Invoice(
        number=f"{number}-credit" if reverses else number,
        kind="credit" if reverses else "invoice",
        month=datetime.date(2026, month, 1),
        version=version,
        reverses=reverses,
        zone="America/New_York",
        currency="USD",
        total=-8_412 if reverses else 8_412,
        truth_until=NOW - DAY_MS,
        issued_at=NOW - DAY_MS,
        stands=reverses is None,
    )


ENERGY = InvoiceLine(
    *(1, Utility.ELECTRICITY, "energy", "peak", 0, 214_802, 12, "Wh", 16_000, 3_437),
    *(datetime.date(2026, 4, 1), datetime.date(2026, 5, 1), datetime.date(2026, 4, 1)),
    datetime.date(2026, 5, 1),
)
TAX = InvoiceLine(
    *(2, Utility.ELECTRICITY, "tax", "MwSt", 0, 3_437, 0, "minor", 190_000, 653),
    *(datetime.date(2026, 4, 1), datetime.date(2026, 5, 1), None, None),
)


@pytest.fixture
def live() -> InMemoryLive:
    return InMemoryLive({USER_ID: METER.live(NOW - 5_000)})


@pytest.fixture
def truth() -> InMemoryTruth:
    truth = InMemoryTruth({USER_ID: a_household()}, {USER_ID: METER.truth(START + DAY_MS)})
    truth.bills = [
        (an_invoice(4), [ENERGY, TAX]),
        (an_invoice(4, reverses=an_invoice(4).number), [ENERGY]),
        (an_invoice(4, version=2), [ENERGY]),
        (an_invoice(5), [ENERGY]),
    ]
    truth.predecessors = [
        Predecessor(datetime.date(2026, 6, day), NOW - DAY_MS + known, NOW, 90, 100, "late data")
        for day in (1, 2)
        for known in (0, 1, 2)
    ]
    truth.findings = [Finding(START + DAY_MS, Utility.ELECTRICITY, Rule.GAP, 3, 6, 412)]
    return truth


@pytest.fixture
def ask(asking: Callable[..., Ask], live: InMemoryLive, truth: InMemoryTruth) -> Ask:
    return asking(live, truth, NOW)


def pages(ask: Ask, path: str) -> list[Any]:
    items, following = [], None
    while True:
        page = ask(f"{path}&cursor={following}" if following else path).json()
        items += page["items"]
        following = page["next"]
        if following is None:
            return items


class TestInvoices:
    def test_have_the_newest_first_and_say_which_stands(self, ask: Ask) -> None:
        page = shapes_user.Invoices.model_validate_json(ask(f"{HOUSEHOLD}/invoices").content)

        numbers = [f"2026-05-{USER_ID}-1", f"2026-04-{USER_ID}-2", f"2026-04-{USER_ID}-1-credit"]
        assert [item.number for item in page.items] == [*numbers, f"2026-04-{USER_ID}-1"]
        assert (page.items[0].month, page.items[0].total, page.items[0].stands) == ("2026-05", 8_412, True)
        assert (page.items[2].kind, page.items[2].stands) == ("credit", False)

    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_in_pages_are_there_once(self, ask: Ask, limit: int) -> None:
        whole = ask(f"{HOUSEHOLD}/invoices").json()["items"]

        assert pages(ask, f"{HOUSEHOLD}/invoices?limit={limit}") == whole

    def test_are_told_whole_with_their_lines(self, ask: Ask) -> None:
        answer = ask(f"{HOUSEHOLD}/invoices/2026-04-{USER_ID}-1")

        document = shapes_user.InvoiceDetail.model_validate_json(answer.content)
        assert [(line.component, line.amount) for line in document.lines] == [("energy", 3_437), ("tax", 653)]
        assert document.lines[0].night_to == "2026-05-01"
        again = ask(
            f"{HOUSEHOLD}/invoices/2026-04-{USER_ID}-1", headers={"If-None-Match": answer.headers["etag"]}
        )
        assert again.status_code == 304

    @pytest.mark.parametrize(
        ("number", "status"),
        [(f"2026-03-{USER_ID}-1", 404), ("2026-04-10000043-1", 404), ("1' OR '1'='1", 422), ("x" * 99, 422)],
    )
    def test_of_another_number_are_not_told(self, ask: Ask, number: str, status: int) -> None:
        answer = ask(f"{HOUSEHOLD}/invoices/{number}")

        assert answer.status_code == status
        assert shapes.Problem.model_validate_json(answer.content).status == status

    @pytest.mark.parametrize("cursor", ["abc", "WyJpbnZvaWNlcyIsIngiLDEsMV0", "W10", "bnVsbA"])
    def test_refuse_a_cursor_that_is_not_theirs(self, ask: Ask, cursor: str) -> None:
        answer = ask(f"{HOUSEHOLD}/invoices?cursor={cursor}")

        assert answer.status_code == 422
        assert "cursor" in answer.json()["detail"]


class TestRevisions:
    PATH = f"{HOUSEHOLD}/usage/electricity/revisions"

    def test_tell_what_was_known_when_and_why_it_changed(self, ask: Ask) -> None:
        page = shapes_user.Revisions.model_validate_json(ask(self.PATH).content)

        first = page.items[0]
        assert (first.date, first.usage, first.usage_now, first.reason) == (
            "2026-06-01",
            90,
            100,
            "late data",
        )
        assert first.known_until == "2026-06-04T20:30:05.000Z"
        assert len(page.items) == 6

    @pytest.mark.parametrize("limit", [1, 4, 6])
    def test_in_pages_are_there_once(self, ask: Ask, limit: int) -> None:
        whole = ask(self.PATH).json()["items"]

        assert pages(ask, f"{self.PATH}?limit={limit}") == whole

    def test_are_of_the_days_that_are_asked_for(self, ask: Ask) -> None:
        page = ask(f"{self.PATH}?from=2026-06-02&to=2026-06-03").json()

        assert {item["date"] for item in page["items"]} == {"2026-06-02"}
        assert ask(f"{self.PATH}?from=2000-01-01&to=2026-06-03").status_code == 422


class TestAlerts:
    def test_are_told(self, ask: Ask) -> None:
        document = shapes_user.Alerts.model_validate_json(ask(f"{HOUSEHOLD}/alerts").content)

        [gap] = document.items
        assert (gap.kind, gap.amount, gap.unit, gap.until) == ("gap", 412, "Wh", "2026-06-02T06:00:00.000Z")
        assert document.notes == []

    def test_say_which_are_missing_while_a_store_is_away(
        self, ask: Ask, live: InMemoryLive, truth: InMemoryTruth
    ) -> None:
        truth.away = True
        without_truth = shapes_user.Alerts.model_validate_json(ask(f"{HOUSEHOLD}/alerts").content)
        truth.away, live.away = False, True
        without_live = shapes_user.Alerts.model_validate_json(ask(f"{HOUSEHOLD}/alerts").content)

        assert without_truth.sources.model_dump() == {"redis": "ok", "mysql": "away"}
        assert without_truth.notes == ["the nightly truth is away; only silent meters are told of"]
        assert without_live.notes == ["live state is away; silent meters are not told of"]
        assert len(without_live.items) == 1


@pytest.mark.parametrize("query", ["to=0001-01-01", "from=0001-01-01", "to=9999-12-31", "from=9999-12-31"])
@pytest.mark.parametrize("path", ["usage/gas/revisions?", "usage?utility=gas&", "export?format=csv&"])
def test_dates_beyond_the_calendar_are_refused(ask: Ask, path: str, query: str) -> None:
    assert ask(f"{HOUSEHOLD}/{path}{query}").status_code == 422


@pytest.mark.parametrize(
    "path", ["invoices", f"invoices/2026-04-{USER_ID}-1", "usage/gas/revisions", "alerts"]
)
def test_every_answer_says_when_and_by_whom_it_was_told(ask: Ask, path: str) -> None:
    document = ask(f"{HOUSEHOLD}/{path}").json()

    assert document["as_of"] == "2026-06-04T20:30:05.000Z"
    assert document["sources"]["mysql"] == "ok"
    assert document["notes"] == []


@pytest.mark.parametrize("path", ["invoices", "usage/gas/revisions"])
def test_a_list_of_a_user_whom_no_night_told_of_is_redis_word(
    ask: Ask, live: InMemoryLive, path: str
) -> None:
    live.states = {10_000_044: METER.live(NOW - 5_000)}

    document = ask(f"/api/v1/households/10000044/{path}").json()

    assert document["sources"] == {"redis": "ok", "mysql": "none"}


@pytest.mark.parametrize("path", ["invoices", "usage/gas/revisions", "alerts"])
class TestEveryList:
    def test_of_an_unknown_user_is_404(self, ask: Ask, path: str) -> None:
        answer = ask(f"/api/v1/households/10000043/{path}")

        assert (answer.status_code, answer.json()["type"]) == (404, "urn:meterbeat:problem:user-unknown")

    def test_is_503_while_both_stores_are_away(
        self, ask: Ask, live: InMemoryLive, truth: InMemoryTruth, path: str
    ) -> None:
        live.away = truth.away = True

        answer = ask(f"{HOUSEHOLD}/{path}")

        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0

    def test_of_a_user_whom_no_night_has_told_of_is_empty(
        self, ask: Ask, live: InMemoryLive, truth: InMemoryTruth, path: str
    ) -> None:
        live.states = {10_000_044: METER.live(NOW - 5_000)}
        truth.bills, truth.predecessors, truth.findings = [], [], []

        assert ask(f"/api/v1/households/10000044/{path}").json()["items"] == []
