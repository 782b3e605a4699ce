"""One question to both stores at once, and what is answered when one of them is away."""

import asyncio
import dataclasses
import zoneinfo
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from infra.contracts.live_state import LiveState, RegionUse
from infra.contracts.utility import Utility
from serving.household import Household, HouseholdView, UserNotFound, view
from serving.local_days import zone_info
from serving.regions import RegionMaster
from serving.registers import Truth
from serving.sources import LiveSource, StoreAway, StoreState, TruthSource

# Yesterday began at most a 25-hour day and 25 hours ago, in any zone.
LOOK_BACK_MS = 50 * 3_600_000
# Regions' names and zones change about never; an old copy is better than none.
REGIONS_AGE_MS_MAX = 600_000

Answer = TypeVar("Answer")


@dataclasses.dataclass(frozen=True)
class HouseholdAnswer:
    """A household's view, with what each store said and what that means for the figures."""

    view: HouseholdView
    redis: StoreState
    mysql: StoreState
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class RegionsAnswer:
    """Every region's use now, with master data as far as it is known."""

    now_ms: int
    uses: Mapping[str, Mapping[Utility, RegionUse]]
    masters: Mapping[str, RegionMaster]


class Lookup:
    """Answers for households and regions from a live source and a truth source."""

    def __init__(self, live: LiveSource, truth: TruthSource, now: Callable[[], int]) -> None:
        self._live = live
        self._truth = truth
        self._now = now
        self._masters: Mapping[str, RegionMaster] = {}
        self._masters_at: int | None = None

    async def household(self, user_id: int) -> HouseholdAnswer:
        """Return one household's view from whichever stores answer.

        :raises UserNotFound: where both answer and neither knows the user.
        :raises StoreAway: where a store is away and the other knows nothing of the user.
        """
        now_ms = self._now()
        live, published = await asyncio.gather(
            _or_away(self._live.live_state(user_id)),
            _or_away(self._truth.truth(user_id, now_ms - LOOK_BACK_MS)),
        )
        household, truth = (None, Truth()) if isinstance(published, StoreAway) else published
        live_state = None if isinstance(live, StoreAway) else live
        if live_state is None and household is None and not truth.rows:
            aways = [str(answer) for answer in (live, published) if isinstance(answer, StoreAway)]
            if aways:
                raise StoreAway(" and ".join(aways))
            raise UserNotFound(f"user is unknown: {user_id}")
        redis = _state(live, live_state is not None)
        mysql = _state(published, household is not None or bool(truth.rows))
        notes = [*_notes(redis, mysql)]
        known, zone_notes = await self._in_a_zone(household, live_state)
        answered = view(user_id, known, truth, live_state, now_ms)
        return HouseholdAnswer(answered, redis, mysql, (*notes, *zone_notes))

    async def regions(self) -> RegionsAnswer:
        """Return the use now of all regions.

        :raises StoreAway: where Redis is away.
        """
        uses, masters = await asyncio.gather(self._live.regions(), self.masters())
        return RegionsAnswer(self._now(), uses, masters)

    async def masters(self) -> Mapping[str, RegionMaster]:
        """Return the regions' master data, or the last copy of it (at first an empty one)."""
        if self._masters_at is None or self._now() - self._masters_at > REGIONS_AGE_MS_MAX:
            answer = await _or_away(self._truth.regions())
            if not isinstance(answer, StoreAway):
                self._masters = answer
                # An empty table is one that the first night has yet to fill.
                self._masters_at = self._now() if answer else None
        return self._masters

    async def states(self) -> dict[str, StoreState]:
        """Return whether each store answers at this moment."""
        live, truth = await asyncio.gather(_or_away(self._live.ping()), _or_away(self._truth.ping()))
        return {"redis": _state(live, present=True), "mysql": _state(truth, present=True)}

    async def _in_a_zone(
        self, household: Household | None, live: LiveState | None
    ) -> tuple[Household, tuple[str, ...]]:
        """Return the household, its zone made up for from its region's or, failing that, UTC."""
        if household is None:
            region = live.region if live else None
            master = (await self.masters()).get(region or "")
            if master is None:
                household = Household(None, None, region, None, "UTC")
                return household, ("the household's zone is not known; days are UTC days",)
            household = Household(None, None, region, master.name, master.zone)
            return household, (f"the household's zone is taken from its region: {master.zone}",)
        try:
            zone_info(household.zone)
        except zoneinfo.ZoneInfoNotFoundError:
            note = f"the household's zone is unknown ({household.zone}); days are UTC days"
            return dataclasses.replace(household, zone="UTC"), (note,)
        return household, ()


async def _or_away(question: Awaitable[Answer]) -> Answer | StoreAway:
    try:
        return await question
    except StoreAway as away:
        return away


def _state(answer: object, present: bool) -> StoreState:
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
