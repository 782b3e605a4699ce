"""Issuing a month's invoices, some thousand users at a time: killed or run again, each is issued once.

A chunk of users is one transaction. It reads one snapshot, whose nights are those that its usage is of, and
writes what is due, so that neither a publication meanwhile nor a death leaves half of anything.
"""

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Sequence

from batch.agreements import Agreements
from batch.database_sink import Database, Lock
from batch.invoice_lines import Month
from batch.invoice_store import Household, InvoiceStore, PublishedNights
from batch.invoices import Document, complete_from, credit, drafts, invoice, nights_of, settled
from batch.local_hours import date_of, day_number
from batch.night import NightRefused
from batch.tariffs import Tariffs
from infra.contracts.invoices import invoice_number

USERS_A_CHUNK = 2_000


@dataclasses.dataclass(frozen=True)
class Issued:
    """What became of the users of a run: each is issued to, unchanged, vacant or incomplete."""

    users: int = 0
    issued: int = 0
    credited: int = 0
    unchanged: int = 0
    vacant: int = 0  # nothing to pay for in that month
    incomplete: int = 0  # the nights do not hold all of their month

    def __add__(self, other: "Issued") -> "Issued":
        sums = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Issued(*(one + more for one, more in sums))


class Issuing(Lock):
    """The right to issue invoices, held on the very connection that writes them."""

    def __init__(self, database: Database) -> None:
        refusal = f"another run is issuing invoices in {database.name}; try again once it is done"
        super().__init__(database, "invoices", refusal)
        self.store = InvoiceStore(database, self._connection)


def issue(
    month: Month,
    *,
    database: Database,
    tariffs: Tariffs,
    agreements: Agreements,
    user_ids: Sequence[int],
    issued_at: datetime.datetime,
    advance: Callable[[int, int], None],
) -> Issued:
    """Issue what is due for a month to some users, to all if there are no ids.

    :param issued_at: aware.
    :param advance: told after each chunk how many users are done, and of how many.
    :raises NightRefused: if nobody's month is complete, a user is unknown or cannot be priced, another run is
        under way, or MySQL is away. What was issued before stays, and a repetition goes on from there.
    """
    utc = issued_at.astimezone(datetime.UTC)
    # The column holds milliseconds.
    now = utc.replace(tzinfo=None, microsecond=utc.microsecond // 1_000 * 1_000)
    done, reasons, after = Issued(), list[str](), -1
    with contextlib.closing(Issuing(database)) as issuing:
        store = issuing.store
        users = store.count(user_ids)
        if user_ids and users < len(set(user_ids)):
            raise NightRefused(f"{len(set(user_ids)) - users} of these users are unknown; nothing was issued")
        while True:
            with store.transaction():
                households = store.households(user_ids, after, USERS_A_CHUNK)
                if not households:
                    break
                nights = store.nights(month)
                whole, lacking = _complete(month, households, nights)
                documents, counts = _due(month, whole, nights, store, tariffs, agreements, now)
                store.insert(documents)
            done += dataclasses.replace(
                counts, users=len(households), incomplete=len(households) - len(whole)
            )
            reasons += lacking
            after, _ = households[-1]
            advance(done.users, users)
    if reasons and done.incomplete == done.users:
        raise NightRefused(f"month {month} is not complete: {reasons[0]}")
    return done


def _complete(
    month: Month, households: Sequence[Household], nights: PublishedNights
) -> tuple[list[Household], list[str]]:
    """Return the users whose month is complete, and why those of other zones are not."""
    lacking = {zone: _lacking(month, zone, nights) for zone in sorted({zone for _, zone in households})}
    whole = [household for household in households if lacking[household[1]] is None]
    return whole, [reason for reason in lacking.values() if reason]


def _lacking(month: Month, zone: str, nights: PublishedNights) -> str | None:
    """Return why a zone's month is not complete, or None. Nothing was metered before the first night."""
    if nights.truth_until is None or nights.first is None:
        return "no night is published"
    whole = complete_from(month, zone)
    if whole > nights.truth_until:
        return (
            f"in {zone} it ends at {whole:%Y-%m-%d %H:%M} UTC, "
            f"and nights are published until {nights.truth_until:%Y-%m-%d %H:%M} UTC"
        )
    first, last = nights_of(month, zone)
    days = range(day_number(max(first, nights.first)), day_number(last) + 1)
    missing = [night for day in days if (night := date_of(day)) not in nights.of_month]
    return f"night {missing[0]} is not published" if missing else None


def _due(
    month: Month,
    households: Sequence[Household],
    nights: PublishedNights,
    store: InvoiceStore,
    tariffs: Tariffs,
    agreements: Agreements,
    issued_at: datetime.datetime,
) -> tuple[list[Document], Issued]:
    """Return the documents due to users whose month is complete, and how many of which kind."""
    if not households or nights.truth_until is None:
        return [], Issued()
    standing = store.standing(month, [user_id for user_id, _ in households])
    every = drafts(month, store.usage(month, households), tariffs, agreements)
    changed = [draft for draft in every if not settled(draft, standing.get(draft.user_id))]
    wrong = [
        invoice_number(month.first, draft.user_id, stands.version)
        for draft in changed
        if (stands := standing.get(draft.user_id)) and not stands.credited
    ]
    credits_due = [credit(former, issued_at) for former in store.documents(wrong)]
    invoices_due = [
        invoice(draft, month, standing.get(draft.user_id), nights.truth_until, issued_at)
        for draft in changed
        if draft.lines
    ]
    vacant = sum(not draft.lines for draft in every)
    counts = Issued(
        issued=len(invoices_due),
        credited=len(credits_due),
        unchanged=len(every) - len(invoices_due) - vacant,
        vacant=vacant,
    )
    return [*credits_due, *invoices_due], counts
