"""A fleet whose usage is a formula of user and hour: its nights as batch publishes them, and an invoice."""

import datetime

from night_builders import USER, connected, usage_day

from batch.night import Night
from infra.contracts.durations import HOUR_MS
from infra.contracts.invoices import INVOICE_LINES_COLUMNS, INVOICES_COLUMNS, invoice_number, rounded
from infra.contracts.utility import Utility

DAY = datetime.timedelta(days=1)
FIRST, LAST = datetime.date(2026, 2, 26), datetime.date(2026, 4, 2)
DATES = [FIRST + DAY * day for day in range((LAST - FIRST).days + 1)]
T = Night(LAST).end_ms
NOW = T + 15 * HOUR_MS + 5_000
PRICES = "0:12000;700:31000"
ZONES = {"US-CA": "America/Los_Angeles", "US-NY": "America/New_York"}
FLEET = [(USER + number, "US-CA" if number < 18 else "US-NY") for number in range(35)]
HOUSEHOLDS = [(user, "home", f"User {user}", "1 Oak Lane", code, ZONES[code], "USD") for user, code in FLEET]
NUMBER = invoice_number(datetime.date(2026, 3, 1), USER, 1)


def hourly(user, date, hour):
    return (user - USER + 1) * 3 + date.day + hour


def used(user, start_ms, end_ms):
    """Return what a user used between two instants on the hour, by the fleet's own formula."""
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    hours = (epoch + datetime.timedelta(milliseconds=at) for at in range(start_ms, end_ms, HOUR_MS))
    return sum(hourly(user, at.date(), at.hour) for at in hours)


def register(user, at_ms):
    return 1_000_000 + used(user, Night(FIRST).start_ms, at_ms)


def price_of(used_before, usage):
    """Return what usage costs by PRICES, unit by unit."""
    return sum(12_000 if unit < 700 else 31_000 for unit in range(used_before, used_before + usage))


def rows_of(date, users=FLEET):
    night = Night(date)
    rows = []
    for user, _ in users:
        hours = {hour: hourly(user, date, hour) for hour in range(24)}
        cost = price_of(0, sum(hours.values()))
        figures = {"cost": cost, "price_steps": PRICES, "last_sent_at": night.end_ms - 1}
        born = night.start_ms + 1_000 if date == FIRST else None
        rows.append(
            usage_day(
                Utility.ELECTRICITY,
                register(user, night.start_ms),
                hours,
                night=night,
                user_id=user,
                first_sent_at=born,
                **figures,
            )
        )
    return rows


def instant(text):
    return round(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def issue_invoice(settings):
    start, end = instant("2026-03-01T00:00-08:00"), instant("2026-04-01T00:00-07:00")
    usage, cost = used(USER, start, end), cost_between(start, end)
    issued = datetime.datetime(2026, 4, 2, 6, tzinfo=datetime.UTC)
    invoice = (NUMBER, "invoice", "2026-03-01", USER, 1, None, ZONES["US-CA"], "USD", rounded(cost), issued)
    line = (NUMBER, 1, "electricity", "energy", "all", 0, usage, 0, "Wh", 1, rounded(cost))
    with connected(settings) as cursor:
        for table, columns, row in (
            ("invoices", INVOICES_COLUMNS, (*invoice, issued, "0" * 16)),
            (
                "invoice_lines",
                INVOICE_LINES_COLUMNS,
                (*line, "2026-03-01", "2026-04-01", "2026-03-01", "2026-04-01", 1),
            ),
        ):
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})", row
            )


def cost_between(start_ms, end_ms):
    """Return what USER's energy cost, hour by hour, each by what the UTC day had used before."""
    cost = 0
    for at in range(start_ms, end_ms, HOUR_MS):
        midnight = at - at % (24 * HOUR_MS)
        before = used(USER, midnight, at)
        cost += price_of(before, used(USER, at, at + HOUR_MS))
    return cost
