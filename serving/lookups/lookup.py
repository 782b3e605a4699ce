"""One question to both stores at once, and what is answered when one of them is away."""

import asyncio
import dataclasses
import zoneinfo
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from infra.contracts.durations import HOUR_MS
from infra.contracts.live_state import LiveState, RegionUse
from infra.contracts.utility import UTILITIES, Utility
from serving.access.identity import OwnedUser
from serving.figures.disclosure import Users
from serving.figures.household import Household, HouseholdView, UserNotFound, view
from serving.figures.local_days import zone_info
from serving.figures.regions import Judged, Parts, RegionMaster, folded, judged, notes, parts
from serving.figures.truth import Truth
from serving.stores.sources import LiveSource, StoreAway, StoreState, TruthSource
from serving.together import each

# Yesterday began at most a 25-hour day and 25 hours ago, in any zone.
LOOK_BACK_MS = 50 * HOUR_MS
# Regions' names and zones change about never; an old copy is better than none.
REGIONS_AGE_MS_MAX = 600_000

Answer = TypeVar("Answer")
Other = TypeVar("Other")
Published = tuple[Household | None, Truth]


class KnownUser(NamedTuple):
    """What both stores know of a user at one instant; `notes` say what is missing because one is away."""

    user_id: int
    now_ms: int
    household: Household
    truth: Truth
    live: LiveState | None
    redis: StoreState
    mysql: StoreState
    notes: tuple[str, ...]


class HouseholdAnswer(NamedTuple):
    """A household's view, with what each store said and what that means for the figures."""

    view: HouseholdView
    redis: StoreState
    mysql: StoreState
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class RegionsAnswer:
    """The use now of every region that may be shown, of OTHER for the rest, and master data if known."""

    now_ms: int
    uses: Mapping[str, Mapping[Utility, RegionUse]]
    masters: Mapping[str, RegionMaster]
    judged: Judged
    made_of: Mapping[Utility, Parts]
    mysql: StoreState
    notes: tuple[str, ...]


class Lookup:
    """Answers for households and regions from a live source and a truth source."""

    def __init__(self, live: LiveSource, truth: TruthSource, now: Callable[[], int]) -> None:
        self._live = live
        self._truth = truth
        self._now = now
        self._masters: Mapping[str, RegionMaster] = {}
        self._masters_at: int | None = None
        self._asked: asyncio.Future[dict[str, StoreState]] | None = None
        self._users: Users = {}
        self._users_at: int | None = None
        self._users_state = StoreState.NONE

    def now(self) -> int:
        """Return ms since 1970."""
        return self._now()

    async def household(self, user: OwnedUser) -> HouseholdAnswer:
        """Return one household's view from whichever stores answer.

        :raises UserNotFound: where both answer and neither knows the user.
        :raises StoreAway: where a store is away and the other knows nothing of the user.
        """
        [found] = await self.households([user])
        if isinstance(found, Exception):
            raise found
        return found

    async def households(self, users: Sequence[OwnedUser]) -> list[HouseholdAnswer | Exception]:
        """Return for each user what `household` does, or what it raises, by one question to each store."""
        since = self._now() - LOOK_BACK_MS
        lives, truths = await both_or_away(
            self._live.live_state_of_each(users), self._truth.truth_of_each(users, since)
        )
        published = _of_each(users, truths)
        masters = await self._masters_for(published)
        told = zip(users, _of_each(users, lives), published, strict=True)
        return each(_viewed, each(lambda of_user: self._known(*of_user, masters), told))

    async def known(self, user: OwnedUser, question: Awaitable[Published]) -> KnownUser:
        """Return what live state and a question to the truth tell of a user, asked at once.

        :raises UserNotFound: where both answer and neither knows the user.
        :raises StoreAway: where a store is away and the other knows nothing of the user.
        """
        # Asked after it, a store that does not answer would be waited for twice.
        (live, published), masters = await asyncio.gather(
            both_or_away(self._live.live_state(user), question), self.masters()
        )
        return self._known(user, live, published, masters)

    def _known(
        self,
        user: OwnedUser,
        live_told: LiveState | Exception | None,
        published_told: Published | Exception,
        masters: Mapping[str, RegionMaster],
    ) -> KnownUser:
        live, published = _told_or_away(live_told), _told_or_away(published_told)
        household, truth = (None, Truth()) if isinstance(published, StoreAway) else published
        live_state = None if isinstance(live, StoreAway) else live
        if live_state is None and household is None and not truth.rows:
            raise nobody_knows(user, live, published)
        redis = state_of(live, live_state is not None)
        mysql = state_of(published, household is not None or bool(truth.rows))
        in_a_zone, zone_notes = _in_a_zone(household, live_state, masters)
        notes = (*_notes(redis, mysql), *zone_notes)
        return KnownUser(user.user_id, self._now(), in_a_zone, truth, live_state, redis, mysql, notes)

    async def live(self, user: OwnedUser) -> tuple[int, LiveState | None]:
        """Return the instant of the answer (ms) and what live state alone holds of a user.

        :raises StoreAway: where Redis is away.
        """
        state = await self._live.live_state(user)
        return self._now(), state

    async def regions(self) -> RegionsAnswer:
        """Return the use now of all regions, those of few users folded into others.

        :raises StoreAway: where Redis is away.
        """
        uses, masters, users = await asyncio.gather(self._live.regions(), self.masters(), self.region_users())
        now_ms = self._now()
        found = judged(uses, users)
        made_of = {utility: parts(uses, found, utility) for utility in UTILITIES}
        shown = folded(uses, found.disclosure, made_of, now_ms)
        mysql = StoreState.OK if users else self._users_state
        return RegionsAnswer(
            now_ms,
            shown,
            masters,
            found,
            made_of,
            mysql,
            notes(uses, found, now_ms, mysql is StoreState.AWAY),
        )

    async def region_users(self) -> Users:
        """Return how many users each region has, or the last copy of that (at first an empty one)."""
        if self._users_at is None or self._now() - self._users_at > REGIONS_AGE_MS_MAX:
            answer = await or_away(self._truth.region_users())
            self._users_state = state_of(answer, bool(answer))
            if not isinstance(answer, StoreAway):
                self._users = answer
                self._users_at = self._now() if answer else None
        return self._users

    async def masters(self) -> Mapping[str, RegionMaster]:
        """Return the regions' master data, or the last copy of it (at first an empty one)."""
        if self._masters_at is None or self._now() - self._masters_at > REGIONS_AGE_MS_MAX:
            answer = await or_away(self._truth.regions())
            if not isinstance(answer, StoreAway):
                self._masters = answer
                # An empty table is one that the first night has yet to fill.
                self._masters_at = self._now() if answer else None
        return self._masters

    async def states(self) -> dict[str, StoreState]:
        """Return whether each store answers at this moment; whoever asks meanwhile shares the answer.

        Anybody may ask for readiness, and each question takes a connection that households wait for.
        """
        if self._asked is None or self._asked.done():
            self._asked = asyncio.ensure_future(self._states())
        return await asyncio.shield(self._asked)

    async def _states(self) -> dict[str, StoreState]:
        live, truth = await asyncio.gather(or_away(self._live.ping()), or_away(self._truth.ping()))
        return {"redis": state_of(live, present=True), "mysql": state_of(truth, present=True)}

    async def _masters_for(self, published: Iterable[Published | Exception]) -> Mapping[str, RegionMaster]:
        """Return the regions' master data where a household's zone has to be made up for, else none."""
        known = (not isinstance(one, Exception) and one[0] is not None for one in published)
        return {} if all(known) else await self.masters()


