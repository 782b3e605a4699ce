"""How a night becomes the truth: whole or not at all, once, in nobody's way, and with every version kept."""

import contextlib
import dataclasses
import datetime
import multiprocessing
import random
import threading
import time
from multiprocessing.connection import Connection

import night_builders as nights
import pymysql
import pytest
from night_builders import (
    DAYS,
    HOUSEHOLDS,
    LEDGERS,
    NEIGHBOUR,
    NEXT,
    NIGHT,
    PUBLISHED,
    PUBLISHED_AT,
    RECOUNTED,
    USER,
    connected,
    everything,
    publish,
    stage,
    summed_by_region,
    usage_day,
)

from batch import restatements
from batch.database_sink import Database
from batch.mysql_sink import Publication
from batch.night import Night, NightRefused
from batch.restatements import Restated
from infra.contracts import nightly
from infra.contracts.nightly import USAGE_DAYS_COLUMNS
from infra.contracts.quality import Rule
from infra.contracts.utility import UTILITIES, Utility
from infra.mysql import server

WAIT_S_MAX = 60
LOCK_WAIT_S = 2
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
LATER = PUBLISHED_AT + HOUR
FINDINGS = [(USER, str(NIGHT), "water", str(rule), 7, 9, 12) for rule in Rule]
RECONCILED = [
    (USER, str(NIGHT), "water", 28, -850, None, -850, "validated", "spike set aside"),
    (NEIGHBOUR, str(NIGHT), "water", None, 1, 2, 2, "billing", "utility read"),
]
MORE = {"findings": FINDINGS, "reconciliations": RECONCILED}
FIGURES = len(USAGE_DAYS_COLUMNS)
MOVED = [(*HOUSEHOLDS[0][:4], "US-NY", *HOUSEHOLDS[0][5:]), *HOUSEHOLDS[1:]]
GAP_CLOSED = usage_day(Utility.GAS, 0, {12: 4, 13: 2}, quality="M" * 12 + "EE" + "M" * 10)


@pytest.fixture(scope="module")
def settings(services):
    return nights.own_database(services)


@pytest.fixture(autouse=True)
def _nothing_published(settings):
    """Whatever happened to nights in a test, regions have used what their households did."""
    yield
    assert of_regions(settings) == summed_by_region(settings)
    with connected(settings) as cursor:
        for table in (*PUBLISHED, *LEDGERS):
            cursor.execute(f"TRUNCATE {table}")


@pytest.fixture
def impatient(database):
    """The database for somebody who waits for locks but for a moment."""
    return dataclasses.replace(database, lock_wait_s_max=LOCK_WAIT_S)


def all_tables(settings):
    return everything(settings, (*PUBLISHED, *LEDGERS))


def figures(settings, night=None):
    """The published rows of usage, without their versions."""
    rows = everything(settings, ["usage_days"])["usage_days"]
    return sorted(as_sent(row) for row in rows if night is None or row[1] == night.day)


def of_regions(settings):
    return everything(settings, ["region_days"])["region_days"]


def as_sent(row):
    return (row[0], str(row[1]), *row[2:FIGURES])


def naive(at):
    return at.replace(tzinfo=None)


class TestAFirstPublication:
    def test_holds_what_was_sent_from_the_instant_on(self, settings, database):
        switched = publish(database, NIGHT, DAYS, **MORE)

        found = everything(settings)
        assert figures(settings) == sorted(DAYS)
        assert {row[FIGURES:] for row in found["usage_days"]} == {(naive(PUBLISHED_AT), NIGHT.day)}
        assert sorted((row[0], str(row[1]), *row[2:7]) for row in found["findings"]) == sorted(FINDINGS)
        assert sorted((row[0], str(row[1]), *row[2:9]) for row in found["reconciliations"]) == RECONCILED
        assert switched.published_at == PUBLISHED_AT
        assert (switched.rows_new, switched.rows_changed, switched.findings_changed) == (4, 0, len(Rule))
        assert restatements.fingerprints(database, [NIGHT.day, NEXT.day]) == {NIGHT.day: "as archived"}

    def test_leaves_nothing_beside_it(self, settings, database):
        publish(database, NIGHT, DAYS, **MORE)

        with connected(settings) as cursor:
            cursor.execute(f"SHOW TABLES FROM {database.staging}")
            assert cursor.fetchall() == ()
        assert [rows for rows in everything(settings, LEDGERS).values() if rows] == []


