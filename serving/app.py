"""The application: API, pages and the headers every answer carries."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from fastapi import Depends, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.access.policy import denied_without_policy
from serving.access.session import Access
from serving.api import data, health, households, openapi, regions, session
from serving.api import live as live_updates
from serving.live_feed import Feeds
from serving.lookups.lookup import Lookup
from serving.lookups.operations import LetterSource, MetricsSource, NoLetters, NoMetrics
from serving.metrics import Measured, MeasuredLive, MeasuredTruth, ServingMetrics
from serving.stores.sources import LiveSource, StoreState, TruthSource
from serving.web import page_files, problems
from serving.web.clients import ForwardedClients
from serving.web.drain import ClosingConnections, Drain
from serving.web.headers import Headers
from serving.web.short_way import ShortWay

BODY_BYTES_MAX = 64 * 1024
LOG = logging.getLogger("serving")
DESCRIPTION = (
    "Live and nightly usage of electricity, gas and water. Quantities are whole Wh or litres, rates W or "
    "litres per hour; every error is an application/problem+json document."
)


class Application(FastAPI):
    """The framework, behind a front of our own that every request passes first.

    The framework would put its own layers before those of ours, and most requests need none of them.
    """

    front: ASGIApp
    short_way: ShortWay  # what the server offers each request to before that

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a request, or the beginning and end of the process."""
        await self.front(scope, receive, send)

    async def framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take what the front leaves to the framework."""
        await super().__call__(scope, receive, send)


def build(
    live: LiveSource,
    truth: TruthSource,
    access: Access,
    now: Callable[[], int],
    drain: Drain | None = None,
    stream: MetricsSource | None = None,
    letters: LetterSource | None = None,
) -> Application:
    """Return the application over two sources; `now` tells ms since 1970. Closes both sources at its end.

    `drain` is how it hears that the process is about to end; without `stream` and `letters` operations tell
    that these are away.
    """
    letters = letters or NoLetters()
    metrics = ServingMetrics()
    drain = drain or Drain()
    feeds = Feeds(drain.ending)
    measured = MeasuredTruth(truth, metrics)
    measured_live = MeasuredLive(live, metrics)
    lookup = Lookup(measured_live, measured, now)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Read ahead, so that zones are at hand if MySQL goes away later.
        await lookup.masters()
        await _warn_of_stores_away(lookup)
        async with access.revocations.following(feeds.wake):
            ending = asyncio.create_task(feeds.end())
            yield
            ending.cancel()
        await live.close()
        await truth.close()
        await letters.close()

    app = Application(
        title="Meterbeat",
        version="1",
        description=DESCRIPTION,
        # A route like all others shows the document, so that it has a policy; the framework's own pages
        # of it load scripts from elsewhere, which the content policy forbids.
        openapi_url=None,
        dependencies=[Depends(denied_without_policy)],
        # A redirect to the other spelling would name whatever host the caller said.
        redirect_slashes=False,
        max_body_size=BODY_BYTES_MAX,
        lifespan=lifespan,
    )
    app.state.access = access
    problems.install(app)
    answer = households.answer(lookup, metrics.answered)
    of_households = households.routes(answer)
    for router in (
        of_households,
        # Before the regions by code, of which its path would be one.
        live_updates.routes(lookup, feeds, access, now),
        *data.routers(lookup, measured_live, measured, stream or NoMetrics(), letters),
        regions.routes(lookup),
        session.routes(access),
        openapi.routes(app, access.cookie),
        health.routes(lookup, drain, metrics.show),
    ):
        app.include_router(router)
    page_files.add(app)
    headed = Headers(ForwardedClients(app.framework), secure=access.cookie_secure)
    app.short_way = ShortWay(
        app, headed, drain, of_households.routes[0], answer, households.HEADERS, metrics.requested
    )
    app.front = Measured(ClosingConnections(headed, drain), metrics.requested)
    return app


async def _warn_of_stores_away(lookup: Lookup) -> None:
    states = await lookup.states()
    for store, name in (("redis", "Redis"), ("mysql", "MySQL")):
        if states[store] is StoreState.AWAY:
            LOG.warning("%s is away: answers lack it until it is up (`meterbeat up` starts it here)", name)
