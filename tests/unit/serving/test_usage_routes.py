"""Usage over a range over HTTP: pages, tags, limits, and a store away."""

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from serving_builders import ELECTRICITY, USER_ID, InMemoryLive, InMemoryTruth, Meter, a_household, instant

from infra.contracts.durations import DAY_MS
from serving.api import shapes, shapes_usage
from serving.figures.regions import RegionMaster
from serving.lookups import usage as usage_lookup
from serving.stores.sources import StoreAway

START = instant("2026-05-01T00:00")
NOW = instant("2026-06-04T20:30:05")
METER = Meter(START, list(range(24 * 36)))
NIGHTS = range(START, instant("2026-06-04"), DAY_MS)
USAGE = f"/api/v1/households/{USER_ID}/usage?utility=electricity"
Ask = Callable[..., httpx.Response]


@pytest.fixture
def live() -> InMemoryLive:
    return InMemoryLive({USER_ID: METER.live(NOW - 5_000, extra=7)})


@pytest.fixture
def truth() -> InMemoryTruth:
    published = METER.truth(*NIGHTS)
    rows = tuple(row._replace(price_steps="0:12345") for row in published.rows)
    household = a_household()._replace(currency="USD")
    return InMemoryTruth({USER_ID: household}, {USER_ID: dataclasses.replace(published, rows=rows)})


@pytest.fixture
def ask(asking: Callable[..., Ask], live: InMemoryLive, truth: InMemoryTruth) -> Ask:
    return asking(live, truth, NOW)


def a_page(answer: httpx.Response) -> shapes_usage.UsageRange:
    assert answer.status_code == 200, answer.text
    return shapes_usage.UsageRange.model_validate_json(answer.content)


def pages(ask: Ask, path: str) -> list[Any]:
    items, following = [], None
    while True:
        page = ask(f"{path}&cursor={following}" if following else path).json()
        items += page["items"]
        following = page["next"]
        if following is None:
            return items


