"""Publishers of nights: two at once, killed ones, in nobody's way, with no more rights than a night needs."""

import contextlib
import dataclasses
import multiprocessing
import threading
import time
from multiprocessing.connection import Connection

import night_builders as nights
import pymysql
import pytest
from night_builders import (
    DAYS,
    FIGURES,
    HOUR,
    LATER,
    MORE,
    NIGHT,
    PUBLISHED_AT,
    RECOUNTED,
    USER,
    all_tables,
    as_sent,
    connected,
    everything,
    figures,
    publish,
    stage,
    usage_day,
)

from batch.database_sink import Database
from batch.mysql_sink import Publication
from batch.night import NightRefused
from infra.contracts.utility import UTILITIES
from infra.mysql import server

WAIT_S_MAX = 60
LOCK_WAIT_S = 2


@pytest.fixture(scope="module")
def settings(services):
    return nights.own_database(services)


@pytest.fixture(autouse=True)
def _nothing_published(settings):
    with nights.nothing_published_after(settings):
        yield


@pytest.fixture
def impatient(database):
    """The database for somebody who waits for locks but for a moment."""
    return dataclasses.replace(database, lock_wait_s_max=LOCK_WAIT_S)


class TestTwoPublishers:
    def test_at_once_are_one_and_the_other_is_told(self, settings, database):
        with contextlib.closing(Publication(database)) as first:
            row = stage(first, database, RECOUNTED)
            with pytest.raises(NightRefused) as refused:
                publish(database, NIGHT, DAYS)
            first.switch(NIGHT, row, PUBLISHED_AT)

        assert str(refused.value) == (
            f"another night is being published into {database.name}; try again once it is done"
        )
        assert figures(settings) == sorted(RECOUNTED)

    def test_one_after_the_other_are_both_welcome(self, database):
        for _ in range(3):
            Publication(database).close()


class TestAKilledPublisher:
    @pytest.mark.parametrize("moment", ["before", "during", "after"])
    def test_leaves_one_night_whole_and_a_rerun_does_the_rest(self, settings, database, moment):
        publish(database, NIGHT, DAYS, **MORE)
        old = contents(settings)

        with connected(settings) as cursor, started(database, NIGHT, RECOUNTED, moment) as publisher:
            if moment == "during":
                cursor.execute("BEGIN")
                cursor.execute("SELECT * FROM regions FOR UPDATE")  # the last table must wait
                publisher.go()
                wait_until(lambda: waits_for_a_lock(settings))
                assert contents(settings) == old
            else:
                publisher.go()
                publisher.reached()
            publisher.kill()
        wait_until(lambda: may_publish(database))
        found = contents(settings)
        publish(database, NIGHT, RECOUNTED, LATER + HOUR)
        new = contents(settings)

        assert found == (new if moment == "after" else old)
        assert figures(settings) == sorted(RECOUNTED)
        assert len(everything(settings, ["usage_days_superseded"])["usage_days_superseded"]) == 1

    def test_at_any_moment_shows_readers_one_night_or_the_other(self, settings, database):
        one, other = many_days(0), many_days(1)
        publish(database, NIGHT, one)
        states = {True: contents(settings)}
        publish(database, NIGHT, other, LATER)
        states[False] = contents(settings)
        began = time.monotonic()
        publish(database, NIGHT, one, LATER)
        whole_s = time.monotonic() - began
        seen, ended = [], threading.Event()

        def read():
            while not ended.is_set():
                seen.append(contents(settings))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for part in (0, 0.2, 0.4, 0.6, 0.8, 1):
                publish(database, NIGHT, other, LATER)
                with started(database, NIGHT, one, "after") as publisher:
                    publisher.go()
                    if part == 1:
                        publisher.reached()
                    time.sleep(part * whole_s)
                    publisher.kill()
                wait_until(lambda: may_publish(database))
                assert contents(settings) in states.values()
        finally:
            ended.set()
            reader.join()

        assert [state for state in seen if state not in states.values()] == []
        assert contents(settings) == states[True]


class TestAStuckReader:
    def test_that_only_looks_is_in_nobodys_way_and_goes_on_seeing_what_it_saw(self, settings, impatient):
        publish(impatient, NIGHT, DAYS)
        with connected(settings) as cursor:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            cursor.execute("SELECT COUNT(*) FROM nights")

            publish(impatient, NIGHT, RECOUNTED, LATER)

            cursor.execute("SELECT * FROM usage_days")
            assert sorted(as_sent(row) for row in cursor.fetchall()) == sorted(DAYS)
        assert figures(settings) == sorted(RECOUNTED)

    @pytest.mark.parametrize("table", ["usage_days", "nights", "regions"])
    @pytest.mark.parametrize(
        ("holds", "blamed"),
        [
            pytest.param(("BEGIN", "SELECT * FROM {} FOR UPDATE"), "connection {} of root@", id="rows"),
            pytest.param(("LOCK TABLES {} READ",), "LOCK TABLES", id="table"),
        ],
    )
    def test_that_holds_a_lock_is_waited_for_and_then_named(self, settings, impatient, table, holds, blamed):
        publish(impatient, NIGHT, DAYS)
        before = all_tables(settings)
        with connected(settings) as cursor, contextlib.closing(Publication(impatient)) as publication:
            row = stage(publication, impatient, RECOUNTED)
            cursor.execute("SELECT CONNECTION_ID()")
            [[reader]] = cursor.fetchall()
            for statement in holds:
                cursor.execute(statement.format(table))

            began = time.monotonic()
            with pytest.raises(NightRefused) as refused:
                publication.switch(NIGHT, row, LATER)
            waited = time.monotonic() - began
            unchanged = all_tables(settings)
            cursor.execute("UNLOCK TABLES")
            cursor.execute("ROLLBACK")
            publication.switch(NIGHT, row, LATER)

        assert LOCK_WAIT_S - 1 < waited < LOCK_WAIT_S + 5
        assert blamed.format(reader) in str(refused.value)
        assert "\n" not in str(refused.value)
        assert unchanged == before
        assert figures(settings) == sorted(RECOUNTED)


