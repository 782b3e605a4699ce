"""Regions and the country over time, and the quality of nights, over HTTP; small regions never singly."""

import datetime
import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from serving_builders import ELECTRICITY, InMemoryLive, InMemoryTruth, a_night, instant

from infra.contracts.live_state import RegionUse
from infra.contracts.utility import UTILITIES, Utility
from serving.api import shapes, shapes_country
from serving.figures.records import (
    NightQuality,
    ReconciliationCount,
    RegionDay,
    RevisedCount,
    RuleCount,
)
from serving.figures.regions import RegionMaster

NOW = instant("2026-06-04T20:30:05")
NIGHTS = [datetime.date(2026, 5, 1) + datetime.timedelta(days=day) for day in range(34)]
USERS = {"US-CA": 900, "US-NY": 400, "US-VT": 30, "US-WY": 3}  # Wyoming is hidden, and Vermont with it
ESTIMATED = 4  # users of each region
FEW = {"US-NY": 8, "US-VT": 6}
Ask = Callable[..., httpx.Response]


def a_day(night: datetime.date, region: str) -> RegionDay:
    hours = tuple(USERS[region] * (hour + night.day) for hour in range(24))
    return RegionDay(night, region, USERS[region], ESTIMATED, sum(hours), 7, hours)


@pytest.fixture
def live() -> InMemoryLive:
    return InMemoryLive(
        {},
        {
            code: {ELECTRICITY: RegionUse(NOW - 4_000, users, users, 1, users)}
            for code, users in USERS.items()
        },
    )


@pytest.fixture
def truth() -> InMemoryTruth:
    truth = InMemoryTruth({}, {}, {code: RegionMaster(code, "America/New_York") for code in USERS})
    truth.users = {code: {ELECTRICITY: users} for code, users in USERS.items()}
    truth.days = [a_day(night, region) for night, region in itertools.product(NIGHTS, sorted(USERS))]
    truth.published = [a_night(night) for night in reversed(NIGHTS)]
    truth.quality = NightQuality(
        [RuleCount("gap", 12, 11, 480), RuleCount("zero", 42, 40, 480)],
        [ReconciliationCount(Utility.GAS, "billing", "utility read", 41, 40, 99)],
        [RevisedCount("late data", 7, 2)],
    )
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


class TestRegionsNow:
    def test_show_small_ones_together_and_the_country_whole(self, ask: Ask) -> None:
        document = shapes.RegionsNow.model_validate_json(ask("/api/v1/regions").content)

        rates = {region.region: region.utilities.electricity for region in document.regions}
        assert {code: use.rate for code, use in rates.items() if use} == {
            "US-CA": 900,
            "US-NY": 400,
            "other": 33,
        }
        assert document.hidden_regions == 2
        assert document.country.electricity.rate == 1_333

    def test_do_not_tell_by_the_sum_of_others_which_of_them_fell_silent(
        self, ask: Ask, live: InMemoryLive
    ) -> None:
        live.region_uses["US-VT"][ELECTRICITY] = RegionUse(NOW - 90_000, 30, 30, 1, 30)

        document = shapes.RegionsNow.model_validate_json(ask("/api/v1/regions").content)

        [other] = [region for region in document.regions if region.region == "other"]
        assert other.utilities.electricity is not None
        assert (other.utilities.electricity.rate, other.utilities.electricity.stale) == (33, False)
        assert document.country.electricity.rate == 1_333
        assert document.notes == [
            "1 of the other regions are not heard just now and count by what they told last"
        ]

    def test_of_which_nothing_is_known_take_nobody_with_them(self, ask: Ask, live: InMemoryLive) -> None:
        del live.region_uses["US-WY"]
        truthless = {**live.region_uses, "US-WY": {}}
        live.region_uses = truthless

        document = shapes.RegionsNow.model_validate_json(ask("/api/v1/regions").content)

        rates = {region.region: region.utilities.electricity for region in document.regions}
        assert rates["other"] is None
        assert document.country.electricity.rate == 1_300

    def test_are_judged_by_meters_that_were_heard_while_mysql_is_away(
        self, ask: Ask, truth: InMemoryTruth
    ) -> None:
        truth.away = True

        document = ask("/api/v1/regions").json()

        assert [region["region"] for region in document["regions"]] == ["US-CA", "US-NY", "other"]
        assert document["sources"] == {"redis": "ok", "mysql": "away"}

    def test_of_one_are_as_in_the_list(self, ask: Ask) -> None:
        document = shapes_country.RegionNow.model_validate_json(ask("/api/v1/regions/US-NY").content)
        other = shapes_country.RegionNow.model_validate_json(ask("/api/v1/regions/other").content)

        assert document.utilities.electricity is not None
        assert document.utilities.electricity.rate == 400
        assert (other.name, other.region) == ("Other regions", "other")

    @pytest.mark.parametrize(
        ("code", "status", "kind"),
        [
            ("US-WY", 404, "region-not-shown"),
            ("US-VT", 404, "region-not-shown"),
            ("US-XX", 404, "region-unknown"),
            ("us-ny", 422, "request-malformed"),
        ],
    )
    def test_of_what_is_not_shown_are_refused(self, ask: Ask, code: str, status: int, kind: str) -> None:
        answer = ask(f"/api/v1/regions/{code}")

        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:meterbeat:problem:{kind}")


