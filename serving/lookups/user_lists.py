"""A user's lists out of the truth, a page at a time: predecessors of figures, invoices; and alerts."""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar, cast

from infra.contracts.live_state import LiveState
from infra.contracts.utility import Utility
from serving.access.identity import OwnedUser
from serving.access.refusal import Refusal
from serving.figures.alerts import Alert, alerts
from serving.figures.household import UserNotFound
from serving.figures.local_days import local_date
from serving.figures.records import (
    AlertNights,
    Invoice,
    InvoiceLine,
    InvoicePlace,
    Predecessor,
    PredecessorPlace,
)
from serving.figures.usage_range import DAY, FIRST_DATE, By, asked_range
from serving.lookups.cursors import CursorRefused, cursor, date_of, place
from serving.lookups.lookup import Lookup, both_or_away, nobody_knows, state_of
from serving.stores.sources import LiveSource, StoreAway, StoreState, TruthSource

NO_NIGHTS = AlertNights(False, None, (), ())
REVISIONS_DAYS = 366  # of the default range
Item = TypeVar("Item")


class Told(NamedTuple):
    """When a list was told (ms), and what each store said; Redis is asked only whether there is the user."""

    now_ms: int
    redis: StoreState
    mysql: StoreState


@dataclasses.dataclass(frozen=True)
class Page(Generic[Item]):
    """Some items of a list, and the cursor of those that follow."""

    items: Sequence[Item]
    next: str | None
    told: Told


@dataclasses.dataclass(frozen=True)
class AlertsAnswer:
    """A user's alerts, and which stores told them."""

    now_ms: int
    truth_until: int | None
    redis: StoreState
    mysql: StoreState
    notes: tuple[str, ...]
    alerts: Sequence[Alert]


class UserLists:
    """Answers for what hangs on one user. Lists are MySQL's alone: where it is away there are none."""

    def __init__(self, lookup: Lookup, live: LiveSource, truth: TruthSource) -> None:
        self._lookup, self._live, self._truth = lookup, live, truth

    async def revisions(
        self,
        user: OwnedUser,
        utility: Utility,
        start: datetime.date | None,
        end: datetime.date | None,
        after: str | None,
        limit: int,
    ) -> Page[Predecessor]:
        """Return what was told of the UTC days [start, end) before, ascending.

        :raises RangeRefused, CursorRefused: where these are not ones that can be answered.
        :raises UserNotFound, StoreAway: where there is no user, or nobody knows.
        """
        end = end or local_date(self._lookup.now(), "UTC") + DAY
        start = start or max(FIRST_DATE + REVISIONS_DAYS * DAY, end) - REVISIONS_DAYS * DAY
        at = None
        if after is not None:
            first, until, night, known_from = cast(
                tuple[str, str, str, int], place("revisions", after, (str, str, str, int))
            )
            start, end = date_of(first), date_of(until)
            at = PredecessorPlace(date_of(night), _bounded(known_from))
        dates = asked_range(By.DAY, start, end, end)
        found = await self._truth.revisions(user, utility, dates, at, limit + 1)
        told = await self._told(user, found.known)
        items = found.rows[:limit]
        if len(found.rows) <= limit:
            return Page(items, None, told)
        last = items[-1]
        parts = (str(dates.start), str(dates.end), str(last.night), last.known_from)
        return Page(items, cursor("revisions", *parts), told)

    async def invoices(self, user: OwnedUser, after: str | None, limit: int) -> Page[Invoice]:
        """Return the user's invoices and credits, the newest first.

        :raises CursorRefused: where the cursor is not of this list.
        :raises UserNotFound, StoreAway: where there is no user, or nobody knows.
        """
        at = None
        if after is not None:
            month, version, rank = cast(tuple[str, int, int], place("invoices", after, (str, int, int)))
            at = InvoicePlace(date_of(month), _bounded(version), _bounded(rank))
        found = await self._truth.invoices(user, at, limit + 1)
        told = await self._told(user, found.known)
        items = found.rows[:limit]
        if len(found.rows) <= limit:
            return Page(items, None, told)
        last = items[-1]
        rank = 2 if last.reverses else 1
        return Page(items, cursor("invoices", str(last.month), last.version, rank), told)

    async def invoice(self, user: OwnedUser, number: str) -> tuple[Invoice, Sequence[InvoiceLine], Told]:
        """Return one invoice or credit of the user's with its lines.

        :raises Refusal: where the user has none of that number.
        :raises StoreAway: where MySQL is away.
        """
        found = await self._truth.invoice(user, number)
        if found is None:
            raise Refusal(404, "invoice-unknown", "Invoice is unknown", f"invoice is unknown: {number}")
        return *found, Told(self._lookup.now(), StoreState.NONE, StoreState.OK)

    async def alerts(self, user: OwnedUser) -> AlertsAnswer:
        """Return what the user should be told of, from whichever stores answer.

        :raises UserNotFound, StoreAway: where there is no user, or nobody knows.
        """
        live, nights = await both_or_away(self._live.live_state(user), self._truth.alert_nights(user))
        state = live if isinstance(live, LiveState) else None
        told = NO_NIGHTS if isinstance(nights, StoreAway) else nights
        if state is None and not told.known and not told.nights:
            raise nobody_knows(user, live, nights)
        notes = []
        if isinstance(nights, StoreAway):
            notes.append("the nightly truth is away; only silent meters are told of")
        if isinstance(live, StoreAway):
            notes.append("live state is away; silent meters are not told of")
        now_ms = self._lookup.now()
        return AlertsAnswer(
            now_ms,
            told.truth_until,
            state_of(live, state is not None),
            state_of(nights, told.known or bool(told.nights)),
            tuple(notes),
            alerts(told.findings, told.nights, state, told.truth_until, now_ms),
        )

    async def _told(self, user: OwnedUser, known: bool) -> Told:
        """Return who told, and hold that there is such a user: one that no night tells of has live state."""
        if not known and await self._live.live_state(user) is None:
            raise UserNotFound(f"user is unknown: {user.user_id}")
        redis, mysql = (StoreState.NONE, StoreState.OK) if known else (StoreState.OK, StoreState.NONE)
        return Told(self._lookup.now(), redis, mysql)


def _bounded(number: int) -> int:
    if not 0 <= number < 2**42:
        raise CursorRefused()
    return number
