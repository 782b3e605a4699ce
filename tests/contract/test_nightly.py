"""Pipe MySQL: what batch publishes, serving reads, whole or not at all, and serving can but read."""

import asyncio
import contextlib
import dataclasses
import datetime
import multiprocessing
import time
import uuid

import pyarrow as pa
import pymysql
import pytest

from batch import mysql_sink
from batch.mysql_sink import NightRow, Publication
from batch.night import Night, NightRefused
from infra.contracts import master_data
from infra.contracts.nightly import USAGE_DAYS_COLUMNS
from infra.contracts.utility import UTILITIES, Utility
from infra.mysql import server
from serving.household import Household
from serving.mysql_source import MysqlSource
from serving.regions import RegionMaster
from serving.registers import Truth, UsageDay

WAIT_S_MAX = 60
NIGHT = Night(datetime.date(2026, 3, 28))
NEXT = Night(datetime.date(2026, 3, 29))
PUBLISHED_AT = datetime.datetime(2026, 3, 29, 1, 2, 3, 456_000, tzinfo=datetime.UTC)
USER, NEIGHBOUR, STRANGER = 10_000_001, 10_000_002, 10_000_003
# What a person may be called, and what breaks careless ways of writing it down.
NAME, ADDRESS = 'Zoë "Z," O\'Neil \\ 家 🏠', "NULL"
HOUSEHOLDS = [
    (USER, "home", NAME, ADDRESS, "US-CA", "America/Los_Angeles"),
    (NEIGHBOUR, "business", "Klein Bakery", "2\n3 Oak Lane", "US-NY", "America/New_York"),
]
REGIONS = [("US-CA", "California", "America/Los_Angeles"), ("US-NY", "New York", "America/New_York")]
TEXT = ("night", "utility", "kind", "name", "address", "region", "zone")


def usage_day(utility, register_start, hours, *, night=NIGHT, user_id=USER, first_sent_at=None):
    """A row of `usage_days` whose sums agree; `hours` maps UTC hours to usage."""
    by_hour = tuple(hours.get(hour, 0) for hour in range(24))
    total = sum(by_hour)
    last_sent_at, heartbeats = night.end_ms - 1, 17_280
    counted = (register_start, register_start + total, first_sent_at, last_sent_at, heartbeats, total)
    return (user_id, str(night), str(utility), *counted, *by_hour)


DAYS = [
    usage_day(Utility.ELECTRICITY, 2**47, {0: 412, 23: 2**31 - 1}),
    usage_day(Utility.GAS, 0, {12: 5}, first_sent_at=NIGHT.start_ms + 43_200_123),
    usage_day(Utility.WATER, 900, {7: 30, 8: -880}),
    usage_day(Utility.WATER, 1, {1: 1}, user_id=NEIGHBOUR),
]
RECOUNTED = [usage_day(Utility.WATER, 900, {7: 31, 8: -880}), *DAYS[:2], *DAYS[3:]]


@pytest.fixture(scope="module")
def settings(services):
    """Settings of a database of its own, made by the migrations."""
    settings = dataclasses.replace(services.settings, mysql_database=f"night{uuid.uuid4().hex[:8]}")
    server.migrate(settings)
    return settings


@pytest.fixture(scope="module")
def first_night(spark, settings, database):
    """Everything that readers see once NIGHT, and nothing else, is published."""
    publish(spark, database, NIGHT, DAYS)
    return everything(settings)


@pytest.fixture
def published(settings, first_night):
    """The same, put back after the test row by row."""
    yield first_night
    with connected(settings) as cursor:
        for table, rows in first_night.items():
            cursor.execute(f"TRUNCATE {table}")
            cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows)


