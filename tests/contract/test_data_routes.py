"""Every route of data over a real MySQL and a real Redis: a fleet is published, and read back to the unit."""

import asyncio
import datetime
import importlib

import httpx
import night_builders as nights
import numpy as np
import pytest
import redis
from fleet_builders import (
    DATES,
    DAY,
    FIRST,
    FLEET,
    HOUSEHOLDS,
    LAST,
    NOW,
    NUMBER,
    T,
    cost_between,
    hourly,
    instant,
    issue_invoice,
    register,
    rows_of,
    used,
)
from night_builders import USER, connected, serving_source

from batch.night import Night
from infra.contracts.durations import HOUR_MS
from infra.contracts.live_state import (
    LOAD_DTYPE,
    LOAD_SLOT_MS,
    LOAD_SLOTS,
    MARKS_DROPPED,
    MARKS_FIELD,
    MARKS_HEAD_DTYPE,
    NOW_DTYPE,
    NOW_FIELD,
    REGION_DTYPE,
    REGION_FIELD,
    REGIONS_KEY,
    live_key,
    load_key,
    region_key,
)
from infra.contracts.nightly import USAGE_DAYS_COLUMNS
from serving import app as serving_app
from serving.access.identity import Role
from serving.access.limits import limits
from serving.access.revocation import Revocations
from serving.access.session import Access
from serving.access.tokens import Tokens
from serving.api.households import USERS_TOGETHER_MAX
from serving.stores import near_truth
from serving.stores.redis_source import RedisSource

KEY = b"a key of this test alone, long enough to sign with it"
TIMEOUT_MS = 20_000  # a busy machine is slow, not wrong
HOUSEHOLD = f"/api/v1/households/{USER}"


@pytest.fixture(scope="module")
def settings(services):
    return nights.own_database(services)


@pytest.fixture(scope="module")
def published(settings, database):
    """The fleet's nights, one of them published anew; an invoice, and live state."""
    findings = [(USER, str(LAST), "electricity", *one) for one in (("gap", 3, 5, 77), ("leak", 0, 24, 99))]
    reconciled = [(USER, str(LAST), "electricity", 10, 12, None, 12, "validated", "stream differs")]
    quality = USAGE_DAYS_COLUMNS.index("quality")
    estimated = [list(row) for row in rows_of(LAST)]
    for row in estimated[:2]:
        row[quality] = "E" * 24
        row[USAGE_DAYS_COLUMNS.index("usage_estimated")] = row[USAGE_DAYS_COLUMNS.index("usage_total")]
    told = [(date, rows_of(date)) for date in DATES] + [(LAST, [tuple(row) for row in estimated])]
    for hour, (date, rows) in enumerate(told):
        nights.publish(
            database,
            Night(date),
            rows,
            datetime.datetime.combine(date + DAY, datetime.time(1), datetime.UTC)
            + hour * datetime.timedelta(0, 60),
            findings=findings if date == LAST else (),
            reconciliations=reconciled if date == LAST else (),
            households=HOUSEHOLDS,
        )
    issue_invoice(settings)
    return settings