class TestUsage:
    PATH = "/api/v1/regions/US-NY/usage?utility=electricity"
    COUNTRY = "/api/v1/country/usage?utility=electricity"

    def test_of_a_region_is_that_of_its_nights(self, ask: Ask) -> None:
        page = shapes_country.RegionUsage.model_validate_json(ask(self.PATH).content)

        assert (page.from_, page.to, len(page.items)) == ("2026-05-05", "2026-06-05", 30)
        day = a_day(NIGHTS[4], "US-NY")
        assert page.items[0].from_ == "2026-05-05T00:00:00.000Z"
        first = page.items[0]
        assert (first.usage, first.users, first.users_estimated) == (day.usage, 400, ESTIMATED)
        assert first.usage_estimated is None

    @pytest.mark.parametrize("path", [PATH, COUNTRY, PATH.replace("US-NY", "other")])
    @pytest.mark.parametrize("limit", [1, 5, 30, 1_000])
    def test_in_pages_has_every_item_once_and_hours_sum_to_days(
        self, ask: Ask, path: str, limit: int
    ) -> None:
        period = "from=2026-05-30&to=2026-06-02"
        days = pages(ask, f"{path}&{period}&limit={limit}")
        hours = pages(ask, f"{path}&by=hour&{period}&limit={max(5, limit)}")

        assert (len(days), len(hours)) == (3, 72)
        assert sum(item["usage"] for item in days) == sum(item["usage"] for item in hours)
        assert [item["from"] for item in hours] == sorted({item["from"] for item in hours})

    def test_of_the_country_is_the_sum_of_what_is_shown(self, ask: Ask) -> None:
        country = ask(self.COUNTRY).json()["items"]
        shown = [
            ask(self.PATH.replace("US-NY", code)).json()["items"] for code in ("US-CA", "US-NY", "other")
        ]

        for total, *parts in zip(country, *shown, strict=True):
            assert total["usage"] == sum(part["usage"] for part in parts)
            assert total["users"] == sum(part["users"] for part in parts)
            assert total["users_estimated"] == sum(part["users_estimated"] for part in parts)

    def test_of_the_country_tells_what_is_estimated_of_many_alone(
        self, ask: Ask, truth: InMemoryTruth
    ) -> None:
        *before, last = truth.days
        truth.days = [*before, last._replace(users_estimated=ESTIMATED - 2)]

        items = ask(self.COUNTRY).json()["items"]

        assert {item["usage_estimated"] for item in items[:-1]} == {7 * len(USERS)}
        assert (items[-1]["users_estimated"], items[-1]["usage_estimated"]) == (14, None)

    def test_of_days_on_which_a_region_was_small_is_not_shown(self, ask: Ask, truth: InMemoryTruth) -> None:
        page = ask(self.PATH.replace("US-NY", "US-VT")).json()

        assert {item["usage"] for item in page["items"]} == {None}
        assert "days are not shown" in page["notes"][0]

    def test_of_what_is_published_has_a_tag_and_of_today_has_none(self, ask: Ask) -> None:
        past = ask(f"{self.COUNTRY}&from=2026-05-01&to=2026-06-01")

        again = ask(
            f"{self.COUNTRY}&from=2026-05-01&to=2026-06-01", headers={"If-None-Match": past.headers["etag"]}
        )

        assert again.status_code == 304
        assert ask(self.COUNTRY).headers["cache-control"] == "no-store"

    def test_is_told_while_redis_is_away_and_503_while_mysql_is(
        self, ask: Ask, live: InMemoryLive, truth: InMemoryTruth
    ) -> None:
        live.away = True
        assert ask(self.COUNTRY).status_code == 200

        truth.away = True
        assert ask(self.COUNTRY).status_code == 503

    @pytest.mark.parametrize(
        "query", ["by=month", "from=2026-06-02&to=2026-06-01", "cursor=abc", "limit=0", "utility=steam"]
    )
    def test_refuses_what_it_cannot_answer(self, ask: Ask, query: str) -> None:
        assert ask(f"{self.PATH}&{query}").status_code == 422

    def test_of_an_unknown_region_is_404(self, ask: Ask) -> None:
        assert ask(self.PATH.replace("US-NY", "US-XX")).status_code == 404


