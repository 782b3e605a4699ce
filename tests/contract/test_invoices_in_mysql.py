"""Pipe MySQL, invoices: from what is published and master data on S3; corrected by credits, never edited."""

import contextlib
import dataclasses
import multiprocessing
import time
import uuid

import pyarrow as pa
import pymysql
import pytest
import typer.testing
from invoice_builders import (
    BERLINER,
    DAY,
    FIRST_NIGHT,
    HOUSEHOLDS,
    ISSUED_AT,
    LABEL,
    LAST_NIGHT,
    MOVED_IN,
    NEW_YORKER,
    SINCE,
    TARIFFS,
    TYPES,
    a_price,
    counts,
    everything,
    insert,
    issue,
    publish,
    publish_night,
    refused,
    show,
)
from night_builders import connected
from rich.console import Console

from batch import invoice_commands, invoice_run, s3_source
from batch.__main__ import bucket_of
from batch.invoice_lines import Month
from batch.invoice_run import Issuing
from batch.night import NightRefused
from infra.contracts import master_data
from infra.contracts.invoices import USAGE_CHECKSUM_SQL
from infra.mysql import server
from simulator.s3_sink import S3Sink

WAIT_S_MAX = 60


@pytest.fixture(scope="module")
def settings(services):
    """Settings of a database of its own, made by the migrations."""
    settings = dataclasses.replace(services.settings, mysql_database=f"invoices{uuid.uuid4().hex[:8]}")
    server.migrate(settings)
    return settings


@pytest.fixture
def published(settings):
    """A published month of three users, 100 Wh and 5 L an hour each, and not one invoice."""
    with connected(settings) as cursor:
        cursor.execute("SET foreign_key_checks = 0")
        for table in ("nights", "usage_days", "households", "invoices", "invoice_lines"):
            cursor.execute(f"TRUNCATE {table}")
        insert(cursor, "households", tuple(master_data.USERS_COLUMNS), HOUSEHOLDS)
        night = FIRST_NIGHT
        while night <= LAST_NIGHT:
            publish(cursor, night)
            night += DAY


@pytest.fixture(scope="module")
def sink(services):
    s = services.settings
    sink = S3Sink(s.s3_endpoint, "invoices", s.s3_region, s.s3_access_key, s.s3_secret_key)
    sink.make_bucket()
    return sink


@pytest.fixture
def master(sink, published):
    """Put tariffs and agreements to S3; return what puts them there again, changed."""

    def put(tariffs=TARIFFS):
        agreements = [
            {"user_id": user_id, "utility": utility, "plan": "home", "moved_in_on": day, "moved_out_on": None}
            for user_id, day in ((BERLINER, SINCE), (NEW_YORKER, MOVED_IN))
            for utility in ("electricity", "water")
        ]
        for path, columns, rows in (
            (master_data.TARIFFS_PATH, master_data.TARIFFS_COLUMNS, tariffs),
            (master_data.AGREEMENTS_PATH, master_data.AGREEMENTS_COLUMNS, agreements),
        ):
            schema = pa.schema([(name, TYPES[kind]) for name, kind in columns.items()])
            sink.put_table(path, pa.Table.from_pylist(rows, schema))

    put()
    return put


@pytest.fixture
def bucket(settings, master):
    return bucket_of(dataclasses.replace(settings, s3_bucket="invoices"))


