"""What MySQL tells that is passed on as it is: predecessors of figures, invoices, and what alerts look at.

Instants are ms since 1970, nights UTC days, quantities in the utility's unit, money in minor units.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from infra.contracts.utility import Utility
from serving.figures.alerts import Finding, NightHours

Row = TypeVar("Row")


class Predecessor(NamedTuple):
    """A version of a night's usage that another took the place of; `usage_now` is what holds today."""

    night: datetime.date
    known_from: int
    known_until: int
    usage: int
    usage_now: int | None
    reason: str


class PredecessorPlace(NamedTuple):
    """A place in a user's list of predecessors."""

    night: datetime.date
    known_from: int


class Invoice(NamedTuple):
    """An invoice, or the credit that reverses one. `stands`: it is what the user owes for the month."""

    number: str
    kind: str
    month: datetime.date
    version: int
    reverses: str | None
    zone: str
    currency: str
    total: int
    truth_until: int
    issued_at: int
    stands: bool


class InvoicePlace(NamedTuple):
    """A place in a user's list of invoices; `rank` of a kind: 1 invoice, 2 credit."""

    month: datetime.date
    version: int
    rank: int


class InvoiceLine(NamedTuple):
    """A line of an invoice; see `infra/contracts/invoices.py`."""

    line: int
    utility: Utility
    component: str
    label: str
    tier_from: int
    quantity: int
    quantity_estimated: int
    unit: str
    price_micro: int
    amount: int
    day_from: datetime.date
    day_until: datetime.date
    night_from: datetime.date | None
    night_to: datetime.date | None


class OfUser(NamedTuple, Generic[Row]):
    """Rows of a user. `known`: the truth knows the user, who may have no rows all the same."""

    known: bool
    rows: Sequence[Row]


class RegionDay(NamedTuple):
    """What a region's users, or the country's, used of one utility on a UTC day, by hour.

    `usage_estimated` is of the `users_estimated` who have any; None where it is not to be told.
    """

    night: datetime.date
    region: str
    users: int
    users_estimated: int
    usage: int
    usage_estimated: int | None
    hours: Sequence[int]


class PublishedNight(NamedTuple):
    """A row of `nights`; usage, what of it is not measured, and of how many users each is, by utility."""

    night: datetime.date
    truth_until: int
    published_at: int
    users: int
    heartbeats: int
    usage: Mapping[Utility, int]
    usage_estimated: Mapping[Utility, int]
    restated_from: datetime.date
    checksum: int
    utility_users: Mapping[Utility, int]
    utility_users_estimated: Mapping[Utility, int]


class RuleCount(NamedTuple):
    """How often a rule found something in a night."""

    rule: str
    found: int
    users: int
    amount: int


class ReconciliationCount(NamedTuple):
    """How often one answer won for a reason; `difference` sums the spread of the answers."""

    utility: Utility
    winner: str
    reason: str
    rows: int
    users: int
    difference: int


class RevisedCount(NamedTuple):
    """How many rows a night replaced for a reason, of how many nights."""

    reason: str
    rows: int
    nights: int


class NightQuality(NamedTuple):
    """What validation and reconciliation came to in a night."""

    findings: Sequence[RuleCount]
    reconciliations: Sequence[ReconciliationCount]
    revised: Sequence[RevisedCount]


class AlertNights(NamedTuple):
    """What the newest nights tell of a user, for alerts; `truth_until` is T."""

    known: bool
    truth_until: int | None
    findings: Sequence[Finding]
    nights: Sequence[NightHours]
