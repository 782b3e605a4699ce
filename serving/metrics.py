"""What serving tells Prometheus. No label holds what a caller sent: routes are templates, never paths."""

import asyncio
import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.contracts.live_state import LiveState, RegionUse
from infra.contracts.utility import Utility
from infra.exposition import new_registry
from serving.access.identity import OwnedUser
from serving.access.policy import Declared
from serving.durations import Durations, DurationsByLabels
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
from serving.lookups.lookup import HouseholdAnswer
from serving.stores.sources import LiveSource, StoreAway, StoreState, TruthSource

PATH = "/metrics"
UNMATCHED = "unmatched"  # whatever no route answers shares one series
STATIC = "/pages"  # so do scripts and styles, found or not
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

Store = Literal["redis", "mysql"]
Question = Literal[
    "user", "usage", "revisions", "invoices", "alerts", "regions", "load", "history", "quality", "ping"
]


class ServingMetrics:
    """The series of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry: CollectorRegistry = new_registry()
        self._requests = DurationsByLabels(
            "meterbeat_serving_request_seconds",
            "Requests by the template of their route and status, and how long they took.",
            ["route", "status"],
            BOUNDS_S,
            self.registry,
        )
        self._lookups = DurationsByLabels(
            "meterbeat_serving_lookup_seconds",
            "Questions to a store that it answered, and how long it took.",
            ["store", "question"],
            BOUNDS_S,
            self.registry,
        )
        self._failures = Counter(
            "meterbeat_serving_lookup_failures",
            "Questions to a store that it did not answer in time, or that were not asked as it is away.",
            ["store", "question"],
            registry=self.registry,
        )
        self._answers = Counter(
            "meterbeat_serving_answers",
            "Households answered for, by the stores that knew them.",
            ["sources"],
            registry=self.registry,
        )
        # Labels are looked up once a series, not once a request.
        self._by_route: dict[tuple[str, int], Durations] = {}
        self._by_question = {
            (store, question): (
                self._lookups.of(store, question),
                self._failures.labels(store, question),
            )
            for store in get_args(Store)
            for question in get_args(Question)
        }
        self._by_sources = {
            (StoreState.OK, StoreState.OK): self._answers.labels("both"),
            (StoreState.OK, None): self._answers.labels("redis"),
            (None, StoreState.OK): self._answers.labels("mysql"),
        }

    def requested(self, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is a template of ours, so that there are few of them."""
        series = self._by_route.get((route, status))
        if series is None:
            series = self._by_route[route, status] = self._requests.of(route, str(status))
        series.observe(seconds)

    def answered(self, answer: HouseholdAnswer) -> None:
        """Count an answer for a household by the stores it rests on."""
        redis = answer.redis if answer.redis is StoreState.OK else None
        mysql = answer.mysql if answer.mysql is StoreState.OK else None
        if redis or mysql:
            self._by_sources[redis, mysql].inc()

    def asked(self, store: Store, question: Question) -> "Asked":
        """Time a question to a store; one that finds it away counts as a failure."""
        return Asked(*self._by_question[store, question])

    def failed(self, store: Store, question: Question, count: int) -> None:
        """Count users whom a question that was answered could not tell of."""
        if count:
            self._by_question[store, question][1].inc(count)

    async def show(self, _: Request) -> Response:
        """Answer a scrape."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


class Asked:
    """The time of one question, from the making to the leaving or to the answer."""

    __slots__ = ("_began", "_durations", "_failures")

    def __init__(self, durations: Durations, failures: Counter) -> None:
        self._durations, self._failures = durations, failures
        self._began = time.perf_counter()

    def __enter__(self) -> None:
        """Do nothing: it has begun."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._durations.observe(time.perf_counter() - self._began)
        elif issubclass(kind, StoreAway):
            self._failures.inc()

    def answered(self, answer: asyncio.Future[LiveState | None]) -> None:
        """End with an answer."""
        if not answer.cancelled():
            error = answer.exception()
            self.__exit__(type(error) if error else None)


class Measured:
    """Times every request. Plain ASGI: it hands on the very messages and makes no task of its own."""

    def __init__(self, app: ASGIApp, requested: Callable[[str, int, float], None]) -> None:
        self._app = app
        self._requested = requested

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count it once it is answered; one that raises is a 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, send_and_note)
        finally:
            self._requested(route_of(scope), status, time.perf_counter() - began)


def route_of(scope: Scope) -> str:
    """Return the template of the route that a request took, never its path."""
    if isinstance(scope.get("endpoint"), Declared):
        return STATIC
    return str(getattr(scope.get("route"), "path", UNMATCHED))