@contextlib.contextmanager
def connected(settings, user="root", password=""):
    connection = pymysql.connect(
        host=settings.mysql_host,
        port=settings.mysql_port,
        user=user,
        password=password,
        database=settings.mysql_database,
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        yield cursor


def everything(settings):
    """Return all rows of all tables that readers see."""
    with connected(settings) as cursor:
        found = {}
        for table in ("nights", *mysql_sink.TABLES):
            cursor.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
            found[table] = cursor.fetchall()
        return found


def stage(spark, publication, database, days, households=HOUSEHOLDS, spoil=None):
    """Load and verify a night as the job does; return its `nights` row. `spoil` is SQL that comes between."""
    tables = {
        "usage_days": (USAGE_DAYS_COLUMNS, days),
        "households": (master_data.USERS_COLUMNS, households),
        "regions": (master_data.REGIONS_COLUMNS, REGIONS),
    }
    publication.prepare()
    sent = {}
    for table, (columns, rows) in tables.items():
        schema = pa.schema([(name, pa.string() if name in TEXT else pa.int64()) for name in columns])
        frame = spark.createDataFrame(
            pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows], schema)
        )
        sent[table] = mysql_sink.load(frame, database, table)
    if spoil:
        with contextlib.closing(database.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(spoil)
            connection.commit()
    for table, (count, checksum) in sent.items():
        publication.verify(table, count, checksum)
    return night_row(days, sent["usage_days"][1])


def night_row(days, checksum):
    total = USAGE_DAYS_COLUMNS.index("usage_total")
    usage = {str(utility): sum(day[total] for day in days if day[2] == utility) for utility in UTILITIES}
    return NightRow(len({day[0] for day in days}), 17_280 * len(days), usage, checksum)


def publish(spark, database, night, days, published_at=PUBLISHED_AT, **staged):
    with contextlib.closing(Publication(database)) as publication:
        row = stage(spark, publication, database, days, **staged)
        publication.switch(night, row, published_at)
        publication.clear()


def ask(settings, question):
    """Return what serving's source answers to a question."""

    async def answer():
        source = MysqlSource(
            host=settings.mysql_host,
            port=settings.mysql_port,
            database=settings.mysql_database,
            user=settings.mysql_serving_user,
            password=settings.mysql_serving_password,
            timeout_ms=10_000,
            now=lambda: time.time_ns() // 1_000_000,
        )
        try:
            return await question(source)
        finally:
            await source.close()

    return asyncio.run(answer())


def truth_of(settings, user_id, since=NIGHT):
    household, truth = ask(settings, lambda source: source.truth(user_id, since.start_ms))
    rows = sorted(truth.rows, key=lambda row: (row.night_ms, row.utility.code))
    return household, dataclasses.replace(truth, rows=tuple(rows))


def as_read(day, night=NIGHT):
    _, _, utility, register_start, register_end, first_sent_at, *_ = day
    return UsageDay(
        night.start_ms, Utility(utility), register_start, register_end, first_sent_at, tuple(day[-24:])
    )


class TestAPublishedNight:
    def test_is_read_for_a_user_with_household_and_t(self, settings, published):
        household, truth = truth_of(settings, USER)

        assert household == Household("home", NAME, "US-CA", "California", "America/Los_Angeles")
        assert truth == Truth(
            truth_until=NIGHT.end_ms,
            nights=frozenset({NIGHT.start_ms}),
            rows=tuple(as_read(day) for day in DAYS[:3]),
        )

    def test_holds_addresses_as_they_were(self, settings, published):
        assert [row[3] for row in published["households"]] == [ADDRESS, "2\n3 Oak Lane"]

    def test_brings_the_regions(self, settings, published):
        regions = ask(settings, lambda source: source.regions())

        assert regions == {code: RegionMaster(name, zone) for code, name, zone in REGIONS}

    def test_gives_t_but_nothing_else_for_a_user_that_nobody_knows(self, settings, published):
        household, truth = truth_of(settings, STRANGER)

        assert household is None
        assert truth == Truth(truth_until=NIGHT.end_ms, nights=frozenset({NIGHT.start_ms}))

    def test_stays_as_it_is_when_published_again(self, spark, settings, database, published):
        publish(spark, database, NIGHT, DAYS[::-1], PUBLISHED_AT + datetime.timedelta(days=3))

        assert everything(settings) == published

    def test_gives_way_to_a_recount(self, spark, settings, database, published):
        publish(spark, database, NIGHT, RECOUNTED[:3], households=HOUSEHOLDS[:1])

        assert truth_of(settings, USER)[1].rows[2] == as_read(RECOUNTED[0])
        assert truth_of(settings, NEIGHBOUR) == (
            None,
            Truth(truth_until=NIGHT.end_ms, nights=frozenset({NIGHT.start_ms})),
        )

    def test_stays_when_the_next_one_moves_t(self, spark, settings, database, published):
        day = usage_day(Utility.GAS, 5, {3: 4}, night=NEXT)
        publish(spark, database, NEXT, [day])

        _, truth = truth_of(settings, USER)

        assert truth == Truth(
            truth_until=NEXT.end_ms,
            nights=frozenset({NIGHT.start_ms, NEXT.start_ms}),
            rows=(*(as_read(day) for day in DAYS[:3]), as_read(day, NEXT)),
        )
        assert truth_of(settings, USER, since=NEXT)[1].rows == (as_read(day, NEXT),)


class TestANightThatFails:
    @pytest.mark.parametrize(
        ("spoil", "says"),
        [
            pytest.param(
                f"DELETE FROM usage_days_staging WHERE user_id = {NEIGHBOUR}",
                "usage_days as staged differs from what was sent: 3 of 4 rows",
                id="a-row-is-missing",
            ),
            pytest.param(
                f"UPDATE usage_days_staging SET h01 = h01 + 1 WHERE user_id = {NEIGHBOUR}",
                "usage_days as staged differs from what was sent: 4 of 4 rows, checksum",
                id="a-figure-differs-by-one",
            ),
            pytest.param(
                f"UPDATE households_staging SET name = 'Zoe' WHERE user_id = {USER}",
                "households as staged differs from what was sent: 2 of 2 rows, checksum",
                id="a-name-differs",
            ),
        ],
    )
    def test_its_check_leaves_the_night_before_it(self, spark, settings, database, published, spoil, says):
        with pytest.raises(NightRefused) as refused:
            publish(spark, database, NIGHT, RECOUNTED, spoil=spoil)

        assert str(refused.value).startswith(says)
        assert "\n" not in str(refused.value)
        assert everything(settings) == published

    def test_killed_in_the_midst_of_its_switch_leaves_the_night_before_it(
        self, spark, settings, database, published
    ):
        with contextlib.closing(Publication(database)) as publication:
            row = stage(spark, publication, database, RECOUNTED)
        before = truth_of(settings, USER)

        with contextlib.closing(database.connect()) as reader, reader.cursor() as cursor:
            cursor.execute("SELECT * FROM households FOR UPDATE")  # the last tables must wait
            publisher = multiprocessing.get_context("spawn").Process(target=switch, args=(database, row))
            publisher.start()
            wait_until(lambda: waits_for_a_lock(settings), publisher)
            halfway = truth_of(settings, USER)
            publisher.kill()
            publisher.join()
        wait_until(lambda: may_publish(database))

        assert halfway == before
        assert everything(settings) == published


class TestTwoPublishers:
    def test_at_once_are_one_and_the_other_is_told(self, spark, settings, database, published):
        with contextlib.closing(Publication(database)) as first:
            row = stage(spark, first, database, RECOUNTED)
            with pytest.raises(NightRefused) as refused:
                publish(spark, database, NIGHT, DAYS)
            first.switch(NIGHT, row, PUBLISHED_AT)

        assert str(refused.value) == (
            f"another night is being published into {database.name}; try again once it is done"
        )
        assert truth_of(settings, USER)[1].rows[2] == as_read(RECOUNTED[0])

    def test_one_after_the_other_are_both_welcome(self, database):
        for _ in range(3):
            Publication(database).close()


class TestServingsUser:
    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO regions VALUES ('US-TX', 'Texas', 'America/Chicago')",
            "REPLACE INTO households SELECT * FROM households",
            "UPDATE usage_days SET usage_total = 0",
            "DELETE FROM nights",
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


def switch(database, row):
    """Switch in what is staged, in a process of its own."""
    Publication(database).switch(NIGHT, row, PUBLISHED_AT)


def waits_for_a_lock(settings):
    with connected(settings) as cursor:
        return cursor.execute("SELECT 1 FROM information_schema.innodb_lock_waits") > 0


def may_publish(database):
    try:
        Publication(database).close()
    except NightRefused:
        return False
    return True


def wait_until(condition, process=None):
    deadline = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.is_alive()
        time.sleep(0.1)