class TestQuality:
    def test_is_that_of_the_newest_night(self, ask: Ask, truth: InMemoryTruth) -> None:
        answer = ask("/api/v1/quality")

        document = shapes_country.Quality.model_validate_json(answer.content)
        assert (document.night, document.users) == ("2026-06-03", 1_333)
        assert document.usage.model_dump() == {"electricity": 10, "gas": 20, "water": 30}
        assert document.checksum == str(2**60 - 1)
        assert (document.findings[0].rule, document.findings[0].count) == ("gap", 12)
        assert [rule.amount for rule in document.findings] == [None, 480]
        assert document.notes == ["amounts of fewer than 15 users are not told"]
        assert document.sources.model_dump() == {"redis": "none", "mysql": "ok"}
        assert document.reconciliation[0].difference_total == 99
        assert document.revised[0].nights == 2
        again = ask("/api/v1/quality", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304

    def test_is_that_of_the_night_that_is_asked_for(self, ask: Ask) -> None:
        assert ask("/api/v1/quality?night=2026-05-05").json()["night"] == "2026-05-05"

    @pytest.mark.parametrize(
        ("night", "status"), [("2026-06-04", 404), ("1000-01-01", 404), ("9999-12-31", 404), ("x", 422)]
    )
    def test_of_another_night_is_refused(self, ask: Ask, night: str, status: int) -> None:
        assert ask(f"/api/v1/quality?night={night}").status_code == status

    def test_nights_in_pages_are_there_once(self, ask: Ask) -> None:
        whole = shapes_country.Nights.model_validate_json(ask("/api/v1/quality/nights").content)

        assert (whole.as_of, whole.notes) == ("2026-06-04T20:30:05.000Z", [])
        assert [item.night for item in whole.items] == [str(night) for night in reversed(NIGHTS)]
        paged = pages(ask, "/api/v1/quality/nights?limit=7")
        assert [item["night"] for item in paged] == [item.night for item in whole.items]

    def test_is_503_while_mysql_is_away(self, ask: Ask, truth: InMemoryTruth) -> None:
        truth.away = True

        assert ask("/api/v1/quality").status_code == 503
        assert ask("/api/v1/quality/nights").status_code == 503


class TestFewUsersInAll:
    """Fourteen users in the whole country: no address tells what they used."""

    @pytest.fixture
    def truth(self) -> InMemoryTruth:
        truth = InMemoryTruth({}, {}, {code: RegionMaster(code, "America/New_York") for code in FEW})
        truth.users = {code: {ELECTRICITY: users} for code, users in FEW.items()}
        truth.days = [
            RegionDay(night, code, users, 0, 24 * users, 0, (users,) * 24)
            for night, (code, users) in itertools.product(NIGHTS, FEW.items())
        ]
        few = dict.fromkeys(UTILITIES, 14)
        truth.published = [
            a_night(night)._replace(utility_users=few, utility_users_estimated=few)
            for night in reversed(NIGHTS)
        ]
        truth.quality = NightQuality(
            [RuleCount("gap", 1, 1, 480)],
            [ReconciliationCount(Utility.GAS, "billing", "utility read", 1, 1, 99)],
            [],
        )
        return truth

    @pytest.fixture
    def live(self) -> InMemoryLive:
        uses = {
            code: {ELECTRICITY: RegionUse(NOW - 4_000, 9, users, 1, users)} for code, users in FEW.items()
        }
        return InMemoryLive({}, uses)

    @pytest.mark.parametrize("by", ["hour", "day"])
    @pytest.mark.parametrize("whose", ["country", "regions/other", "regions/US-NY"])
    def test_used_what_nobody_is_told(self, ask: Ask, whose: str, by: str) -> None:
        page = ask(f"/api/v1/{whose}/usage?utility=electricity&by={by}").json()

        assert {(item["usage"], item["users"], item["usage_estimated"]) for item in page["items"]} == {
            (None, None, None)
        }
        assert "days are not shown" in page["notes"][0]

    @pytest.mark.parametrize("published", [True, False])
    def test_use_now_what_nobody_is_told(self, ask: Ask, truth: InMemoryTruth, published: bool) -> None:
        truth.users = truth.users if published else {}

        document = shapes.RegionsNow.model_validate_json(ask("/api/v1/regions").content)

        assert [region.utilities.electricity for region in document.regions] == [None]
        assert (document.country.electricity.rate, document.country.electricity.active_meters) == (None, 0)
        assert "fewer than 15 users are known of electricity" in document.notes[0]
        assert ask("/api/v1/country").json()["country"]["electricity"]["rate"] is None
        assert ask("/api/v1/regions/US-NY").status_code == 404

    @pytest.mark.parametrize("path", ["/api/v1/quality", "/api/v1/quality/nights", "/api/v1/operations"])
    def test_are_in_no_nights_amounts(self, ask: Ask, path: str) -> None:
        document = ask(path).json()
        nights = document.get("items") or document.get("nights") or [document]

        for night in nights:
            assert set(night["usage"].values()) | set(night["usage_estimated"].values()) == {None}

    def test_are_in_no_amount_of_what_was_estimated_for_them(self, ask: Ask, truth: InMemoryTruth) -> None:
        many = dict.fromkeys(UTILITIES, 20)
        truth.published = [one._replace(utility_users=many) for one in truth.published]

        night = ask("/api/v1/quality").json()

        assert set(night["usage"].values()) == {10, 20, 30}
        assert set(night["usage_estimated"].values()) == {None}

    def test_are_in_no_amount_of_what_was_found(self, ask: Ask) -> None:
        document = ask("/api/v1/quality").json()

        assert document["findings"][0]["amount"] is None
        assert document["reconciliation"][0]["difference_total"] is None


def test_no_region_is_called_unknown_while_mysql_is_away(ask: Ask, truth: InMemoryTruth) -> None:
    assert ask("/api/v1/regions/US-XX/usage?utility=electricity").status_code == 404

    truth.away = True

    assert ask("/api/v1/regions/US-CA/usage?utility=electricity").status_code == 503
