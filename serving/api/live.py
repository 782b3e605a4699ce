"""Live updates as server-sent events: a household's meters, and the regions."""

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import AsyncExitStack
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from infra.contracts.live_state import LiveMeter
from infra.contracts.utility import Utility
from serving.access.identity import Identity, OwnedUser, Role
from serving.access.policy import COUNTRY, OWN_HOUSEHOLD, Caller, Owned, guarded
from serving.access.session import Access
from serving.api.answers import PREFIX, described
from serving.api.held_stream import HeldStream
from serving.figures.figure import STALE_MS
from serving.figures.local_days import utc_time
from serving.figures.regions import stale
from serving.live_feed import Feeds, News, Snapshot
from serving.lookups.lookup import Lookup
from serving.render import household as render

HOUSEHOLD_EVERY_S = 1.0  # a meter beats every 5 s, a household's meters one after the other
REGIONS_EVERY_S = 5.0
RETRY_MS = 2_000
EVENT_ID_CHARS_MAX = 32
MEDIA_TYPE = "text/event-stream"
HEADERS = {
    "Cache-Control": "no-store",
    # A balancer that gathers answers before it passes them on would hold events back.
    "X-Accel-Buffering": "no",
}
PING = b": ping\n\n"
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=EVENT_ID_CHARS_MAX, description="id of the last event seen"),
]
EXAMPLE = (
    "retry: 2000\n\nevent: state\nid: 1772992985000-5f0c2a91\n"
    'data: {"as_of":"2026-03-08T18:03:06.210Z","utilities":{"electricity":{"rate":1830,"rate_unit":"W",'
    '"register":48211907,"sent_at":"2026-03-08T18:03:05.000Z","age_s":1,"stale":false}}}\n\n: ping\n\n'
)
TELLS = (
    "A `state` is sent at once and whenever there is another one; its id begins with {id}, and a client that "
    "comes back with Last-Event-ID is not told again the state that it has seen. `trouble` says that live "
    "state is away; a `state` follows when it is back. The stream ends when the token does or is taken back, "
    "or when the process is restarted: connect again."
)


@dataclasses.dataclass(frozen=True)
class Source:
    """What a stream is fed from."""

    key: Hashable
    ask: Callable[[], Awaitable[Snapshot]]
    every_s: float
    must_exist: Callable[[], Awaitable[object]]
    """Raises UserNotFound where a store holds nothing of the subject and there is none of that name."""


def routes(lookup: Lookup, feeds: Feeds, access: Access, now: Callable[[], int]) -> APIRouter:
    """Return the routes of live updates; `now` tells ms since 1970."""
    router = APIRouter(prefix=PREFIX, responses=described(401, 403, 422, 429, 500, 503))

    def left_s(caller: Identity) -> float:
        return 0.0 if access.revocations.hold(caller) else caller.expires_at - now() / 1000

    @router.get(
        "/households/{user_id}/live",
        summary="A household's meters as they are heard",
        description=TELLS.format(id="the newest `sent_at` of its meters"),
        response_class=StreamingResponse,
        responses={**_stream_described(), **described(404)},
        tags=["households"],
        **guarded(OWN_HOUSEHOLD),
    )
    async def household_live(user: Owned, caller: Caller, last_event_id: LastEventId = None) -> HeldStream:
        source = Source(
            user.user_id,
            lambda: _household(lookup, user),
            HOUSEHOLD_EVERY_S,
            lambda: lookup.household(user),
        )
        return await _stream(feeds, source, caller, last_event_id, lambda: left_s(caller))

    @router.get(
        "/regions/live",
        summary="Every region's use as it is summed",
        description=TELLS.format(id="the newest window's end") + " Data are those of `/regions`.",
        response_class=StreamingResponse,
        responses=_stream_described(),
        tags=["country"],
        **guarded(COUNTRY),
    )
    async def regions_live(caller: Caller, last_event_id: LastEventId = None) -> HeldStream:
        source = Source("regions", lambda: _regions(lookup), REGIONS_EVERY_S, lookup.masters)
        return await _stream(feeds, source, caller, last_event_id, lambda: left_s(caller))

    return router


async def _stream(
    feeds: Feeds, source: Source, caller: Identity, last_event_id: str | None, left_s: Callable[[], float]
) -> HeldStream:
    """Return a stream of what is other than the last event.

    :raises Refusal: where there are too many.
    :raises UserNotFound: where there is no such user.
    """
    async with AsyncExitStack() as stack:
        listening = feeds.listening(_listener(caller), source.key, source.ask, source.every_s)
        feed = await stack.enter_async_context(listening)
        first = await feed.first()
        if isinstance(first, Snapshot) and not first.known:
            await source.must_exist()
        news = feeds.news(feed, last_event_id, left_s)
        return HeldStream(stack.pop_all(), _events(news), MEDIA_TYPE, HEADERS)
    raise AssertionError("the stack hides no error")


def _listener(caller: Identity) -> str:
    """Return who has so many streams: a household, or one token of those who share another role's name."""
    own = caller.role is Role.HOUSEHOLD
    return caller.subject if own else f"{caller.subject} of token {caller.token_id}"


async def _events(news: AsyncIterator[News]) -> AsyncIterator[bytes]:
    yield b"retry: %d\n\n" % RETRY_MS
    async for one in news:
        if one.snapshot:
            event_id = one.snapshot.event_id.encode()
            yield b"event: state\nid: %s\ndata: %s\n\n" % (event_id, orjson.dumps(one.snapshot.data))
        elif one.trouble:
            yield b"event: trouble\ndata: %s\n\n" % orjson.dumps({"detail": one.trouble})
        else:
            yield PING


async def _household(lookup: Lookup, user: OwnedUser) -> Snapshot:
    now_ms, state = await lookup.live(user)
    meters = state.meters if state else {}
    told = {utility.value: _meter(utility, meter, now_ms) for utility, meter in meters.items()}
    newest = max((meter.sent_at for meter in meters.values()), default=0)
    # A meter that falls silent is news too.
    mark = tuple((name, meter["sent_at"], meter["register"], meter["stale"]) for name, meter in told.items())
    data = {"as_of": utc_time(now_ms), "utilities": told}
    return Snapshot(newest, mark, data, known=state is not None)


def _meter(utility: Utility, meter: LiveMeter, now_ms: int) -> render.Json:
    """Return a meter's newest heartbeat in the shape of `shapes.MeterNow`."""
    age_ms = max(0, now_ms - meter.sent_at)
    return {
        "rate": meter.rate,
        "rate_unit": utility.rate_unit,
        "register": meter.register,
        "sent_at": utc_time(meter.sent_at),
        "age_s": age_ms // 1000,
        "stale": age_ms > STALE_MS,
    }


async def _regions(lookup: Lookup) -> Snapshot:
    answer = await lookup.regions()
    uses = [
        (code, utility, use.window_end, use.rate, use.active_meters, stale(use, answer.now_ms))
        for code, of_region in answer.uses.items()
        for utility, use in of_region.items()
    ]
    newest = max((window_end for _, _, window_end, *_ in uses), default=0)
    return Snapshot(newest, tuple(uses), render.regions(answer))


def _stream_described() -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string", "description": "events by the HTML standard's rules", "examples": [EXAMPLE]}
    return {200: {"description": "A stream of events", "content": {MEDIA_TYPE: {"schema": schema}}}}
