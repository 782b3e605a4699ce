"""A user's revisions, invoices and alerts as plain objects for JSON."""

import datetime
from collections.abc import Sequence

from infra.contracts.utility import Utility
from serving.access.identity import OwnedUser
from serving.figures.alerts import Alert
from serving.figures.local_days import utc_time
from serving.figures.records import Invoice, InvoiceLine, Predecessor
from serving.lookups.user_lists import AlertsAnswer, Page, Told
from serving.render.household import Json, utc_or_none


def revisions(user: OwnedUser, utility: Utility, page: Page[Predecessor]) -> Json:
    """Return a page of predecessors in the shape of `shapes_user.Revisions`."""
    items = [
        {
            "date": str(one.night),
            "known_from": utc_time(one.known_from),
            "known_until": utc_time(one.known_until),
            "usage": one.usage,
            "usage_now": one.usage_now,
            "reason": one.reason,
        }
        for one in page.items
    ]
    about = {"user_id": user.user_id, "utility": utility.value, "unit": utility.unit}
    return {**about, **_freshness(page.told), "items": items, "next": page.next}


def invoices(user: OwnedUser, page: Page[Invoice]) -> Json:
    """Return a page of invoices in the shape of `shapes_user.Invoices`."""
    items = [_invoice(one) for one in page.items]
    return {"user_id": user.user_id, **_freshness(page.told), "items": items, "next": page.next}


def invoice(user: OwnedUser, one: Invoice, lines: Sequence[InvoiceLine], told: Told) -> Json:
    """Return an invoice with its lines in the shape of `shapes_user.InvoiceDetail`."""
    return {
        **_invoice(one),
        "user_id": user.user_id,
        **_freshness(told),
        "zone": one.zone,
        "truth_until": utc_time(one.truth_until),
        "lines": [_line(line) for line in lines],
    }


def alerts(user: OwnedUser, answer: AlertsAnswer) -> Json:
    """Return a user's alerts in the shape of `shapes_user.Alerts`."""
    return {
        "user_id": user.user_id,
        "as_of": utc_time(answer.now_ms),
        "truth_until": utc_or_none(answer.truth_until),
        "sources": {"redis": answer.redis, "mysql": answer.mysql},
        "notes": list(answer.notes),
        "items": [_alert(alert) for alert in answer.alerts],
        "next": None,
    }


def _freshness(told: Told) -> Json:
    """Return what a list says of its sources; told whole or not at all, it leaves nothing to note."""
    return {
        "as_of": utc_time(told.now_ms),
        "sources": {"redis": told.redis, "mysql": told.mysql},
        "notes": [],
    }


def _invoice(one: Invoice) -> Json:
    return {
        "number": one.number,
        "kind": one.kind,
        "month": f"{one.month:%Y-%m}",
        "version": one.version,
        "currency": one.currency,
        "total": one.total,
        "issued_at": utc_time(one.issued_at),
        "reverses": one.reverses,
        "stands": one.stands,
    }


def _line(line: InvoiceLine) -> Json:
    told = line._asdict()
    days = {name: _day(told[name]) for name in ("day_from", "day_until", "night_from", "night_to")}
    return {**told, "utility": line.utility.value, **days}


def _day(date: datetime.date | None) -> str | None:
    return None if date is None else str(date)


def _alert(alert: Alert) -> Json:
    return {
        "kind": alert.kind.value,
        "utility": alert.utility.value,
        "since": utc_time(alert.since),
        "until": utc_or_none(alert.until),
        "message": alert.message,
        "amount": alert.amount,
        "unit": alert.unit,
        "severity": alert.severity.value,
    }