class TestUsage:
    def test_a_range_may_be_as_long_as_is_said_though_no_end_is(self, ask: Ask) -> None:
        assert ask(f"{USAGE}&by=hour&from=2025-06-04").status_code == 200  # 366 days, today with them
        assert ask(f"{USAGE}&by=hour&from=2025-06-03").status_code == 422

    def test_months_are_computed_beside_the_event_loop(self, ask: Ask, monkeypatch) -> None:
        threads = []
        computed = usage_lookup.usages
        monkeypatch.setattr(
            usage_lookup,
            "usages",
            lambda *of: (threads.append(threading.current_thread()), computed(*of))[1],
        )
        monkeypatch.setattr(usage_lookup, "NIGHTS_INLINE_MAX", 30)

        a_page(ask(f"{USAGE}&by=month"))
        a_page(ask(f"{USAGE}&from=2026-06-01"))

        assert [thread is threading.main_thread() for thread in threads] == [False, True]

    def test_by_day_has_the_last_31_local_days_by_default(self, ask: Ask) -> None:
        page = a_page(ask(USAGE))

        assert (page.from_, page.to, len(page.items)) == ("2026-05-05", "2026-06-05", 31)
        first, last = page.items[0], page.items[-1]
        start, end = instant("2026-05-05T00:00-04:00"), instant("2026-05-06T00:00-04:00")
        assert first.from_ == "2026-05-05T00:00:00-04:00"
        assert first.usage == METER.usage(start, end)
        assert (first.complete, first.quality, first.source) == (True, "measured", "truth")
        assert first.cost_micro == 12_345 * METER.usage(start, end)
        assert first.cost == round(12_345 * METER.usage(start, end) / 1_000_000)
        assert last.usage == METER.usage(instant("2026-06-04T04:00"), instant("2026-06-04T20:00")) + 7
        assert (last.complete, last.cost, last.cost_complete, last.source) == (True, None, False, "live")
        assert page.currency == "USD"

    @pytest.mark.parametrize("limit", [1, 7, 100])
    @pytest.mark.parametrize("by", ["hour", "day", "month"])
    def test_in_pages_has_every_item_once(self, ask: Ask, by: str, limit: int) -> None:
        path = f"{USAGE}&by={by}&from=2026-05-28&to=2026-06-03"

        whole, paged = pages(ask, path), pages(ask, f"{path}&limit={limit}")

        assert paged == whole
        assert len(whole) == {"hour": 144, "day": 6, "month": 2}[by]

    def test_leaves_out_what_has_not_begun(self, ask: Ask) -> None:
        page = a_page(ask(f"{USAGE}&by=hour&from=2026-06-04&to=2026-06-30"))

        assert [item.from_ for item in page.items][-1] == "2026-06-04T16:00:00-04:00"
        assert page.next is None
        assert a_page(ask(f"{USAGE}&from=2026-07-01&to=2026-07-05")).items == []

    def test_waits_once_for_a_store_that_is_away(self, ask: Ask, truth: InMemoryTruth, monkeypatch) -> None:
        zones_asked = asyncio.Event()

        async def usage(*_: object) -> None:
            await asyncio.wait_for(zones_asked.wait(), 5)
            raise StoreAway("MySQL is away")

        async def regions() -> dict[str, RegionMaster]:
            zones_asked.set()
            return {"US-NY": RegionMaster("New York", "America/New_York")}

        monkeypatch.setattr(truth, "usage", usage)
        monkeypatch.setattr(truth, "regions", regions)

        page = a_page(ask(USAGE))

        assert (page.zone, page.sources.mysql) == ("America/New_York", "away")

    def test_a_month_that_runs_ends_with_the_month_or_the_range(self, ask: Ask) -> None:
        last = [
            a_page(ask(f"{USAGE}&by=month&from=2026-05-01&to={to}")).items[-1]
            for to in ("2026-06-20", "2027-01-01")
        ]

        assert [item.to[:10] for item in last] == ["2026-06-20", "2026-07-01"]
        assert last[0].usage == last[1].usage and last[1].complete

    def test_of_what_is_published_whole_is_answered_once(self, ask: Ask) -> None:
        path = f"{USAGE}&from=2026-05-10&to=2026-05-20"
        answer = ask(path)

        again = ask(path, headers={"If-None-Match": f'"another", {answer.headers["etag"]}'})

        assert answer.headers["cache-control"] == "private, no-cache"
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
        assert ask(path, headers={"If-None-Match": '"another"'}).status_code == 200

    def test_of_now_is_never_kept(self, ask: Ask) -> None:
        answer = ask(USAGE)

        assert "etag" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize(
        "query",
        [
            "by=week",
            "from=2026-06-02&to=2026-06-01",
            "by=hour&from=2020-01-01&to=2026-01-01",
            "from=1000-01-01",
            "to=9999-12-31",
            "from=1748736000",
            "from=2026-13-01",
            "limit=0",
            "limit=8785",
            "cursor=abc",
            "cursor=%F0%9F%8F%A0",
            "cursor=WyJ1c2FnZSIsImRheSIsIjIwMjYtMDUtMDEiLCIyMDI2LTA2LTAxIiwxXQ",
            "cursor=WyJ1c2FnZSIsImRheSIsIjIwMjYtMDUtMDEiLCIyMDI2LTA2LTAxIix0cnVlXQ",
        ],
    )
    def test_refuses_what_it_cannot_answer(self, ask: Ask, query: str) -> None:
        answer = ask(f"{USAGE}&{query}")

        assert answer.status_code == 422
        assert shapes.Problem.model_validate_json(answer.content).status == 422

    def test_refuses_an_unknown_utility(self, ask: Ask) -> None:
        assert ask(USAGE.replace("electricity", "steam")).status_code == 422

    def test_of_an_unknown_user_is_404(self, ask: Ask) -> None:
        assert ask(USAGE.replace(str(USER_ID), "10000043")).status_code == 404


class TestUsageWithAStoreAway:
    def test_is_the_nightly_truth_while_redis_is_away(self, ask: Ask, live: InMemoryLive) -> None:
        live.away = True

        page = a_page(ask(f"{USAGE}&from=2026-06-01&to=2026-06-05"))

        assert page.sources.model_dump() == {"redis": "away", "mysql": "ok"}
        assert page.truth_until == "2026-06-04T00:00:00.000Z"
        assert [item.complete for item in page.items] == [True, True, False, False]
        assert page.items[2].usage == METER.usage(instant("2026-06-03T04:00"), instant("2026-06-04"))
        assert page.items[3].usage is None
        assert any("live state is away" in note for note in page.notes)

    def test_is_live_state_while_mysql_is_away(self, ask: Ask, truth: InMemoryTruth) -> None:
        truth.away = True

        page = a_page(ask(f"{USAGE}&by=hour&from=2026-06-01&to=2026-06-05"))

        assert page.sources.model_dump() == {"redis": "ok", "mysql": "away"}
        known = {item.from_: item.usage for item in page.items if item.usage is not None}
        assert known["2026-06-04T19:00:00+00:00"] == METER.usage(
            NOW - NOW % 3_600_000 - 3_600_000, NOW - NOW % 3_600_000
        )
        assert {item.source for item in page.items if item.usage is not None} == {"live"}
        assert {item.cost for item in page.items} == {None}
        assert any("truth is away" in note for note in page.notes)

    def test_is_503_while_both_are(self, ask: Ask, live: InMemoryLive, truth: InMemoryTruth) -> None:
        live.away = truth.away = True

        answer = ask(USAGE)

        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0


class TestKnownUtility:
    def test_is_the_one_that_was_asked_for(self, ask: Ask) -> None:
        page = a_page(ask(USAGE.replace(ELECTRICITY, "water")))

        assert {item.usage for item in page.items} == {None}
        assert page.unit == "L"
