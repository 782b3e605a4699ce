"""Nights by hand for the contracts of MySQL: rows whose sums agree, staged without Spark."""

import contextlib
import dataclasses
import datetime
import functools
import hashlib
import operator
import uuid

import pyarrow as pa
import pymysql

from batch import mysql_sink
from batch.mysql_sink import NightRow, Publication
from batch.night import Night
from infra.contracts import master_data, nightly
from infra.contracts.nightly import FINDINGS_COLUMNS, RECONCILIATIONS_COLUMNS, USAGE_DAYS_COLUMNS
from infra.contracts.quality import Rule
from infra.contracts.utility import UTILITIES, Utility
from infra.mysql import server
from serving.stores.mysql_source import MysqlSource

NIGHT = Night(datetime.date(2026, 3, 28))
NEXT = Night(datetime.date(2026, 3, 29))
PUBLISHED_AT = datetime.datetime(2026, 3, 29, 1, 2, 3, 456_000, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
LATER = PUBLISHED_AT + HOUR
USER, NEIGHBOUR, STRANGER = 10_000_001, 10_000_002, 10_000_003
# What a person may be called, and what breaks careless ways of writing it down.
NAME, ADDRESS = 'Zoë "Z," O\'Neil \\ 家 🏠', "NULL"
HOUSEHOLDS = [
    (USER, "home", NAME, ADDRESS, "US-CA", "America/Los_Angeles", "USD"),
    (NEIGHBOUR, "business", "Klein Bakery", "2\n3 Oak Lane", "US-NY", "America/New_York", None),
]
REGIONS = [("US-CA", "California", "America/Los_Angeles"), ("US-NY", "New York", "America/New_York")]
TEXT = (
    *("night", "utility", "quality", "price_steps", "rule", "winner", "reason"),
    *("kind", "name", "address", "region", "zone", "currency"),
)
COLUMNS = {
    nightly.USAGE_DAYS_TABLE: USAGE_DAYS_COLUMNS,
    nightly.FINDINGS_TABLE: FINDINGS_COLUMNS,
    nightly.RECONCILIATIONS_TABLE: RECONCILIATIONS_COLUMNS,
    nightly.HOUSEHOLDS_TABLE: nightly.HOUSEHOLDS_COLUMNS,
    nightly.REGIONS_TABLE: tuple(master_data.REGIONS_COLUMNS),
}
FIGURES = len(USAGE_DAYS_COLUMNS)  # of a row of usage; its versions follow
PUBLISHED = ("nights", *COLUMNS, nightly.REGION_DAYS_TABLE)
LEDGERS = (
    "nights_superseded",
    *(f"{table}_superseded" for table in tuple(COLUMNS)[:3]),
    nightly.CLAIMS_TABLE,
)


def usage_day(utility, register_start, hours, *, night=NIGHT, user_id=USER, first_sent_at=None, **figures):
    """A row of `usage_days` whose sums agree; `hours` maps UTC hours to usage."""
    by_hour = {column: hours.get(hour, 0) for hour, column in enumerate(nightly.HOUR_COLUMNS)}
    total = sum(by_hour.values())
    row = {
        "user_id": user_id,
        "night": str(night),
        "utility": str(utility),
        "register_start": register_start,
        "register_end": register_start + total,
        "register_offset": 0,
        "first_sent_at": first_sent_at,
        "last_sent_at": night.end_ms - 1,
        "heartbeats": 17_280,
        "usage_total": total,
        "usage_estimated": 0,
        "quality": "M" * 24,
        "cost": 29_000 * total,
        "price_steps": "0:29000",
        "month_usage": total,
        "month_cost": 29_000 * total,
        **by_hour,
        **figures,
    }
    return tuple(row[column] for column in USAGE_DAYS_COLUMNS)


DAYS = [
    usage_day(Utility.ELECTRICITY, 2**47, {0: 412, 23: 2**31 - 1}, cost=2**62),
    usage_day(Utility.GAS, 0, {12: 5}, first_sent_at=NIGHT.start_ms + 43_200_123),
    usage_day(Utility.WATER, 900, {7: 30, 8: -880}, register_offset=-7, quality="MC" * 12),
    usage_day(Utility.WATER, 1, {1: 1}, user_id=NEIGHBOUR),
]
RECOUNTED = [usage_day(Utility.WATER, 900, {7: 31, 8: -880}), *DAYS[:2], *DAYS[3:]]
FINDINGS = [(USER, str(NIGHT), "water", str(rule), 7, 9, 12) for rule in Rule]
RECONCILED = [
    (USER, str(NIGHT), "water", 28, -850, None, -850, "validated", "spike set aside"),
    (NEIGHBOUR, str(NIGHT), "water", None, 1, 2, 2, "billing", "utility read"),
]
MORE = {"findings": FINDINGS, "reconciliations": RECONCILED}


def own_database(services):
    """Settings of a database of one's own, made by the migrations."""
    settings = dataclasses.replace(services.settings, mysql_database=f"night_{uuid.uuid4().hex[:8]}")
    server.migrate(settings)
    return settings


def serving_source(settings, timeout_ms, now):
    """What serving asks, as the user that it asks as."""
    return MysqlSource(
        host=settings.mysql_host,
        port=settings.mysql_port,
        database=settings.mysql_database,
        user=settings.mysql_serving_user,
        password=settings.mysql_serving_password,
        timeout_ms=timeout_ms,
        now=now,
    )


@contextlib.contextmanager
def connected(settings, user="root", password=""):
    """A cursor, by default of somebody who may do everything."""
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


def everything(settings, tables=PUBLISHED):
    """Return all rows of all tables that readers see, as one snapshot has them."""
    with connected(settings) as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        found = {}
        for table in tables:
            cursor.execute(f"SELECT * FROM {table}")
            found[table] = sorted(cursor.fetchall(), key=repr)
        return found


def all_tables(settings):
    """Return all rows that readers see, and what is kept beside them."""
    return everything(settings, (*PUBLISHED, *LEDGERS))


def figures(settings, night=None):
    """The published rows of usage, without their versions."""
    rows = everything(settings, ["usage_days"])["usage_days"]
    return sorted(as_sent(row) for row in rows if night is None or row[1] == night.day)


def of_regions(settings):
    return everything(settings, ["region_days"])["region_days"]


def as_sent(row):
    return (row[0], str(row[1]), *row[2:FIGURES])


def summed_by_region(settings):
    """Return what `region_days` must hold: the sum of what is published, over each region's households."""
    sums = ", ".join(f"CAST(SUM({column}) AS SIGNED)" for column in nightly.REGION_DAYS_SUMS)
    with connected(settings) as cursor:
        cursor.execute(
            f"SELECT night, region, utility, COUNT(*), CAST(SUM(usage_estimated <> 0) AS SIGNED), {sums} "
            "FROM usage_days JOIN households USING (user_id) GROUP BY night, region, utility"
        )
        return sorted(cursor.fetchall(), key=repr)


@contextlib.contextmanager
def nothing_published_after(settings):
    """Whatever happens to nights within, regions have used what their households did; then none is left."""
    yield
    assert of_regions(settings) == summed_by_region(settings)
    empty(settings)


def empty(settings):
    """Take back whatever was published, and what is kept beside it."""
    with connected(settings) as cursor:
        for table in (*PUBLISHED, *LEDGERS):
            cursor.execute(f"TRUNCATE {table}")


def arrow(table, rows):
    """Return rows as Arrow has them when Spark hands them out."""
    columns = COLUMNS[table]
    schema = pa.schema([(name, pa.string() if name in TEXT else pa.int64()) for name in columns])
    return pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows], schema)