@pytest.fixture
def invoices(database, bucket):
    """Run a command of invoices to its end."""

    @contextlib.contextmanager
    def one_line():
        try:
            yield
        except NightRefused as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None

    app = invoice_commands.commands(
        bucket=lambda: bucket,
        database=lambda: database,
        clock=lambda: ISSUED_AT,
        one_line=one_line,
        progress=Console(stderr=True),
    )
    runner = typer.testing.CliRunner()

    def run(*arguments):
        done = runner.invoke(app, [*arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return run


class TestAMonth:
    def test_is_issued_once(self, settings, invoices):
        assert issue(invoices) == counts(issued=2)
        issued = everything(settings)

        assert issue(invoices) == counts(unchanged=2)
        assert everything(settings) == issued

    def test_is_shown_to_a_person(self, invoices):
        issue(invoices)

        shown = invoices("show", f"2026-10-{BERLINER}-1").stdout

        for word in (
            'Zoë "Z," O\'Neil',
            "October 2026, Europe/Berlin",
            "günstig",
            "1 to 31",
            "19 %",
        ):
            assert word in shown

    def test_adds_up_by_the_local_clock(self, invoices):
        issue(invoices)

        [shown] = show(invoices, "--user", str(BERLINER))

        # October has 745 hours in Berlin, the additional one by night.
        by_night, by_day = (31 * 7 + 1) * 100, 31 * 17 * 100
        amounts = [round(by_night / 100), round(by_day * 3 / 100), 1_033]
        amounts += [round(sum(amounts) * 0.19), 745 * 5 * 2 // 5]
        assert [(line["utility"], line["label"], line["amount"]) for line in shown["lines"]] == [
            ("electricity", LABEL, amounts[0]),
            ("electricity", "Tag", amounts[1]),
            ("electricity", "Zähler", amounts[2]),
            ("electricity", "MwSt", amounts[3]),
            ("water", "water", amounts[4]),
        ]
        assert (shown["total"], shown["currency"]) == (sum(amounts), "EUR")
        assert shown["issued_at"] == "2026-11-02 06:07:08.901000"

    def test_begins_where_somebody_moved_in(self, invoices):
        issue(invoices)

        [shown] = show(invoices, "--user", str(NEW_YORKER), "--month", "2026-10")

        assert {(line["day_from"], line["day_until"]) for line in shown["lines"]} == {
            ("2026-10-20", "2026-11-01")
        }
        assert [line["quantity"] for line in shown["lines"] if line["component"] == "standing"] == [12]
        assert sum(line["quantity"] for line in shown["lines"] if line["unit"] == "Wh") == 12 * 24 * 100

    def test_rests_on_rows_that_anybody_can_hold_it_against(self, settings, invoices):
        issue(invoices)

        with connected(settings, settings.mysql_serving_user, settings.mysql_serving_password) as cursor:
            energy = cursor.execute(
                "SELECT i.user_id, l.utility, night_from, night_to, rows_checksum FROM invoice_lines AS l "
                "JOIN invoices AS i USING (number) WHERE component = 'energy'"
            )
            for user_id, utility, night_from, night_to, checksum in cursor.fetchall():
                cursor.execute(
                    f"SELECT BIT_XOR({USAGE_CHECKSUM_SQL}) FROM usage_days "
                    "WHERE user_id = %s AND utility = %s AND night BETWEEN %s AND %s",
                    (user_id, utility, night_from, night_to),
                )
                assert cursor.fetchall() == ((checksum,),)
        assert energy == 6


class TestACorrection:
    def test_of_usage_is_a_credit_and_a_new_invoice(self, settings, invoices):
        issue(invoices)
        before = everything(settings)
        with connected(settings) as cursor:
            cursor.execute(
                "UPDATE usage_days SET h12 = 300, usage_total = usage_total + 200, quality = %s "
                "WHERE user_id = %s AND utility = 'electricity' AND night = '2026-10-10'",
                ("M" * 12 + "E" + "M" * 11, BERLINER),
            )

        assert issue(invoices) == counts(issued=1, credited=1, unchanged=1)

        first, credit, second = show(invoices, "--user", str(BERLINER))
        number = f"2026-10-{BERLINER}"
        assert [one["number"] for one in (first, credit, second)] == [
            f"{number}-1",
            f"{number}-1-credit",
            f"{number}-2",
        ]
        assert credit["reverses"] == f"{number}-1"
        assert first["total"] + credit["total"] == 0
        assert [-line["amount"] for line in credit["lines"]] == [line["amount"] for line in first["lines"]]
        day = second["lines"][1]
        assert (day["quantity"], day["quantity_estimated"]) == (31 * 17 * 100 + 200, 300)
        assert second["total"] == first["total"] + 6 + 1  # 200 Wh by day, and their tax
        after = everything(settings)
        assert set(before["invoices"]) < set(after["invoices"])
        assert set(before["invoice_lines"]) < set(after["invoice_lines"])
        assert issue(invoices) == counts(unchanged=2)
        assert everything(settings) == after

    def test_of_a_tariff_is_a_credit_and_a_new_invoice_of_all_it_concerns(self, invoices, master):
        issue(invoices)
        changed = a_price("standing", "Zähler", 40_000_000)
        master([changed if row["component"] == "standing" else row for row in TARIFFS])

        assert issue(invoices) == counts(issued=2, credited=2)

    def test_cannot_be_an_edit(self, settings, invoices):
        issue(invoices)
        before = everything(settings)

        with connected(settings) as cursor:
            for statement in (
                "UPDATE invoices SET total = 0",
                "UPDATE invoice_lines SET amount = 0",
                "DELETE FROM invoices",
                "DELETE FROM invoice_lines",
            ):
                with pytest.raises(pymysql.MySQLError, match=r"an invoice is never (edited|removed)"):
                    cursor.execute(statement)

        assert everything(settings) == before


class TestWhatIsNotIssued:
    def test_is_a_month_that_is_not_over(self, settings, invoices):
        with connected(settings) as cursor:
            cursor.execute("DELETE FROM nights WHERE night > '2026-10-30'")

        done = invoices("issue", "--month", "2026-10")

        refused(
            done,
            "month 2026-10 is not complete: in America/New_York it ends at 2026-11-01 04:00 UTC, "
            "and nights are published until 2026-10-31 00:00 UTC",
        )
        assert not everything(settings)["invoices"]

    def test_is_what_ends_later_in_its_zone(self, settings, invoices):
        with connected(settings) as cursor:
            cursor.execute("DELETE FROM nights WHERE night = %s", (LAST_NIGHT,))

        assert issue(invoices) == counts(issued=1, vacant=0, incomplete=2)

        with connected(settings) as cursor:
            publish_night(cursor, LAST_NIGHT)
        assert issue(invoices) == counts(issued=1, unchanged=1)

    def test_is_a_month_with_a_night_missing(self, settings, invoices):
        with connected(settings) as cursor:
            cursor.execute("DELETE FROM nights WHERE night = '2026-10-13'")

        refused(invoices("issue", "--month", "2026-10"), "not complete: night 2026-10-13 is not published")

    def test_is_what_tariffs_leave_open(self, settings, invoices, master):
        master(TARIFFS[1:])

        refused(
            invoices("issue", "--month", "2026-10"),
            "master/tariffs/tariffs.parquet, row 0: gap in plan home (electricity) from 2026-01-01, workday, "
            "hour 0, tier from 0",
        )
        assert not everything(settings)["invoices"]

    def test_is_for_users_that_nobody_knows(self, invoices):
        refused(
            invoices("issue", "--month", "2026-10", "--users", "10000001,5"), "1 of these users are unknown"
        )
        refused(invoices("show", "--user", "5"), "there is no invoice of user 5")
        refused(invoices("show", "2026-10-5-1"), "there is no invoice of number 2026-10-5-1")

    def test_is_told_as_misuse_where_options_are_wrong(self, invoices):
        assert invoices("issue", "--month", "2026-13").exit_code == 2
        assert invoices("issue", "--month", "2026-10", "--users", "one").exit_code == 2
        assert invoices("show").exit_code == 2


class TestTwoRuns:
    def test_at_once_are_one_and_the_other_is_told(self, settings, database, invoices):
        with contextlib.closing(Issuing(database)):
            done = invoices("issue", "--month", "2026-10")

        refused(done, f"another run is issuing invoices in {database.name}; try again once it is done")
        assert issue(invoices) == counts(issued=2)

    def test_of_which_one_failed_in_the_midst_issue_each_user_once(self, settings, invoices, monkeypatch):
        monkeypatch.setattr(invoice_run, "USERS_A_CHUNK", 1)
        of_month = invoice_run._due

        def fail_second(month, households, *rest):
            if households and households[0][0] == NEW_YORKER:
                raise NightRefused("the lights went out")
            return of_month(month, households, *rest)

        monkeypatch.setattr(invoice_run, "_due", fail_second)
        refused(invoices("issue", "--month", "2026-10"), "the lights went out")
        monkeypatch.setattr(invoice_run, "_due", of_month)

        assert issue(invoices) == counts(issued=1, unchanged=1)
        assert len(everything(settings)["invoices"]) == 2

    def test_of_which_one_was_killed_issue_each_user_once(self, settings, database, bucket, invoices):
        with connected(settings) as cursor:
            cursor.execute("LOCK TABLES invoice_lines READ")  # invoices are written, their lines must wait
            issuer = multiprocessing.get_context("spawn").Process(target=issue_all, args=(database, bucket))
            issuer.start()
            wait_until(lambda: waits_for_a_table(settings), issuer)
            issuer.kill()
            issuer.join()
        wait_until(lambda: may_issue(database))

        assert not everything(settings)["invoices"]
        assert issue(invoices) == counts(issued=2)


def issue_all(database, bucket):
    """Issue the month in a process of its own."""
    tariffs = s3_source.read_tariffs(bucket)
    agreements = s3_source.read_agreements(bucket, tariffs)
    invoice_run.issue(
        Month.named("2026-10"),
        database=database,
        tariffs=tariffs,
        agreements=agreements,
        user_ids=[],
        issued_at=ISSUED_AT,
        advance=lambda *_: None,
    )


def waits_for_a_table(settings):
    with connected(settings) as cursor:
        return cursor.execute(
            "SELECT 1 FROM information_schema.processlist WHERE db = %s AND state LIKE '%%metadata lock%%'",
            (settings.mysql_database,),
        )


def may_issue(database):
    try:
        Issuing(database).close()
    except NightRefused:
        return False
    return True


def wait_until(condition, process=None):
    deadline = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.is_alive()
        time.sleep(0.1)
