"""Exports over HTTP: the same hours as the usage route tells, whole or refused."""

import asyncio
import csv
import dataclasses
import datetime
import io
from collections.abc import Callable

import duckdb
import httpx
import pytest
from greenbutton_objects import parse
from serving_builders import USER_ID, InMemoryLive, InMemoryTruth, Meter, a_household, instant

from infra.contracts.durations import DAY_MS
from serving.access.identity import owned_by_this_machine
from serving.access.refusal import Refusal
from serving.api import exports

START = instant("2026-02-01T00:00")
NOW = instant("2026-04-04T20:30:05")
METER = Meter(START, list(range(24 * 63)))
NIGHTS = range(START, instant("2026-04-04"), DAY_MS)
HOUSEHOLD = f"/api/v1/households/{USER_ID}"
PERIOD = "utility=electricity&from=2026-02-20&to=2026-04-05"
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


def told(ask: Ask) -> list[tuple[float, int | None, int | None]]:
    """Return the same hours as the usage route tells them: start, usage, cost."""
    answer = ask(f"{HOUSEHOLD}/usage?{PERIOD}&by=hour&limit=8784").json()
    assert answer["next"] is None
    return [(seconds(item["from"]), item["usage"], item["cost_micro"]) for item in answer["items"]]


def seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


class TestExport:
    def test_as_csv_has_the_hours_of_the_usage_route(self, ask):
        answer = ask(f"{HOUSEHOLD}/export?format=csv&{PERIOD}")

        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == (
            f'attachment; filename="meterbeat-{USER_ID}-2026-02-20-2026-04-05.csv"'
        )
        assert answer.headers["cache-control"] == "no-store"
        assert [
            (
                seconds(row["from"]),
                int(row["usage"]) if row["usage"] else None,
                round(float(row["cost"]) * 10**8) if row["cost"] else None,
            )
            for row in rows
        ] == told(ask)

    def test_as_parquet_has_the_hours_of_the_usage_route(self, ask, tmp_path):
        path = tmp_path / "hours.parquet"
        path.write_bytes(ask(f"{HOUSEHOLD}/export?format=parquet&{PERIOD}").content)

        rows = duckdb.execute(f"SELECT epoch(start), usage, cost_micro FROM '{path}'").fetchall()

        assert rows == told(ask)

    def test_as_green_button_has_the_hours_of_the_usage_route(self, ask, tmp_path):
        path = tmp_path / "hours.xml"
        answer = ask(f"{HOUSEHOLD}/export?format=espi&{PERIOD}")
        path.write_bytes(answer.content)

        [point] = parse.parse_feed(path)
        [readings] = point.meterReadings

        assert answer.headers["content-type"] == "application/atom+xml"
        assert [
            (reading.timePeriod.start.timestamp(), reading.value) for reading in readings.intervalReadings
        ] == [(start, usage) for start, usage, _ in told(ask) if usage is not None]

    def test_says_of_which_hours_a_part_was_counted(self, ask, tmp_path):
        path = tmp_path / "hours.xml"
        query = "utility=electricity&from=2026-01-31&to=2026-04-05"
        path.write_bytes(ask(f"{HOUSEHOLD}/export?format=espi&{query}").content)
        text = ask(f"{HOUSEHOLD}/export?format=csv&{query}").text

        rows = [row for row in csv.DictReader(io.StringIO(text, newline="")) if row["usage"]]
        [point] = parse.parse_feed(path)
        [readings] = point.meterReadings
        periods = [reading.timePeriod for reading in readings.intervalReadings]

        assert [row["complete"] for row in rows] == ["false", *["true"] * (len(rows) - 2), "false"]
        first_heard_at, heard_at = START / 1000 + 1, NOW / 1000 - 5
        assert (periods[0].start.timestamp(), periods[0].duration.total_seconds()) == (first_heard_at, 3_599)
        assert periods[-1].start.timestamp() + periods[-1].duration.total_seconds() == heard_at
        assert {one.duration.total_seconds() for one in periods[1:-1]} == {3_600}

    def test_of_every_utility_has_one_after_the_other(self, ask):
        text = ask(f"{HOUSEHOLD}/export?format=csv&from=2026-03-08&to=2026-03-09").text

        utilities = [row["utility"] for row in csv.DictReader(io.StringIO(text))]
        assert utilities == ["electricity"] * 23 + ["gas"] * 23 + ["water"] * 23

    def test_has_the_last_31_days_by_default(self, ask):
        text = ask(f"{HOUSEHOLD}/export?format=csv&utility=electricity").text

        rows = list(csv.DictReader(io.StringIO(text)))
        assert rows[0]["from"] == "2026-03-05T00:00:00-05:00"
        assert rows[-1]["from"] == "2026-04-04T16:00:00-04:00"

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "format=xlsx",
            "format=csv&utility=steam",
            "format=csv&from=2026-03-02&to=2026-03-01",
            "format=csv&from=2000-01-01&to=2026-01-01",
            "format=csv&from=yesterday",
        ],
    )
    def test_of_what_is_no_range_is_refused(self, ask, query):
        answer = ask(f"{HOUSEHOLD}/export?{query}")

        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"

    def test_of_a_user_who_is_not_is_refused(self, ask):
        assert ask(f"/api/v1/households/{USER_ID + 1}/export?format=csv").status_code == 404

    def test_is_refused_where_hours_would_be_missing_for_a_store_alone(self, ask, live, truth):
        live.away = True
        until_now, past = "from=2026-03-01", "from=2026-02-10&to=2026-03-01"
        refused = ask(f"{HOUSEHOLD}/export?format=csv&{until_now}")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert ask(f"{HOUSEHOLD}/export?format=csv&{past}").status_code == 200

        live.away, truth.away = False, True
        assert ask(f"{HOUSEHOLD}/export?format=csv&{past}").status_code == 503

    def test_gives_its_place_back(self, ask, monkeypatch):
        monkeypatch.setattr(exports, "UNDER_WAY_MAX", 1)

        assert [ask(f"{HOUSEHOLD}/export?format=csv").status_code for _ in range(3)] == [200] * 3

        monkeypatch.setattr(exports, "UNDER_WAY_MAX", 0)
        assert ask(f"{HOUSEHOLD}/export?format=csv").status_code == 503

    def test_of_one_user_do_not_take_all_places(self):
        async def story() -> None:
            places, one, other = exports.Places(), *map(owned_by_this_machine, (USER_ID, USER_ID + 1))
            async with places.place(one), places.place(one):
                with pytest.raises(Refusal) as refused:
                    await places.place(one).__aenter__()
                async with places.place(other):
                    pass
            async with places.place(one):
                pass
            assert refused.value.status == 429

        asyncio.run(story())