def checksum(table, rows):
    """Return the checksum of rows, told in Python."""
    texts = [",".join("NULL" if value is None else str(value) for value in row).encode() for row in rows]
    digests = (int(hashlib.md5(text).hexdigest()[:15], 16) for text in texts)
    return functools.reduce(operator.xor, digests, 0)


def stage(publication, database, days, *, findings=(), reconciliations=(), households=HOUSEHOLDS):
    """Load a night and verify it as the job does; return its `nights` row."""
    tables = dict(zip(COLUMNS, (days, findings, reconciliations, households, REGIONS), strict=True))
    publication.prepare()
    for table, rows in tables.items():
        assert mysql_sink.load_batches(arrow(table, rows).to_batches(), database, table) == len(rows)
        publication.verify(table, len(rows), checksum(table, rows))
    return night_row(days, len(findings))


def night_row(days, findings=0, fingerprint="as archived"):
    total = USAGE_DAYS_COLUMNS.index("usage_total")
    usage = {str(utility): sum(day[total] for day in days if day[2] == utility) for utility in UTILITIES}
    return NightRow(
        users=len({day[0] for day in days}),
        heartbeats=17_280 * len(days),
        usage_total=usage,
        usage_estimated=dict.fromkeys(usage, 3),
        rows_checksum=checksum("usage_days", days),
        findings=findings,
        archive_fingerprint=fingerprint,
    )


def publish(database, night, days, published_at=PUBLISHED_AT, reasons=None, **staged):
    """Publish a night and return what that changed."""
    with contextlib.closing(Publication(database)) as publication:
        row = stage(publication, database, days, **staged)
        switched = publication.switch(night, row, published_at, reasons)
        publication.clear()
    return switched