class MeasuredLive:
    """A live source whose answers are timed."""

    def __init__(self, source: LiveSource, metrics: ServingMetrics) -> None:
        self._source, self._metrics = source, metrics

    def live_state(self, user: OwnedUser) -> asyncio.Future[LiveState | None]:
        """See `LiveSource.live_state`."""
        asked = self._metrics.asked("redis", "user")
        answer = asyncio.ensure_future(self._source.live_state(user))
        # It may be awaited long after it has come.
        answer.add_done_callback(asked.answered)
        return answer

    async def live_state_of_each(self, users: Sequence[OwnedUser]) -> Sequence[LiveState | Exception | None]:
        """See `LiveSource.live_state_of_each`; a question is one however many share it."""
        with self._metrics.asked("redis", "user"):
            told = await self._source.live_state_of_each(users)
        self._metrics.failed("redis", "user", sum(isinstance(one, StoreAway) for one in told))
        return told

    async def loads(self) -> Mapping[str, Course]:
        """See `LiveSource.loads`."""
        with self._metrics.asked("redis", "load"):
            return await self._source.loads()

    async def regions(self) -> Mapping[str, Mapping[Utility, RegionUse]]:
        """See `LiveSource.regions`."""
        with self._metrics.asked("redis", "regions"):
            return await self._source.regions()

    async def ping(self) -> None:
        """See `LiveSource.ping`."""
        with self._metrics.asked("redis", "ping"):
            await self._source.ping()

    async def close(self) -> None:
        """See `LiveSource.close`."""
        await self._source.close()


class MeasuredTruth:
    """A truth source whose answers are timed."""

    def __init__(self, source: TruthSource, metrics: ServingMetrics) -> None:
        self._source, self._metrics = source, metrics

    async def truth(self, user: OwnedUser, since_ms: int) -> tuple[Household | None, Truth]:
        """See `TruthSource.truth`."""
        with self._metrics.asked("mysql", "user"):
            return await self._source.truth(user, since_ms)

    async def truth_of_each(
        self, users: Sequence[OwnedUser], since_ms: int
    ) -> Sequence[tuple[Household | None, Truth] | Exception]:
        """See `TruthSource.truth_of_each`; a question is one however many share it."""
        with self._metrics.asked("mysql", "user"):
            return await self._source.truth_of_each(users, since_ms)

    async def usage(
        self, user: OwnedUser, utility: Utility, first: datetime.date, last: datetime.date
    ) -> tuple[Household | None, Truth]:
        """See `TruthSource.usage`."""
        with self._metrics.asked("mysql", "usage"):
            return await self._source.usage(user, utility, first, last)

    async def revisions(
        self, user: OwnedUser, utility: Utility, dates: DateRange, after: PredecessorPlace | None, limit: int
    ) -> OfUser[Predecessor]:
        """See `TruthSource.revisions`."""
        with self._metrics.asked("mysql", "revisions"):
            return await self._source.revisions(user, utility, dates, after, limit)

    async def alert_nights(self, user: OwnedUser) -> AlertNights:
        """See `TruthSource.alert_nights`."""
        with self._metrics.asked("mysql", "alerts"):
            return await self._source.alert_nights(user)

    async def invoices(self, user: OwnedUser, after: InvoicePlace | None, limit: int) -> OfUser[Invoice]:
        """See `TruthSource.invoices`."""
        with self._metrics.asked("mysql", "invoices"):
            return await self._source.invoices(user, after, limit)

    async def invoice(self, user: OwnedUser, number: str) -> tuple[Invoice, Sequence[InvoiceLine]] | None:
        """See `TruthSource.invoice`."""
        with self._metrics.asked("mysql", "invoices"):
            return await self._source.invoice(user, number)

    async def region_users(self) -> Users:
        """See `TruthSource.region_users`."""
        with self._metrics.asked("mysql", "regions"):
            return await self._source.region_users()

    async def region_days(self, utility: Utility, dates: DateRange) -> Sequence[RegionDay]:
        """See `TruthSource.region_days`."""
        with self._metrics.asked("mysql", "history"):
            return await self._source.region_days(utility, dates)

    async def country_days(self, utility: Utility, dates: DateRange) -> Sequence[RegionDay]:
        """See `TruthSource.country_days`."""
        with self._metrics.asked("mysql", "history"):
            return await self._source.country_days(utility, dates)

    async def nights(self, before: datetime.date | None, limit: int) -> Sequence[PublishedNight]:
        """See `TruthSource.nights`."""
        with self._metrics.asked("mysql", "quality"):
            return await self._source.nights(before, limit)

    async def night_quality(self, night: datetime.date) -> NightQuality:
        """See `TruthSource.night_quality`."""
        with self._metrics.asked("mysql", "quality"):
            return await self._source.night_quality(night)

    async def regions(self) -> Mapping[str, RegionMaster]:
        """See `TruthSource.regions`."""
        with self._metrics.asked("mysql", "regions"):
            return await self._source.regions()

    async def ping(self) -> None:
        """See `TruthSource.ping`."""
        with self._metrics.asked("mysql", "ping"):
            await self._source.ping()

    async def close(self) -> None:
        """See `TruthSource.close`."""
        await self._source.close()