class TestARerun:
    def test_that_comes_to_the_same_changes_no_byte(self, settings, database):
        publish(database, NIGHT, DAYS, **MORE)
        before = all_tables(settings)

        switched = publish(
            database,
            NIGHT,
            DAYS[::-1],
            PUBLISHED_AT + 3 * DAY,
            findings=FINDINGS[::-1],
            reconciliations=RECONCILED[::-1],
        )

        assert all_tables(settings) == before
        assert switched.published_at == PUBLISHED_AT
        assert (switched.rows_new, switched.rows_changed, switched.rows_removed) == (0, 0, 0)

    def test_keeps_what_it_changes_with_reason_and_instants_and_touches_nothing_else(
        self, settings, database
    ):
        publish(database, NIGHT, DAYS, **MORE)
        before = everything(settings)

        switched = publish(database, NIGHT, RECOUNTED, LATER, {NIGHT.day: "late data"}, **MORE)

        after = all_tables(settings)
        [gone] = set(before["usage_days"]) - set(after["usage_days"])
        [came] = set(after["usage_days"]) - set(before["usage_days"])
        assert (as_sent(gone), as_sent(came)) == (DAYS[2], RECOUNTED[0])
        assert came[FIGURES:] == (naive(LATER), NIGHT.day)
        assert after["usage_days_superseded"] == [(*gone, naive(LATER), "late data", NIGHT.day)]
        assert after["findings"] == before["findings"]
        assert after["findings_superseded"] == []
        assert switched.published_at == LATER
        assert (switched.rows_new, switched.rows_changed, switched.rows_removed) == (0, 1, 0)

    def test_removes_what_it_no_longer_comes_to(self, settings, database):
        publish(database, NIGHT, DAYS, **MORE)

        switched = publish(database, NIGHT, DAYS[:3], LATER, findings=FINDINGS[1:])

        assert figures(settings) == sorted(DAYS[:3])
        [gone] = everything(settings, ["usage_days_superseded"])["usage_days_superseded"]
        assert as_sent(gone) == DAYS[3]
        assert (switched.rows_removed, switched.findings_changed, switched.reconciliations_changed) == (
            1,
            1,
            2,
        )

    def test_by_a_clock_that_went_back_is_still_known_later(self, settings, database):
        publish(database, NIGHT, DAYS)

        switched = publish(database, NIGHT, RECOUNTED, PUBLISHED_AT - DAY)

        assert switched.published_at == PUBLISHED_AT + datetime.timedelta(milliseconds=1)


class TestALaterNight:
    def test_restates_rows_of_an_earlier_one(self, settings, database):
        publish(database, NIGHT, DAYS)

        closed = [GAP_CLOSED, usage_day(Utility.GAS, 6, {0: 1}, night=NEXT)]
        switched = publish(database, NEXT, closed, LATER, {NIGHT.day: "gap closed"})

        assert figures(settings, NIGHT) == sorted([GAP_CLOSED, *(day for day in DAYS if day is not DAYS[1])])
        assert (switched.rows_new, switched.rows_changed, switched.rows_removed) == (1, 1, 0)
        assert restatements.restated(database, NEXT.day) == [
            Restated("gap closed", 1, {"electricity": 0, "gas": 1, "water": 0})
        ]

    def test_stays_as_it_is_when_both_run_again(self, settings, database):
        closed = [GAP_CLOSED, usage_day(Utility.GAS, 6, {0: 1}, night=NEXT)]
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, closed, LATER, {NIGHT.day: "gap closed"})
        before = all_tables(settings)

        earlier = publish(database, NIGHT, DAYS, LATER + HOUR)
        later = publish(database, NEXT, closed, LATER + 2 * HOUR, {NIGHT.day: "gap closed"})

        assert all_tables(settings) == before
        assert (earlier.rows_kept_restated, earlier.rows_overtaken) == (1, 0)
        assert (later.rows_kept_restated, later.rows_overtaken) == (0, 0)

    def test_keeps_a_row_that_it_alone_has_published(self, settings, database):
        publish(database, NIGHT, DAYS[2:])
        publish(database, NEXT, [GAP_CLOSED], LATER)

        again = publish(database, NIGHT, DAYS[2:], LATER + HOUR)

        assert GAP_CLOSED in figures(settings, NIGHT)
        assert again.rows_kept_restated == 1

    def test_gives_way_to_an_earlier_one_that_comes_to_something_else_and_that_is_told(
        self, settings, database
    ):
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, [GAP_CLOSED], LATER)
        late = usage_day(Utility.GAS, 0, {12: 5, 14: 3})

        switched = publish(
            database, NIGHT, [*DAYS[:1], late, *DAYS[2:]], LATER + HOUR, {NIGHT.day: "late data"}
        )

        assert late in figures(settings, NIGHT)
        assert (switched.rows_changed, switched.rows_overtaken) == (1, 1)
        assert [one.reason for one in restatements.restated(database, NIGHT.day)] == ["late data"]

    def test_is_no_difference_to_a_recount_of_the_earlier_one(self, database):
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, [GAP_CLOSED], LATER)

        with contextlib.closing(Publication(database)) as publication:
            stage(publication, database, DAYS)
            as_before = publication.differing_users(NIGHT)
            stage(publication, database, RECOUNTED)
            other = publication.differing_users(NIGHT)

        assert (as_before, other) == ((0, []), (1, [USER]))