class TestBatchsUser:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE usage_days_superseded SET usage_total = 0",
            "DELETE FROM usage_days_superseded",
            "DELETE FROM nights_superseded",
            "DELETE FROM invoices",
            "TRUNCATE usage_days",
            "DROP TABLE usage_days",
            "ALTER TABLE usage_days ADD COLUMN note INT",
            "CREATE TABLE notes (note INT)",
            "CREATE INDEX by_total ON usage_days (usage_total)",
            "DELETE FROM migrations",
            "SELECT * FROM mysql.global_priv",
            "SELECT 1 INTO OUTFILE '/tmp/outfile'",
            "CREATE USER somebody",
            "SELECT * FROM information_schema.innodb_trx",
        ],
    )
    def test_can_do_no_more_than_a_night_needs(self, settings, database, statement):
        publish(database, NIGHT, DAYS)
        before = all_tables(settings)

        batch = connected(settings, database.user, database.password)
        with batch as cursor, pytest.raises(pymysql.MySQLError, match="denied"):
            cursor.execute(statement)

        assert all_tables(settings) == before

    def test_loses_what_an_earlier_version_gave_it(self, settings, database):
        name = settings.mysql_database.replace("_", "\\_")
        with connected(settings) as cursor:
            cursor.execute(f"GRANT ALL ON `{name}`.* TO %s@'%%'", (database.user,))
        server.migrate(settings)

        batch = connected(settings, database.user, database.password)
        with batch as cursor, pytest.raises(pymysql.MySQLError, match="denied"):
            cursor.execute("DROP TABLE usage_days")
        publish(database, NIGHT, DAYS)

    @pytest.mark.parametrize("user", ["serving", "stranger"])
    def test_is_the_only_one_that_publishes(self, settings, database, user):
        other = {
            "serving": (settings.mysql_serving_user, settings.mysql_serving_password),
            "stranger": ("stranger", "none"),
        }[user]
        wrong = dataclasses.replace(database, user=other[0], password=other[1])

        with pytest.raises(NightRefused, match=r"refuses: .*denied") as refused:
            publish(wrong, NIGHT, DAYS)

        assert "\n" not in str(refused.value)
        assert figures(settings) == []


def many_days(shift):
    return [
        usage_day(utility, shift, dict.fromkeys(range(24), user % 100 + shift), user_id=user)
        for user in range(USER, USER + 200)
        for utility in UTILITIES
    ]


def contents(settings):
    """What readers see of a night, without when it was published."""
    found = everything(settings, ["nights", "usage_days", "findings"])
    published = [(row[0], row[3:-1]) for row in found["nights"]]
    return repr((published, sorted(row[:FIGURES] for row in found["usage_days"]), found["findings"]))


@dataclasses.dataclass
class Publisher:
    """A process that stages a night, and switches it in when told to."""

    process: multiprocessing.Process
    pipe: Connection

    def go(self):
        self.pipe.send("go")

    def reached(self):
        assert self.pipe.poll(WAIT_S_MAX)
        assert self.pipe.recv() == "there"

    def kill(self):
        self.process.kill()
        self.process.join()


@contextlib.contextmanager
def started(database, night, days, moment):
    """A publisher that has staged; at its moment it says so, and goes no further."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=publisher, args=(database, night, days, moment, there))
    process.start()
    try:
        assert here.poll(WAIT_S_MAX)
        assert here.recv() == "staged"
        yield Publisher(process, here)
    finally:
        process.kill()
        process.join()


def publisher(database: Database, night, days, moment, pipe):
    publication = Publication(database)
    row = stage(publication, database, days)
    pipe.send("staged")
    pipe.recv()
    if moment != "before":
        publication.switch(night, row, LATER)
    pipe.send("there")
    pipe.recv()


def waits_for_a_lock(settings):
    with connected(settings) as cursor:
        return cursor.execute("SELECT 1 FROM information_schema.innodb_lock_waits") > 0


def may_publish(database):
    try:
        Publication(database).close()
    except NightRefused:
        return False
    return True


def wait_until(condition):
    deadline = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
