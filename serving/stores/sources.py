"""What serving asks of its two stores, and how it learns that one is away."""

import asyncio
import datetime
import enum
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from infra.contracts.live_state import LiveState, RegionUse
from infra.contracts.utility import Utility
from serving.access.identity import OwnedUser
from serving.figures.disclosure import Users
from serving.figures.household import Household
from serving.figures.load import Course
from serving.figures.records import (
    AlertNights,
    Invoice,
    InvoiceLine,
    InvoicePlace,
    NightQuality,
    OfUser,
    Predecessor,
    PredecessorPlace,
    PublishedNight,
    RegionDay,
)
from serving.figures.regions import RegionMaster
from serving.figures.truth import Truth
from serving.figures.usage_range import DateRange

FAILURES_MAX = 3
RETRY_MS = 1_000
RESPITE_MS = 50
Answer = TypeVar("Answer")
LOG = logging.getLogger("serving")


class StoreAway(Exception):  # noqa: N818 - a state of the store, which callers answer around
    """A store did not answer in time. Transient: ask again, or answer from the other one."""


class StoreState(enum.StrEnum):
    """What a store said about one question."""

    OK = "ok"
    AWAY = "away"
    NONE = "none"  # it answered, and holds nothing


class LiveSource(Protocol):
    """Live state. No method blocks the event loop or outlasts the time limit."""

    def live_state(self, user: OwnedUser) -> Awaitable[LiveState | None]:
        """Return a user's live state, None where there is none; in one round trip.

        Asks as it is called, so that another store can be asked before the answer is awaited.

        :raises StoreAway: where the store did not answer.
        """

    async def live_state_of_each(self, users: Sequence[OwnedUser]) -> Sequence[LiveState | Exception | None]:
        """Return each user's live state as `live_state` does, or what to raise for that one alone.

        :raises StoreAway: where the store did not answer.
        """

    async def regions(self) -> Mapping[str, Mapping[Utility, RegionUse]]:
        """Return every region's use now, by region code.

        :raises StoreAway: where the store did not answer.
        """

    async def loads(self) -> Mapping[str, Course]:
        """Return every region's course over the last day, by region code; see `decode_load`.

        :raises StoreAway: where the store did not answer.
        """

    async def ping(self) -> None:
        """Return if the store answers.

        :raises StoreAway: where it did not.
        """

    async def close(self) -> None:
        """Give back all connections."""


class TruthSource(Protocol):
    """Nightly truth and master data. No method blocks the event loop or outlasts the time limit."""

    async def truth(self, user: OwnedUser, since_ms: int) -> tuple[Household | None, Truth]:
        """Return a user's household and the truth of the nights since an instant, of one snapshot.

        :raises StoreAway: where the store did not answer.
        """

    async def truth_of_each(
        self, users: Sequence[OwnedUser], since_ms: int
    ) -> Sequence[tuple[Household | None, Truth] | Exception]:
        """Return for each user what `truth` does, of one snapshot, or what to raise for that one alone.

        :raises StoreAway: where the store did not answer.
        """

    async def usage(
        self, user: OwnedUser, utility: Utility, first: datetime.date, last: datetime.date
    ) -> tuple[Household | None, Truth]:
        """Return a user's household and one utility's truth of [first, last] and of the newest night.

        `first` and `last` are UTC days. All is of one snapshot.

        :raises StoreAway: where the store did not answer.
        """

    async def revisions(
        self, user: OwnedUser, utility: Utility, dates: DateRange, after: PredecessorPlace | None, limit: int
    ) -> OfUser[Predecessor]:
        """Return at most `limit` predecessors of nights in [start, end), ascending, from a place on.

        :raises StoreAway: where the store did not answer.
        """

    async def alert_nights(self, user: OwnedUser) -> AlertNights:
        """Return the findings and hours of a user's newest nights.

        :raises StoreAway: where the store did not answer.
        """

    async def invoices(self, user: OwnedUser, after: InvoicePlace | None, limit: int) -> OfUser[Invoice]:
        """Return at most `limit` of a user's invoices and credits, the newest first, from a place on.

        :raises StoreAway: where the store did not answer.
        """

    async def invoice(self, user: OwnedUser, number: str) -> tuple[Invoice, Sequence[InvoiceLine]] | None:
        """Return one of the user's invoices or credits with its lines, None where the user has none of it.

        :raises StoreAway: where the store did not answer.
        """

    async def region_users(self) -> Users:
        """Return how many users of each utility each region had in the newest night.

        :raises StoreAway: where the store did not answer.
        """

    async def region_days(self, utility: Utility, dates: DateRange) -> Sequence[RegionDay]:
        """Return every region's UTC days of [start, end), by night and code.

        :raises StoreAway: where the store did not answer.
        """

    async def country_days(self, utility: Utility, dates: DateRange) -> Sequence[RegionDay]:
        """Return the sums over all regions of the UTC days of [start, end), by night.

        :raises StoreAway: where the store did not answer.
        """

    async def nights(self, before: datetime.date | None, limit: int) -> Sequence[PublishedNight]:
        """Return at most `limit` published nights before one, the newest first.

        :raises StoreAway: where the store did not answer.
        """

    async def night_quality(self, night: datetime.date) -> NightQuality:
        """Return what validation and reconciliation came to in a published night.

        :raises StoreAway: where the store did not answer.
        """

    async def regions(self) -> Mapping[str, RegionMaster]:
        """Return all regions' master data, by region code.

        :raises StoreAway: where the store did not answer.
        """

    async def ping(self) -> None:
        """Return if the store answers.

        :raises StoreAway: where it did not.
        """

    async def close(self) -> None:
        """Give back all connections."""


class Guard:
    """A time limit on every question to one store, and no questions while it is known to be away.

    After FAILURES_MAX failures in a row the store is left alone; each RETRY_MS one question probes it. After
    one that took too long it is left alone for RESPITE_MS: who waited behind would else wait as long again.
    """

    def __init__(
        self, store: str, timeout_ms: int, now: Callable[[], int], failures: tuple[type[Exception], ...]
    ) -> None:
        self._store = store
        self._timeout_ms = timeout_ms
        self._now = now
        self._transient: tuple[type[Exception], ...] = (TimeoutError, OSError, *failures)
        self._failures = 0
        self._closed_until = 0

    async def ask(self, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the store's answer.

        :raises StoreAway: where it failed, took too long, or is being left alone.
        """
        # A clock set back must not leave the store alone for longer than a probe takes.
        if 0 < self._closed_until - self._now() <= self._timeout_ms + max(RETRY_MS, RESPITE_MS):
            raise StoreAway(f"{self._store} is away")
        if self._failures >= FAILURES_MAX:
            self._closed_until = self._now() + self._timeout_ms + RETRY_MS
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                answer = await question()
        except self._transient as error:
            self._fail(error)
            raise StoreAway(f"{self._store} is away") from error
        self._failures = self._closed_until = 0
        return answer

    def _fail(self, error: Exception) -> None:
        self._failures += 1
        respite_ms = RESPITE_MS if isinstance(error, TimeoutError) else 0
        self._closed_until = self._now() + (RETRY_MS if self._failures >= FAILURES_MAX else respite_ms)
        if self._failures == FAILURES_MAX:
            LOG.warning("store away: store=%s error=%r", self._store, error)