class TestAsKnownAt:
    @pytest.mark.parametrize("seed", range(3))
    def test_any_instant_is_what_readers_saw_then(self, settings, database, seed):
        """Nights run, rerun, restated and rolled back at random; each state is found again by its instant."""
        chance = random.Random(seed)
        period = NIGHT.until(Night(NIGHT.day + 2 * DAY))
        users = range(USER, USER + 4)
        seen, at, newest = [], PUBLISHED_AT, -1
        for _ in range(14):
            at += HOUR
            if newest >= 0 and chance.random() < 0.3:
                with contextlib.closing(Publication(database)) as publication:
                    undone = publication.rollback(period[newest], at)
                newest -= undone.restored is None
            else:
                number = chance.randrange(min(newest + 2, len(period)))
                publish(database, period[number], any_days(chance, period[: number + 1], users), at)
                newest = max(newest, number)
            seen.append((at, figures(settings)))

        for (since, rows), (until, _) in zip(seen, [*seen[1:], (at + DAY, None)], strict=True):
            for instant in (since, until - datetime.timedelta(milliseconds=1)):
                known = restatements.rows_as_known(database, users, NIGHT.day, period[-1].day + DAY, instant)
                assert sorted(as_sent(tuple(row.values())) for row in known) == rows

    def test_asks_for_some_nights_and_users_and_says_what_came_after(self, database):
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, [usage_day(Utility.WATER, 50, {1: 1}, night=NEXT)], LATER)
        publish(database, NIGHT, RECOUNTED, LATER + HOUR, {NIGHT.day: "late data"})

        known = restatements.rows_as_known(database, [USER], NIGHT.day, NEXT.day, LATER)

        assert [row["utility"] for row in known] == ["electricity", "gas", "water"]
        assert [(row["known_until"], row["reason"]) for row in known] == [
            (None, None),
            (None, None),
            (naive(LATER + HOUR), "late data"),
        ]


