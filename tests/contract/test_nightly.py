"""Pipe MySQL: what batch publishes is what serving reads, and serving can but read.

How a night comes to be published is told by test_publication.py.
"""

import asyncio
import dataclasses
import datetime
import time

import night_builders as nights
import pymysql
import pytest
from night_builders import (
    ADDRESS,
    DAYS,
    HOUSEHOLDS,
    NAME,
    NEIGHBOUR,
    NEXT,
    NIGHT,
    PUBLISHED_AT,
    RECOUNTED,
    REGIONS,
    STRANGER,
    USER,
    connected,
    everything,
    publish,
    serving_source,
    usage_day,
)

from infra.contracts.nightly import HOUR_COLUMNS, REGION_DAYS_COLUMNS, USAGE_DAYS_COLUMNS
from infra.contracts.utility import Utility
from serving.access.identity import owned_by_this_machine
from serving.figures.household import Household
from serving.figures.regions import RegionMaster
from serving.figures.truth import Revision, Truth, UsageDay

LATER = PUBLISHED_AT + datetime.timedelta(hours=1)


@pytest.fixture(scope="module")
def settings(services):
    return nights.own_database(services)


@pytest.fixture
def published(settings, database):
    """Everything that readers see once NIGHT, and nothing else, is published."""
    publish(database, NIGHT, DAYS)
    yield everything(settings)
    nights.empty(settings)


def ask(settings, question):
    """Return what serving's source answers to a question."""

    async def answer():
        source = serving_source(settings, 10_000, lambda: time.time_ns() // 1_000_000)
        try:
            return await question(source)
        finally:
            await source.close()

    return asyncio.run(answer())


def truth_of(settings, user_id, since=NIGHT):
    household, truth = ask(
        settings, lambda source: source.truth(owned_by_this_machine(user_id), since.start_ms)
    )
    rows = sorted(truth.rows, key=lambda row: (row.night_ms, row.utility.code))
    return household, dataclasses.replace(truth, rows=tuple(rows))


def as_read(day, night=NIGHT, revision=None):
    row = dict(zip(USAGE_DAYS_COLUMNS, day, strict=True))
    return UsageDay(
        night_ms=night.start_ms,
        utility=Utility(row["utility"]),
        register_start=row["register_start"],
        register_end=row["register_end"],
        first_sent_at=row["first_sent_at"],
        hours=tuple(row[hour] for hour in HOUR_COLUMNS),
        quality=row["quality"],
        register_offset=row["register_offset"],
        month_cost=row["month_cost"],
        revision=revision,
        price_steps=row["price_steps"],
    )


class TestAPublishedNight:
    def test_is_read_for_a_user_with_household_and_t(self, settings, published):
        household, truth = truth_of(settings, USER)

        assert household == Household("home", NAME, "US-CA", "California", "America/Los_Angeles", "USD")
        assert truth == Truth(
            truth_until=NIGHT.end_ms,
            nights=frozenset({NIGHT.start_ms}),
            rows=tuple(as_read(day) for day in DAYS[:3]),
        )

    def test_is_told_to_each_of_those_who_ask_together(self, settings, published):
        users = [owned_by_this_machine(user_id) for user_id in (USER, 99_999_999, USER + 1, USER)]

        async def together(source):
            return await source.truth_of_each(users, NIGHT.start_ms)

        async def singly(source):
            return [await source.truth(user, NIGHT.start_ms) for user in users]

        assert ask(settings, together) == ask(settings, singly)

    def test_holds_addresses_as_they_were(self, settings, published):
        assert [row[3] for row in published["households"]] == [ADDRESS, "2\n3 Oak Lane"]

    def test_brings_the_regions(self, settings, published):
        regions = ask(settings, lambda source: source.regions())

        assert regions == {code: RegionMaster(name, zone) for code, name, zone in REGIONS}

    def test_lets_serving_see_what_regions_used(self, settings, published):
        names = ", ".join(REGION_DAYS_COLUMNS)
        with connected(settings, settings.mysql_serving_user, settings.mysql_serving_password) as cursor:
            cursor.execute(f"SELECT {names} FROM region_days")
            found = sorted(cursor.fetchall(), key=repr)

        assert found == nights.summed_by_region(settings) != []

    def test_gives_t_but_nothing_else_for_a_user_that_nobody_knows(self, settings, published):
        household, truth = truth_of(settings, STRANGER)

        assert household is None
        assert truth == Truth(truth_until=NIGHT.end_ms, nights=frozenset({NIGHT.start_ms}))

    def test_gives_way_to_a_recount_and_says_since_when_and_why(self, settings, database, published):
        publish(database, NIGHT, RECOUNTED[:3], LATER, {NIGHT.day: "late data"}, households=HOUSEHOLDS[:1])

        rows = truth_of(settings, USER)[1].rows
        revision = Revision(round(LATER.timestamp() * 1_000), "late data")
        assert rows == (*(as_read(day) for day in DAYS[:2]), as_read(RECOUNTED[0], revision=revision))
        assert truth_of(settings, NEIGHBOUR) == (
            None,
            Truth(truth_until=NIGHT.end_ms, nights=frozenset({NIGHT.start_ms})),
        )

    def test_stays_when_the_next_one_moves_t(self, settings, database, published):
        day = usage_day(Utility.GAS, 5, {3: 4}, night=NEXT)
        publish(database, NEXT, [day], LATER)

        _, truth = truth_of(settings, USER)

        assert truth == Truth(
            truth_until=NEXT.end_ms,
            nights=frozenset({NIGHT.start_ms, NEXT.start_ms}),
            rows=(*(as_read(day) for day in DAYS[:3]), as_read(day, NEXT)),
        )
        assert truth_of(settings, USER, since=NEXT)[1].rows == (as_read(day, NEXT),)


class TestServingsUser:
    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO regions VALUES ('US-TX', 'Texas', 'America/Chicago')",
            "REPLACE INTO households SELECT * FROM households",
            "UPDATE usage_days SET usage_total = 0",
            "DELETE FROM nights",
            "DELETE FROM usage_days_superseded",
            "UPDATE findings SET amount = 0",
            "UPDATE region_days SET users = 0",
            "TRUNCATE usage_days",
            "DROP TABLE regions",
            "ALTER TABLE regions ADD COLUMN people INT",
            "CREATE TABLE notes (note INT)",
            "CREATE USER somebody",
        ],
    )
    def test_cannot_write(self, settings, published, statement):
        user, password = settings.mysql_serving_user, settings.mysql_serving_password

        with connected(settings, user, password) as cursor, pytest.raises(pymysql.MySQLError, match="denied"):
            cursor.execute(statement)

        assert everything(settings) == published
