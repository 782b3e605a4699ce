"""A published month of three users and their tariffs, and the commands that invoice it."""

import datetime
import json

import pyarrow as pa
from night_builders import connected

from infra.contracts import master_data
from infra.contracts.invoices import INVOICE_LINES_COLUMNS, INVOICES_COLUMNS
from infra.contracts.nightly import HOUR_COLUMNS

DAY = datetime.timedelta(days=1)
FIRST_NIGHT, LAST_NIGHT = datetime.date(2026, 9, 30), datetime.date(2026, 11, 1)
ISSUED_AT = datetime.datetime(2026, 11, 2, 6, 7, 8, 901_234, tzinfo=datetime.UTC)
BERLINER, NEW_YORKER, VACANT = 10_000_001, 10_000_002, 10_000_003
HOUSEHOLDS = [
    (BERLINER, "home", 'Zoë "Z," O\'Neil', "2 Oak Lane", "DE-BE", "Europe/Berlin"),
    (NEW_YORKER, "business", "Klein Bakery", "NULL", "US-NY", "America/New_York"),
    (VACANT, "home", "Nobody", "4 Elm Street", "US-NY", "America/New_York"),
]
LABEL = 'Nacht, "günstig"'
SINCE = datetime.date(2026, 1, 1)
MOVED_IN = datetime.date(2026, 10, 20)


def a_price(component, label, price_micro, **changes):
    row = dict.fromkeys(master_data.TARIFFS_COLUMNS) | {
        "plan": "home",
        "utility": "electricity",
        "component": component,
        "label": label,
        "days": "all",
        "hour_from": 0,
        "hour_to": 24,
        "tier_from": 0,
        "price_micro": price_micro,
        "currency": "EUR",
        "valid_from": SINCE,
    }
    return row | changes


TARIFFS = [
    a_price("energy", LABEL, 10_000, hour_to=7),
    a_price("energy", "Tag", 30_000, hour_from=7),
    a_price("standing", "Zähler", 33_333_333),
    a_price("tax", "MwSt", 190_000),
    a_price("energy", "water", 400_000, utility="water"),
]
TYPES = {"BIGINT": pa.int64(), "INT": pa.int32(), "STRING": pa.string(), "DATE": pa.date32()}


def insert(cursor, table, columns, rows):
    cursor.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})", rows
    )


def publish(cursor, night):
    """Write a night's rows as batch would, those that invoices read at any rate."""
    until = publish_night(cursor, night)
    days = []
    for user_id, *_ in HOUSEHOLDS:
        for utility, units in (("electricity", 100), ("water", 5)):
            total = 24 * units
            day = {"user_id": user_id, "night": night, "utility": utility, "usage_total": total}
            day |= {"register_start": 0, "register_end": total, "last_sent_at": 1, "heartbeats": 17_280}
            day |= {"register_offset": 0, "usage_estimated": 0, "quality": "M" * 24, "cost": 0}
            day |= {"price_steps": "", "month_usage": 0, "month_cost": 0}
            day |= {"known_from": until, "published_by": night}
            days.append(day | dict.fromkeys(HOUR_COLUMNS, units))
    insert(cursor, "usage_days", tuple(days[0]), [tuple(day.values()) for day in days])


def publish_night(cursor, night):
    """Write a night's own row; return T after it."""
    until = datetime.datetime.combine(night + DAY, datetime.time())
    sums = dict.fromkeys(("users", "heartbeats", "electricity_wh", "gas_litres", "water_litres"), 1)
    row = {"night": night, "truth_until": until, "published_at": until, "rows_checksum": 1, **sums}
    row["restated_from"] = night
    insert(cursor, "nights", tuple(row), [tuple(row.values())])
    return until


def issue(invoices, *arguments):
    done = invoices("issue", "--month", "2026-10", "--json", *arguments)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def show(invoices, *arguments):
    done = invoices("show", *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def counts(**changes):
    every = dict.fromkeys(("issued", "credited", "unchanged", "vacant", "incomplete"), 0)
    return {"month": "2026-10", "users": 3, **every, "vacant": 1} | changes


def refused(done, says):
    assert done.exit_code == 1
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def everything(settings):
    with connected(settings) as cursor:
        found = {}
        for table, columns in (("invoices", INVOICES_COLUMNS), ("invoice_lines", INVOICE_LINES_COLUMNS)):
            cursor.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1, 2")
            found[table] = cursor.fetchall()
        return found
