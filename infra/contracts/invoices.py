"""Invoices in MySQL: batch issues them, serving reads them. DDL: infra/mysql/schema/003_invoices.sql.

`invoices` has one row a document, `invoice_lines` one row a line of it, numbered from 1. Rows are never
changed or removed: what was wrong is reversed in full by a credit, whose lines are the invoice's with the
sign of quantity and amount turned, and replaced by an invoice of the next version. What a user owes for a
month is thus the sum over all its documents; the invoice that stands has the greatest version, and no credit.

An invoice is for one local calendar month of the household. A line's amount is quantity * price_micro,
rounded once, half to even, to the currency's minor unit; `total` is the sum of the amounts.

    component   quantity                     unit    price_micro
    energy      usage                        Wh, L   micro-cents a unit
    standing    local days                   day     micro-cents a day
    tax         the amounts it is levied on  minor   parts per million

A line is for local days [day_from, day_until). An energy line rests on the rows of `usage_days` of that user
and utility with night_from <= night <= night_to, as known at `issued_at`: `rows_checksum` is the BIT_XOR of
USAGE_CHECKSUM_SQL over them. `quantity_estimated` is the part of the quantity in hours whose quality is not
M. `inputs_checksum` is over all usage and prices that the invoice was made from: as long as it stays, nothing
is issued again. Instants are UTC.
"""

import datetime

from infra.contracts.nightly import HOUR_COLUMNS

INVOICES_COLUMNS = (
    "number",
    "kind",
    "month",  # its first day
    "user_id",
    "version",
    "reverses",  # of a credit: the invoice's number
    "zone",
    "currency",
    "total",
    "truth_until",
    "issued_at",
    "inputs_checksum",
)
INVOICE_LINES_COLUMNS = (
    "number",
    "line",
    "utility",
    "component",
    "label",
    "tier_from",
    "quantity",
    "quantity_estimated",
    "unit",
    "price_micro",
    "amount",
    "day_from",
    "day_until",
    "night_from",  # this and the next two: null but for energy
    "night_to",
    "rows_checksum",
)
INVOICE = "invoice"
CREDIT = "credit"
MICRO = 1_000_000
# A row of usage_days as a text, what of it an invoice rests on, and the checksum over that.
USAGE_TEXT_SQL = f"CONCAT_WS(',', user_id, night, utility, quality, {', '.join(HOUR_COLUMNS)})"
USAGE_CHECKSUM_SQL = f"CAST(CONV(LEFT(MD5({USAGE_TEXT_SQL}), 15), 16, 10) AS UNSIGNED)"
# ISO 4217, where it is not 2 digits.
_MINOR_DIGITS = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def invoice_number(month: datetime.date, user_id: int, version: int) -> str:
    """Return the number of a user's invoice for a month, such as 2026-10-10000042-1."""
    return f"{month:%Y-%m}-{user_id}-{version}"


def credit_number(number: str) -> str:
    """Return the number of the credit that reverses an invoice."""
    return f"{number}-{CREDIT}"


def rounded(amount_micro: int) -> int:
    """Return micro-cents in minor units, half to even."""
    whole, rest = divmod(amount_micro, MICRO)
    return whole + (2 * rest > MICRO or (2 * rest == MICRO and whole % 2 == 1))


def minor_digits(currency: str) -> int:
    """Return how many digits a currency has after its point."""
    return _MINOR_DIGITS.get(currency, 2)


def money(amount: int, currency: str) -> str:
    """Return minor units for people, such as -1,234.05 USD."""
    digits = minor_digits(currency)
    whole, part = divmod(abs(amount), 10**digits)
    fraction = f".{part:0{digits}}" if digits else ""
    return f"{'-' if amount < 0 else ''}{whole:,}{fraction} {currency}"