class TestARollback:
    def test_puts_back_what_was_published_before(self, settings, database):
        publish(database, NIGHT, DAYS, **MORE)
        before = everything(settings)
        extra = usage_day(Utility.GAS, 0, {3: 3}, user_id=NEIGHBOUR)
        publish(database, NIGHT, [*RECOUNTED[:3], extra], LATER, findings=FINDINGS[2:])

        undone = rollback(database, NIGHT, LATER + HOUR)

        after = everything(settings)
        assert without_instants(after) == without_instants(before)
        assert after["nights"][0][2] == naive(LATER + HOUR)
        assert (undone.restored, undone.rows_restored, undone.rows_removed) == (PUBLISHED_AT, 2, 1)
        assert undone.nights == (NIGHT.day,)
        reasons = [
            row[-2] for row in everything(settings, ["usage_days_superseded"])["usage_days_superseded"]
        ]
        assert sorted(reasons) == ["recomputed", "recomputed", "rollback", "rollback"]

    def test_of_a_first_publication_takes_t_back_and_what_it_restated(self, settings, database):
        publish(database, NIGHT, DAYS)
        before = everything(settings)
        publish(database, NEXT, [GAP_CLOSED, usage_day(Utility.GAS, 6, {0: 1}, night=NEXT)], LATER)

        undone = rollback(database, NEXT, LATER + HOUR)

        assert without_instants(everything(settings)) == without_instants(before)
        assert (undone.restored, undone.nights) == (None, (NIGHT.day, NEXT.day))
        assert str(undone) == "night 2026-03-29 is no longer published: 1 rows put back, 1 removed"

    def test_goes_one_publication_further_each_time_and_a_night_may_be_run_again(self, settings, database):
        publish(database, NIGHT, DAYS)
        publish(database, NIGHT, RECOUNTED, LATER)
        publish(database, NIGHT, RECOUNTED[:2], LATER + HOUR)
        states = []
        for step in range(3):
            rollback(database, NIGHT, LATER + (2 + step) * HOUR)
            states.append(figures(settings))
        publish(database, NIGHT, DAYS, LATER + DAY)

        assert states == [sorted(RECOUNTED), sorted(DAYS), []]
        assert figures(settings) == sorted(DAYS)

    def test_leaves_alone_what_an_earlier_night_has_published_since(self, settings, database):
        late = usage_day(Utility.GAS, 0, {12: 5, 14: 3})
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, [GAP_CLOSED], LATER)
        publish(database, NIGHT, [*DAYS[:1], late, *DAYS[2:]], LATER + HOUR)

        rollback(database, NEXT, LATER + 2 * HOUR)

        assert late in figures(settings, NIGHT)

    def test_is_only_for_the_newest_night(self, settings, database):
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, [usage_day(Utility.GAS, 6, {0: 1}, night=NEXT)], LATER)
        before = all_tables(settings)

        with pytest.raises(NightRefused) as older:
            rollback(database, NIGHT, LATER + HOUR)
        with pytest.raises(NightRefused, match="night 2026-03-30 is not published"):
            rollback(database, Night(NEXT.day + DAY), LATER + HOUR)

        assert str(older.value) == (
            "night 2026-03-28 is not the newest: roll back night 2026-03-29 first, which starts from it"
        )
        assert all_tables(settings) == before


class TestRegions:
    def used(self, settings, night=NIGHT):
        """Users and usage by region and utility."""
        return {row[1:3]: row[3:5] for row in of_regions(settings) if row[0] == night.day}

    def test_have_used_what_their_households_did(self, settings, database):
        publish(database, NIGHT, [*DAYS, usage_day(Utility.GAS, 0, {3: 7}, user_id=NEIGHBOUR)])

        assert self.used(settings) == {
            ("US-CA", "electricity"): (1, 412 + 2**31 - 1),
            ("US-CA", "gas"): (1, 5),
            ("US-CA", "water"): (1, -850),
            ("US-NY", "gas"): (1, 7),
            ("US-NY", "water"): (1, 1),
        }
        assert of_regions(settings) == summed_by_region(settings)

    def test_follow_what_is_told_anew_and_what_is_put_back(self, settings, database):
        publish(database, NIGHT, DAYS)
        before = of_regions(settings)
        publish(database, NEXT, [GAP_CLOSED, usage_day(Utility.GAS, 6, {0: 1}, night=NEXT)], LATER)
        told = self.used(settings)
        rollback(database, NEXT, LATER + HOUR)
        put_back = of_regions(settings)
        publish(database, NIGHT, DAYS[:3], LATER + 2 * HOUR)
        without_neighbour = self.used(settings)
        rollback(database, NIGHT, LATER + 3 * HOUR)

        assert (told["US-CA", "gas"], told["US-CA", "water"]) == ((1, 6), (1, -850))
        assert ("US-NY", "water") not in without_neighbour
        assert put_back == of_regions(settings) == before

    def test_are_left_by_households_with_all_that_these_ever_used(self, settings, database):
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, [usage_day(Utility.GAS, 5, {3: 4}, night=NEXT)], LATER, households=MOVED)
        moved = self.used(settings), self.used(settings, NEXT)

        publish(database, NEXT, [], LATER + HOUR, households=HOUSEHOLDS[1:])
        gone = self.used(settings), self.used(settings, NEXT)

        assert moved == (
            {
                ("US-NY", "electricity"): (1, 412 + 2**31 - 1),
                ("US-NY", "gas"): (1, 5),
                ("US-NY", "water"): (2, -849),
            },
            {("US-NY", "gas"): (1, 4)},
        )
        assert gone == ({("US-NY", "water"): (1, 1)}, {})