@pytest.fixture(scope="module")
def live(services):
    """Live state in a database of Redis of its own: USER's meter of now, and the regions."""
    url = services.settings.redis_url.rpartition("/")[0] + "/7"
    store = redis.Redis.from_url(url)
    store.flushdb()
    now, heads = np.zeros(3, NOW_DTYPE), np.zeros(3, MARKS_HEAD_DTYPE)
    hour = NOW // HOUR_MS
    now[0] = (NOW - 3_000, register(USER, hour * HOUR_MS) + 2, 700, 1)
    marks = [register(USER, at * HOUR_MS) for at in range(T // HOUR_MS, hour + 1)]
    heads[0] = (T // HOUR_MS - 1 + MARKS_DROPPED, len(marks))
    packed = heads.tobytes() + np.array(marks, "<u4").tobytes()
    store.hset(
        live_key(USER), mapping={NOW_FIELD: now.tobytes(), MARKS_FIELD: packed, REGION_FIELD: b"US-CA"}
    )
    for code, rate in (("US-CA", 5_000), ("US-NY", 3_000)):
        window = np.array([(NOW - 4_000, rate, 17, 1)], REGION_DTYPE)
        store.hset(region_key(code), mapping={b"e": window.tobytes(), b"ke": b"18"})
        store.sadd(REGIONS_KEY, code)
        rings = np.zeros((3, LOAD_SLOTS), LOAD_DTYPE)
        newest = NOW // LOAD_SLOT_MS
        for slot in range(newest - LOAD_SLOTS + 1, newest + 1):
            rings[0, slot % LOAD_SLOTS] = (slot, 0, rate + slot % 7)
        store.set(load_key(code), rings.tobytes())
    yield url
    store.flushdb()
    store.close()


def ask(published, live, path, role=Role.OPERATOR, **headers):
    """Ask the application over the real stores."""

    async def asked():
        tokens = Tokens((KEY,), lambda: NOW)
        mysql = serving_source(published, TIMEOUT_MS, lambda: NOW)
        source = RedisSource(live, TIMEOUT_MS, lambda: NOW)
        spending = limits(source, 1_000_000, 1_000_000, lambda: NOW)
        access = Access(tokens, spending, Revocations(source, lambda: NOW), False)
        application = serving_app.build(source, mysql, access, lambda: NOW)
        user = USER if role is Role.HOUSEHOLD else None
        told = {"Authorization": f"Bearer {tokens.issue(role, user)}", **headers}
        transport = httpx.ASGITransport(application)
        async with (
            application.router.lifespan_context(application),
            httpx.AsyncClient(transport=transport, base_url="http://test", headers=told) as client,
        ):
            found, following = [], None
            while True:
                answer = await client.get(f"{path}&cursor={following}" if following else path)
                document = answer.json() if answer.content else {}
                found += document.get("items", [])
                following = document.get("next")
                if following is None:
                    return answer, document, found

    return asyncio.run(asked())


@pytest.fixture
def get(published, live):
    return lambda path, **headers: ask(published, live, path, **headers)


class TestUsage:
    PATH = f"{HOUSEHOLD}/usage?utility=electricity"

    @pytest.mark.parametrize("limit", [7, 1_000])
    def test_by_hour_day_and_month_is_the_fleets_own_and_its_cost_the_invoices(self, get, limit):
        period = f"from=2026-03-01&to=2026-04-01&limit={limit}"

        found = {by: get(f"{self.PATH}&by={by}&{period}")[2] for by in ("hour", "day", "month")}

        start, end = instant("2026-03-01T00:00-08:00"), instant("2026-04-01T00:00-07:00")
        assert {by: len(items) for by, items in found.items()} == {"hour": 743, "day": 31, "month": 1}
        for items in found.values():
            assert sum(item["usage"] for item in items) == used(USER, start, end)
            assert sum(item["cost_micro"] for item in items) == cost_between(start, end)
            assert all(item["complete"] and item["cost_complete"] for item in items)
            assert len({item["from"] for item in items}) == len(items)
        _, invoice, _ = get(f"{HOUSEHOLD}/invoices/{NUMBER}")
        [line] = invoice["lines"]
        assert (line["quantity"], line["amount"]) == (used(USER, start, end), found["month"][0]["cost"])

    def test_up_to_now_joins_truth_and_live_state(self, get):
        _, page, items = get(f"{self.PATH}&by=day&from=2026-04-02&to=2026-04-04")

        bounds = [instant("2026-04-02T00:00-07:00"), instant("2026-04-03T00:00-07:00"), NOW - NOW % HOUR_MS]
        assert [item["usage"] for item in items] == [
            used(USER, *bounds[:2]),
            used(USER, *bounds[1:]) + 2,
        ]
        assert [item["source"] for item in items] == ["truth+live", "live"]
        assert items[0]["revised_reason"] is not None
        assert (page["currency"], page["sources"]) == ("USD", {"redis": "ok", "mysql": "ok"})

    def test_of_the_past_is_not_sent_twice(self, get):
        path = f"{self.PATH}&from=2026-03-01&to=2026-03-20"
        answer, _, _ = get(path)

        again, _, _ = get(path, **{"If-None-Match": answer.headers["etag"]})

        assert (again.status_code, again.content) == (304, b"")

    def test_before_the_meter_was_heard_is_not_known(self, get):
        _, page, items = get(f"{self.PATH}&by=month&from=2020-01-01&to=2026-04-01")

        assert items[0]["usage"] is None
        assert sum(item["usage"] or 0 for item in items) == used(
            USER, Night(FIRST).start_ms, instant("2026-04-01T00:00-07:00")
        )
        assert page["next"] is None

    def test_was_told_otherwise_before(self, get):
        _, _, items = get(f"{HOUSEHOLD}/usage/electricity/revisions?limit=1")

        assert [(item["date"], item["usage_now"]) for item in items] == [
            (str(LAST), used(USER, Night(LAST).start_ms, T))
        ]


class TestUsersLists:
    def test_have_the_invoice(self, get):
        _, _, items = get(f"{HOUSEHOLD}/invoices?limit=1")

        assert [(item["number"], item["month"], item["stands"]) for item in items] == [
            (NUMBER, "2026-03", True)
        ]

    def test_hide_it_from_others(self, get):
        assert get(f"/api/v1/households/{USER + 1}/invoices/{NUMBER}")[0].status_code == 404
        assert get(f"/api/v1/households/{USER + 1}/invoices?limit=1")[2] == []
        assert get("/api/v1/households/99999999/invoices?limit=1")[0].status_code == 404

    def test_have_the_alerts(self, get):
        _, _, items = get(f"{HOUSEHOLD}/alerts")

        assert {item["kind"]: item["amount"] for item in items} == {
            "gap": 77,
            "leak": min(hourly(USER, LAST, hour) for hour in range(24)),
        }


class TestRegions:
    @pytest.mark.parametrize("limit", [25, 1_000])
    @pytest.mark.parametrize("code", ["US-CA", "US-NY"])
    def test_used_what_their_users_did(self, get, code, limit):
        period = f"utility=electricity&from={FIRST}&to={LAST + DAY}&limit={limit}"
        users = [user for user, region in FLEET if region == code]

        days = get(f"/api/v1/regions/{code}/usage?{period}")[2]
        hours = get(f"/api/v1/regions/{code}/usage?{period}&by=hour")[2]

        assert (len(days), len(hours)) == (len(DATES), 24 * len(DATES))
        expected = sum(used(user, Night(FIRST).start_ms, T) for user in users)
        assert sum(item["usage"] for item in days) == sum(item["usage"] for item in hours) == expected
        assert {item["users"] for item in days} == {len(users)}

    def test_sum_to_the_country(self, get):
        period = f"utility=electricity&from={FIRST}&to={LAST + DAY}"

        country = get(f"/api/v1/country/usage?{period}")[2]
        shown = [get(f"/api/v1/regions/{code}/usage?{period}")[2] for code in ("US-CA", "US-NY")]

        assert [item["usage"] for item in country] == [
            a["usage"] + b["usage"] for a, b in zip(*shown, strict=True)
        ]
        assert [(one["users_estimated"], one["usage_estimated"]) for one in country[-2:]] == [
            (0, 0),
            (2, None),
        ]
        assert sum(days[-1]["users_estimated"] for days in shown) == 2
        assert {one["usage_estimated"] for days in shown for one in days} == {None}

    def test_are_shown_now(self, get):
        _, document, _ = get("/api/v1/regions")

        assert [region["region"] for region in document["regions"]] == ["US-CA", "US-NY"]
        assert document["country"]["electricity"]["rate"] == 8_000


class TestQuality:
    def test_tells_what_the_night_came_to(self, get):
        _, document, _ = get("/api/v1/quality")

        assert (document["night"], document["users"]) == (str(LAST), len(FLEET))
        # Of one user, whose amounts are nobody else's to know.
        assert {one["rule"]: (one["users"], one["amount"]) for one in document["findings"]} == {
            "gap": (1, None),
            "leak": (1, None),
        }
        assert document["reconciliation"][0]["difference_total"] is None
        assert sum(one["rows"] for one in document["revised"]) == 2
        usage = sum(used(user, Night(LAST).start_ms, T) for user, _ in FLEET)
        assert document["usage"] == {"electricity": usage, "gas": None, "water": None}
        # It is that of two users.
        assert document["usage_estimated"] == {"electricity": None, "gas": None, "water": None}

    def test_lists_every_night_once(self, get):
        _, _, items = get("/api/v1/quality/nights?limit=10")

        assert [item["night"] for item in items] == [str(date) for date in reversed(DATES)]


LIST = (USER, USER, LAST, LAST, 1, 1, 1, 5)
STATEMENTS = {
    "usage_queries._USAGE_SQL": (USER, FIRST, LAST, "electricity"),
    "alert_queries._FINDINGS_SQL": (USER,),
    "alert_queries._NIGHTS_SQL": (USER,),
    "alert_queries._REVISIONS_SQL": (USER, USER, FIRST, LAST, "electricity", FIRST, FIRST, 5),
    "invoice_queries._LIST_SQL": LIST,
    "invoice_queries._ONE_SQL": (NUMBER, USER),
    "invoice_queries._LINES_SQL": (NUMBER,),
    "country_queries._USERS_SQL": (),
    "country_queries._REGION_DAYS_SQL": (FIRST, LAST, "electricity"),
    "country_queries._COUNTRY_DAYS_SQL": (FIRST, LAST, "electricity"),
    "quality_queries._NIGHTS_SQL": (LAST, 5, LAST, 5),
    "quality_queries._FINDINGS_SQL": (LAST,),
    "quality_queries._RECONCILIATIONS_SQL": (LAST,),
    "quality_queries._REVISED_SQL": (LAST,),
}
# Tables that grow, by the names that statements give them.
LARGE = {"u", "s", "p", "i", "c", "d", "findings", "reconciliations", "invoice_lines", "region_days"} | {
    "usage_days_superseded"
}


TRUTHS = {"truth of one": 1, "truth of three": 3, "truth of many": USERS_TOGETHER_MAX}
every_statement = pytest.mark.parametrize("statement", [*STATEMENTS, *TRUTHS])


def as_asked(statement):
    """Return a statement as serving has it, and its parameters."""
    if users := TRUTHS.get(statement):
        return near_truth.question(range(USER, USER + users), FIRST)
    module, name = statement.split(".")
    return getattr(importlib.import_module(f"serving.stores.{module}"), name), STATEMENTS[statement]


@every_statement
def test_every_table_that_grows_is_asked_by_an_index(published, statement):
    sql, parameters = as_asked(statement)
    with connected(published) as cursor:
        cursor.execute(f"EXPLAIN {sql}", parameters)
        names = [column[0] for column in cursor.description]
        plan = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    by_none = [step for step in plan if step["table"] in LARGE and not step["possible_keys"]]
    assert [step for step in by_none if step["type"] not in ("const", "system")] == []


@every_statement
def test_a_prepared_statement_tells_what_the_text_of_it_does(published, statement):
    sql, parameters = as_asked(statement)
    with connected(published) as cursor:
        cursor.execute(sql, parameters)
        as_text = list(cursor.fetchall())

    async def prepared():
        source = serving_source(published, TIMEOUT_MS, lambda: NOW)
        try:
            # One question alone goes to one connection, which keeps the statement from the first time on.
            return [list(await source.ask(sql, parameters)) for _ in range(3)]
        finally:
            await source.close()

    assert asyncio.run(prepared()) == [as_text] * 3