def _in_a_zone(
    household: Household | None, live: LiveState | None, masters: Mapping[str, RegionMaster]
) -> tuple[Household, tuple[str, ...]]:
    """Return the household, its zone made up for from its region's or, failing that, UTC."""
    if household is None:
        region = live.region if live else None
        master = masters.get(region or "")
        if master is None:
            household = Household(None, None, region, None, "UTC")
            return household, ("the household's zone is not known; days are UTC days",)
        household = Household(None, None, region, master.name, master.zone)
        return household, (f"the household's zone is taken from its region: {master.zone}",)
    try:
        zone_info(household.zone)
    except zoneinfo.ZoneInfoNotFoundError:
        note = f"the household's zone is unknown ({household.zone}); days are UTC days"
        return household._replace(zone="UTC"), (note,)
    return household, ()


def _of_each(users: Sequence[OwnedUser], told: Sequence[Answer] | StoreAway) -> Sequence[Answer | StoreAway]:
    """Return what a store told of each user: of all of them the same if it is away."""
    return [told] * len(users) if isinstance(told, StoreAway) else told


def _told_or_away(told: Answer | Exception) -> Answer | StoreAway:
    """Return what a store told of one user, or that it is away; raise what else came of it."""
    if isinstance(told, Exception) and not isinstance(told, StoreAway):
        raise told
    return told


def _viewed(known: KnownUser) -> HouseholdAnswer:
    seen = view(known.user_id, known.household, known.truth, known.live, known.now_ms)
    return HouseholdAnswer(seen, known.redis, known.mysql, known.notes)


async def both_or_away(
    question: Awaitable[Answer], other: Awaitable[Other]
) -> tuple[Answer | StoreAway, Other | StoreAway]:
    """Return the answers to two questions asked at once, or that a store is away; both end if one breaks."""
    asked = asyncio.ensure_future(or_away(question)), asyncio.ensure_future(or_away(other))
    try:
        return await asyncio.gather(*asked)
    finally:
        for one in asked:
            one.cancel()


async def or_away(question: Awaitable[Answer]) -> Answer | StoreAway:
    """Return an answer, or that the store is away."""
    try:
        return await question
    except StoreAway as away:
        return away


def nobody_knows(user: OwnedUser, *answers: object) -> StoreAway | UserNotFound:
    """Return what to raise where no store that answered knows a user: one that is away might."""
    aways = [str(answer) for answer in answers if isinstance(answer, StoreAway)]
    return StoreAway(" and ".join(aways)) if aways else UserNotFound(f"user is unknown: {user.user_id}")


def state_of(answer: object, present: bool) -> StoreState:
    """Return what a store's answer says of it; `present`: it holds something."""
    if isinstance(answer, StoreAway):
        return StoreState.AWAY
    return StoreState.OK if present else StoreState.NONE


def _notes(redis: StoreState, mysql: StoreState) -> tuple[str, ...]:
    notes = []
    if redis is StoreState.AWAY:
        notes.append("live state is away; figures end with the nightly truth")
    if redis is StoreState.NONE:
        notes.append("there is no live state of this user; figures end with the nightly truth")
    if mysql is StoreState.AWAY:
        notes.append("the nightly truth is away; figures are from live state alone")
    return tuple(notes)
