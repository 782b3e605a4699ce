"""Invoices, their credits, and when which of them is due: pure.

infra/contracts/invoices.py says what they hold.
"""

import dataclasses
import datetime
import hashlib
from collections.abc import Sequence

from batch.agreements import Agreements
from batch.invoice_lines import CHECKSUM_BYTES, Charges, Line, Month, MonthUsage, charges
from batch.local_hours import HOURS_A_NIGHT
from batch.night import NightRefused
from batch.tariffs import Price, Tariffs
from infra.contracts.invoices import CREDIT, INVOICE, credit_number, invoice_number
from infra.contracts.utility import UTILITIES, Utility


@dataclasses.dataclass(frozen=True)
class Draft:
    """What a user's invoice for a month must say as known now; without lines none is due."""

    user_id: int
    zone: str
    currency: str
    lines: tuple[Line, ...]
    inputs_checksum: str  # hexadecimal


@dataclasses.dataclass(frozen=True)
class Standing:
    """The newest invoice issued to a user for a month."""

    version: int
    credited: bool
    inputs_checksum: str


@dataclasses.dataclass(frozen=True)
class Document:
    """An issued invoice or credit, for good."""

    number: str
    kind: str
    month: datetime.date
    user_id: int
    version: int
    reverses: str | None
    zone: str
    currency: str
    truth_until: datetime.datetime  # UTC, without a zone, as MySQL has it
    issued_at: datetime.datetime  # the same
    inputs_checksum: str
    lines: tuple[Line, ...]

    @property
    def total(self) -> int:
        """The sum of its lines, in minor units."""
        return sum(line.amount for line in self.lines)


def drafts(month: Month, usage: MonthUsage, tariffs: Tariffs, agreements: Agreements) -> list[Draft]:
    """Return each user's draft, in the order of `usage.user_id`.

    :raises NightRefused: if a zone is unknown, a plan has no price on a day, or a user has two currencies.
    """
    found = charges(month, usage, tariffs, agreements)
    return [
        _draft(user_id, usage.zones[zone], of_user, month)
        for user_id, zone, of_user in zip(usage.user_id.tolist(), usage.zone.tolist(), found, strict=True)
    ]


def complete_from(month: Month, zone: str) -> datetime.datetime:
    """Return the instant from which on the truth holds all of a zone's month (UTC, without a zone).

    :raises NightRefused: if there is no such zone.
    """
    _, end = month.hours(zone)
    return datetime.datetime.combine(month.first_night, datetime.time()) + datetime.timedelta(hours=end)


def nights_of(month: Month, zone: str) -> tuple[datetime.date, datetime.date]:
    """Return the first and the last UTC night that a zone's month has hours in.

    :raises NightRefused: if there is no such zone.
    """
    first, end = month.hours(zone)
    return (
        month.first_night + datetime.timedelta(days=first // HOURS_A_NIGHT),
        month.first_night + datetime.timedelta(days=(end - 1) // HOURS_A_NIGHT),
    )


def settled(draft: Draft, standing: Standing | None) -> bool:
    """Whether what was issued already says what the draft says."""
    if standing is None or standing.credited:
        return not draft.lines
    return standing.inputs_checksum == draft.inputs_checksum


def invoice(
    draft: Draft,
    month: Month,
    standing: Standing | None,
    truth_until: datetime.datetime,
    issued_at: datetime.datetime,
) -> Document:
    """Return a draft as the next invoice of its user and month; instants are UTC without a zone."""
    version = standing.version + 1 if standing else 1
    return Document(
        number=invoice_number(month.first, draft.user_id, version),
        kind=INVOICE,
        month=month.first,
        user_id=draft.user_id,
        version=version,
        reverses=None,
        zone=draft.zone,
        currency=draft.currency,
        truth_until=truth_until,
        issued_at=issued_at,
        inputs_checksum=draft.inputs_checksum,
        lines=draft.lines,
    )


def credit(former: Document, issued_at: datetime.datetime) -> Document:
    """Return the credit that reverses an invoice in full; the instant is UTC without a zone."""
    reversed_lines = (
        dataclasses.replace(line, quantity=-line.quantity, quantity_estimated=-line.quantity_estimated)
        for line in former.lines
    )
    return dataclasses.replace(
        former,
        number=credit_number(former.number),
        kind=CREDIT,
        reverses=former.number,
        issued_at=issued_at,
        lines=tuple(reversed_lines),
    )


def _draft(user_id: int, zone: str, of_user: Charges, month: Month) -> Draft:
    currencies = sorted({charge.currency for charge in of_user.lines})
    if len(currencies) > 1:
        raise NightRefused(
            f"user {user_id} has plans in {' and '.join(currencies)} in {month}, "
            "which one invoice cannot sum; give all of them the same currency"
        )
    lines = [
        line
        for utility in UTILITIES
        for line in (
            *(charge.line for charge in of_user.lines if charge.line.utility is utility),
            *_taxes(utility, of_user),
        )
    ]
    if not lines:
        return Draft(user_id, zone, "", (), "")
    checksum = hashlib.blake2b(of_user.usage.digest(), digest_size=CHECKSUM_BYTES)
    checksum.update(repr((zone, currencies, [_priced(line) for line in lines])).encode())
    return Draft(user_id, zone, currencies[0], tuple(lines), checksum.hexdigest())


def _taxes(utility: Utility, of_user: Charges) -> Sequence[Line]:
    """Return a utility's taxes, each of the amounts that it is levied on as they are on the invoice.

    A millionth of a minor unit is a micro-cent: the product of amount and parts per million is one of money.
    """
    bases: dict[Price, list[Line]] = {}
    for line, taxes, _ in of_user.lines:
        if line.utility is utility:
            for tax in taxes:
                bases.setdefault(tax, []).append(line)
    return [
        Line(
            utility=utility,
            component=tax.component,
            label=tax.label,
            tier_from=0,
            quantity=amount,
            quantity_estimated=0,
            price_micro=tax.price_micro,
            day_from=min(line.day_from for line in base),
            day_until=max(line.day_until for line in base),
        )
        for tax, base in bases.items()
        if tax.price_micro and (amount := sum(line.amount for line in base))
    ]


def _priced(line: Line) -> tuple[object, ...]:
    """Return what a line says, but for the rows it rests on: they also hold hours of the months beside."""
    return (
        str(line.utility),
        line.component,
        line.label,
        line.tier_from,
        line.quantity,
        line.quantity_estimated,
        line.price_micro,
        line.day_from,
        line.day_until,
    )