class TestANightThatFails:
    @pytest.mark.parametrize(
        ("spoil", "says"),
        [
            pytest.param(
                f"DELETE FROM usage_days WHERE user_id = {NEIGHBOUR}",
                "usage_days as staged differs from what was sent: 3 of 4 rows",
                id="a-row-is-missing",
            ),
            pytest.param(
                f"UPDATE usage_days SET h01 = h01 + 1 WHERE user_id = {NEIGHBOUR}",
                "usage_days as staged differs from what was sent: 4 of 4 rows, checksum",
                id="a-figure-differs-by-one",
            ),
            pytest.param(
                "UPDATE usage_days SET first_sent_at = NULL",
                "usage_days as staged differs from what was sent: 4 of 4 rows, checksum",
                id="a-figure-is-unknown",
            ),
            pytest.param(
                f"UPDATE households SET name = 'Zoe' WHERE user_id = {USER}",
                "households as staged differs from what was sent: 2 of 2 rows, checksum",
                id="a-name-differs",
            ),
        ],
    )
    def test_its_check_leaves_the_night_before_it(self, settings, database, spoil, says):
        publish(database, NIGHT, DAYS)
        before = all_tables(settings)

        with contextlib.closing(Publication(database)) as publication:
            stage(publication, database, RECOUNTED)
            with connected(settings) as cursor:
                cursor.execute(f"USE {database.staging}")
                cursor.execute(spoil)
            with pytest.raises(NightRefused) as refused:
                for table, rows in (("usage_days", RECOUNTED), ("households", HOUSEHOLDS)):
                    publication.verify(table, len(rows), nights.checksum(table, rows))

        assert str(refused.value).startswith(says)
        assert "\n" not in str(refused.value)
        assert all_tables(settings) == before

    @pytest.mark.parametrize(
        "figure", [{"hours": {3: 2**31}}, {"hours": {}, "quality": "M" * 25}], ids=["hour", "quality"]
    )
    def test_a_figure_too_large_for_its_column_is_not_cut_to_fit(self, database, figure):
        day = usage_day(Utility.WATER, 0, **figure)

        with contextlib.closing(Publication(database)) as publication, pytest.raises(NightRefused):
            stage(publication, database, [day])


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


def test_the_tables_know_every_word_of_the_contracts(settings):
    with connected(settings) as cursor:
        words = {}
        for table, column in (("findings", "rule"), ("reconciliations", "winner"), ("usage_days", "utility")):
            cursor.execute(f"SHOW COLUMNS FROM {table} LIKE '{column}'")
            words[column] = cursor.fetchall()[0][1].removeprefix("enum(").removesuffix(")").split(",")

    assert words["rule"] == [f"'{rule}'" for rule in Rule]
    assert words["winner"] == [f"'{winner}'" for winner in nightly.WINNERS]
    assert words["utility"] == [f"'{utility}'" for utility in UTILITIES]


def rollback(database, night, at):
    with contextlib.closing(Publication(database)) as publication:
        return publication.rollback(night, at)


def without_instants(found):
    """Tables without when their rows were published, and what they repeat."""
    versions = {"nights": (2, -1), "usage_days": (-2,), "findings": (-2,), "reconciliations": (-2,)}
    return {
        table: sorted(
            repr([value for at, value in enumerate(row) if at not in places and at - len(row) not in places])
            for row in found[table]
        )
        for table, places in versions.items()
    }


def any_days(chance, period, users):
    """Rows of the last night of a period for most users, and sometimes of one before; figures often recur."""
    rows = [
        usage_day(utility, 0, {1: chance.randrange(2)}, night=period[-1], user_id=user)
        for user in users
        for utility in (Utility.GAS, Utility.WATER)
        if chance.random() < 0.8
    ]
    earlier = [
        usage_day(Utility.GAS, 0, {2: chance.randrange(3)}, night=night, user_id=user)
        for night in period[:-1]
        for user in users
        if chance.random() < 0.3
    ]
    return rows + earlier


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
