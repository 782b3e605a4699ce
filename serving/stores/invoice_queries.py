"""A user's invoices out of MySQL. Every statement names the user: a number alone finds nothing."""

import datetime
from collections.abc import Sequence
from typing import Any

from infra.contracts.invoices import CREDIT, INVOICE
from infra.contracts.nightly import HOUSEHOLDS_TABLE, INVOICE_LINES_TABLE, INVOICES_TABLE
from infra.contracts.utility import Utility
from serving.access.identity import OwnedUser
from serving.figures.records import Invoice, InvoiceLine, InvoicePlace, OfUser
from serving.stores.queries import Queries, ms

LINES_MAX = 1_000
FIRST = InvoicePlace(datetime.date(9999, 12, 31), 0, 0)
# A credit's number is made of the number that it reverses: infra/contracts/invoices.py.
_COLUMNS = f"""
    number, kind, month, version, reverses, zone, currency, total, truth_until, issued_at,
    kind = '{INVOICE}' AND NOT EXISTS (
        SELECT 1 FROM {INVOICES_TABLE} AS c WHERE c.number = CONCAT(i.number, '-{CREDIT}')
    ) AS stands
"""
_LIST_SQL = f"""
    SELECT h.user_id, found.*
    FROM (SELECT %s AS user_id) AS asked
    LEFT JOIN {HOUSEHOLDS_TABLE} AS h ON h.user_id = asked.user_id
    LEFT JOIN (
        SELECT {_COLUMNS} FROM {INVOICES_TABLE} AS i
        WHERE user_id = %s AND month <= %s AND (month < %s OR version < %s OR version = %s AND kind + 0 < %s)
        ORDER BY month DESC, version DESC, kind DESC LIMIT %s
    ) AS found ON TRUE
    ORDER BY found.month DESC, found.version DESC, found.kind = '{CREDIT}' DESC
"""
_ONE_SQL = f"SELECT {_COLUMNS} FROM {INVOICES_TABLE} AS i WHERE number = %s AND user_id = %s"
_LINES_SQL = f"""
    SELECT line, utility, component, label, tier_from, quantity, quantity_estimated, unit, price_micro,
           amount, day_from, day_until, night_from, night_to
    FROM {INVOICE_LINES_TABLE} WHERE number = %s ORDER BY line LIMIT {LINES_MAX}
"""


class InvoiceQueries(Queries):
    """A user's invoices; see `TruthSource`."""

    async def invoices(self, user: OwnedUser, after: InvoicePlace | None, limit: int) -> OfUser[Invoice]:
        """See `TruthSource.invoices`."""
        month, version, rank = after or FIRST
        rows = await self.ask(
            _LIST_SQL, (user.user_id, user.user_id, month, month, version, version, rank, limit)
        )
        return OfUser(rows[0][0] is not None, [_invoice(row[1:]) for row in rows if row[1] is not None])

    async def invoice(self, user: OwnedUser, number: str) -> tuple[Invoice, Sequence[InvoiceLine]] | None:
        """See `TruthSource.invoice`."""
        rows = await self.ask(_ONE_SQL, (number, user.user_id))
        if not rows:
            return None
        # Its lines never change, so that a second statement tells of the same invoice.
        lines = await self.ask(_LINES_SQL, (rows[0][0],))
        return _invoice(rows[0]), [InvoiceLine(row[0], Utility(row[1]), *row[2:]) for row in lines]


def _invoice(row: Sequence[Any]) -> Invoice:
    number, kind, month, version, reverses, zone, currency, total, truth_until, issued_at, stands = row
    return Invoice(
        *(number, kind, month, version, reverses, zone, currency, total),
        ms(truth_until),
        ms(issued_at),
        bool(stands),
    )
