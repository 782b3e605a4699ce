"""How many requests somebody may make: buckets that fill steadily and that each request takes from.

A bucket is one number, the instant from which it is full again. It holds a minute's requests. Each process
lets a subject have LOCAL_SHARE of them on its own account and asks the bucket that all processes share only
beyond that, so that the usual household costs no round trip.
"""

import collections
import dataclasses
import ipaddress
from collections.abc import Callable
from typing import NamedTuple, Protocol

from serving.access.identity import Identity
from serving.access.refusal import Refusal

SUBJECTS_MAX = 65_536
LOCAL_SHARE = 10
MINUTE_US = 60_000_000


class Grant(NamedTuple):
    """How many requests a bucket gave, and after how many microseconds it has one again if it gave none."""

    taken: int
    wait_us: int


class SharedAway(Exception):  # noqa: N818 - a state of the store, which is answered around
    """The buckets that processes share cannot be asked now."""


class SharedBuckets(Protocol):
    """Buckets that several processes take from."""

    async def take(self, subject: str, wanted: int, per_minute: int) -> Grant:
        """Take up to `wanted` requests from a subject's bucket.

        :raises SharedAway: where it cannot be asked.
        """


class Buckets:
    """Buckets in memory, of at most SUBJECTS_MAX subjects: those longest unused are forgotten."""

    def __init__(self, per_minute: int, now: Callable[[], int]) -> None:
        self._interval_us = MINUTE_US // per_minute
        self._depth_us = self._interval_us * per_minute
        self._now = now
        self._full_at: collections.OrderedDict[str, int] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, subject: str, wanted: int = 1) -> Grant:
        """Take up to `wanted` requests from a subject's bucket."""
        now_us = self._now() * 1_000
        # A clock set back must not lock anybody out for longer than a bucket takes to fill.
        full_at = min(max(self._full_at.get(subject, 0), now_us), now_us + self._depth_us)
        room_us = now_us + self._depth_us - full_at
        taken = min(wanted, room_us // self._interval_us)
        _keep(self._full_at, subject, full_at + taken * self._interval_us)
        return Grant(taken, 0) if taken else Grant(0, self._interval_us - room_us)


class Limit:
    """One kind of request, at most `per_minute` of a subject over all processes."""

    def __init__(self, kind: str, per_minute: int, shared: SharedBuckets, now: Callable[[], int]) -> None:
        self._kind = kind
        self._per_minute = per_minute
        self._shared = shared
        self._now = now
        self._at_once = max(1, per_minute // LOCAL_SHARE)
        self._wait_ms_max = -(-MINUTE_US // per_minute // 1_000)
        self._local = Buckets(self._at_once, now)
        self._alone = Buckets(per_minute, now)
        # Of those who went beyond their local share: requests fetched and not yet made, or when to ask again.
        self._fetched: collections.OrderedDict[str, int] = collections.OrderedDict()
        self._refused_until: collections.OrderedDict[str, int] = collections.OrderedDict()

    @property
    def size(self) -> int:
        """How many entries of subjects are kept."""
        kept = (self._local, self._alone, self._fetched, self._refused_until)
        return sum(len(one) for one in kept)

    async def spend(self, subject: str) -> None:
        """Count a request.

        :raises Refusal: 429 where the subject made too many.
        """
        if self.spend_at_once(subject):
            return
        fetched = self._fetched.pop(subject, 0)
        if fetched:
            if fetched > 1:
                self._fetched[subject] = fetched - 1
            return
        wait_ms = self._refused_until.get(subject, 0) - self._now()
        # One that is longer than any bucket's was reckoned before the clock was set back.
        known = 0 < wait_ms <= self._wait_ms_max
        wait_us = wait_ms * 1_000 if known else await self._fetch(subject)
        if wait_us > 0:
            raise self._refusal(wait_us)

    def spend_at_once(self, subject: str) -> bool:
        """Count a request and return True, if that takes no question to others."""
        return bool(self._local.take(subject).taken)

    async def _fetch(self, subject: str) -> int:
        """Fetch some requests and make one of them; return after how many microseconds to ask again."""
        try:
            grant = await self._shared.take(f"{self._kind}:{subject}", self._at_once, self._per_minute)
        except SharedAway:
            grant = self._alone.take(subject)
        if grant.taken > 1:
            _keep(self._fetched, subject, grant.taken - 1)
        if grant.taken:
            return 0
        _keep(self._refused_until, subject, self._now() + -(-grant.wait_us // 1_000))
        return max(grant.wait_us, 1)

    def _refusal(self, wait_us: int) -> Refusal:
        wait_s = max(1, -(-wait_us // 1_000_000))
        detail = f"at most {self._per_minute} {self._kind} a minute are answered; try again in {wait_s} s"
        return Refusal(429, "too-many-requests", "Too many requests", detail, {"Retry-After": str(wait_s)})


@dataclasses.dataclass(frozen=True)
class Limits:
    """What everybody is held to: requests of one that is logged in, and attempts from an address to be."""

    requests: Limit
    attempts: Limit

    async def asked(self, identity: Identity) -> None:
        """Count a request of somebody, whichever of their tokens it came with.

        :raises Refusal: 429 where they made too many.
        """
        await self.requests.spend(identity.subject)

    def asked_at_once(self, identity: Identity) -> bool:
        """Count a request of somebody and return True, if that takes no question to others."""
        return self.requests.spend_at_once(identity.subject)

    async def attempted(self, address: str) -> None:
        """Count a log-in, or a request that proved nobody.

        :raises Refusal: 429 where too many came from there.
        """
        await self.attempts.spend(network_of(address))


def limits(
    shared: SharedBuckets, requests_per_minute: int, attempts_per_minute: int, now: Callable[[], int]
) -> Limits:
    """Return the limits over the buckets that processes share; `now` tells ms since 1970."""
    return Limits(
        Limit("requests", requests_per_minute, shared, now),
        Limit("attempts", attempts_per_minute, shared, now),
    )


def network_of(address: str) -> str:
    """Return what is counted as one client: an IPv4 address, or the /64 that one IPv6 client has whole."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)


def _keep(known: collections.OrderedDict[str, int], subject: str, value: int) -> None:
    known[subject] = value
    known.move_to_end(subject)
    if len(known) > SUBJECTS_MAX:
        known.popitem(last=False)
