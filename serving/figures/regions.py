"""Usage now by region and for the country: a sum over the regions whose newest window is recent. Pure."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from infra.contracts.live_state import RegionUse
from infra.contracts.utility import UTILITIES, Utility
from serving.figures.disclosure import OTHER, USERS_MIN, Disclosure, Users, disclosed

STALE_MS = 60_000
Uses = Mapping[str, Mapping[Utility, RegionUse]]


@dataclasses.dataclass(frozen=True)
class RegionMaster:
    """Master data of a region."""

    name: str
    zone: str


@dataclasses.dataclass(frozen=True)
class CountryUse:
    """One utility's use now, summed over `regions` regions; `regions_stale` more are too old to count.

    `rate` and `window_end` (the oldest one summed, ms) are None where no region is recent.
    """

    rate: int | None
    active_meters: int
    silent_meters: int
    window_end: int | None
    regions: int
    regions_stale: int


def stale(use: RegionUse, now_ms: int) -> bool:
    """Return whether a region's newest window ended too long ago to be called now."""
    return now_ms - use.window_end > STALE_MS


class Judged(NamedTuple):
    """Which regions now may be told how; `users` is who was judged by.

    `uncounted`: those that no night told of yet and that few were heard of are in no figure at all.
    """

    users: Users
    disclosure: Disclosure
    uncounted: frozenset[str]


def judged(uses: Uses, published: Users) -> Judged:
    """Return which regions may be told, by the users that the newest night published.

    Not by the meters heard now: of meters that are heard one after the other, each would be a difference of
    two answers. They decide of a region that no night tells of, and of all while no night tells of anything.
    """
    heard = {code: _heard(of_region) for code, of_region in uses.items() if of_region}
    if not published:
        return Judged(heard, disclosed(heard), frozenset())
    new = {code: counts for code, counts in heard.items() if code not in published}
    large = {code: counts for code, counts in new.items() if min(counts.values()) >= USERS_MIN}
    users = {**published, **large}
    return Judged(users, disclosed(users), frozenset(new) - frozenset(large))


def _heard(of_region: Mapping[Utility, RegionUse]) -> dict[Utility, int]:
    return {utility: max(use.known_meters, use.active_meters) for utility, use in of_region.items()}


class Parts(NamedTuple):
    """Whose figures a utility's sums are made of: of regions by themselves, and of hidden ones as OTHER."""

    single: frozenset[str]
    other: frozenset[str]


def parts(uses: Uses, found: Judged, utility: Utility) -> Parts:
    """Return what a utility's sums are made of, by code.

    OTHER is of all hidden regions that have users of it, or of none: while nothing is known of one, the sums
    before and after it is heard would tell that region.
    """
    single = {
        code
        for code in found.disclosure.shown
        if (use := uses.get(code, {}).get(utility)) and _many(found, code, utility, use)
    }
    other = {code for code in found.disclosure.hidden if found.users[code].get(utility)}
    whole = utility not in found.disclosure.untold and all(utility in uses.get(code, {}) for code in other)
    return Parts(frozenset(single), frozenset(other if whole else ()))


def _many(found: Judged, code: str, utility: Utility, use: RegionUse) -> bool:
    """Return whether enough of a shown region use a utility: it may be newer than the night that judges."""
    return max(found.users[code].get(utility, 0), use.known_meters) >= USERS_MIN


def folded(
    uses: Uses, disclosure: Disclosure, made_of: Mapping[Utility, Parts], now_ms: int
) -> dict[str, Mapping[Utility, RegionUse]]:
    """Return the regions that are shown, by code, and the hidden ones' sums as OTHER, the last."""
    shown: dict[str, dict[Utility, RegionUse]] = {
        code: {} for code in sorted(uses) if code in disclosure.shown
    }
    if disclosure.hidden:
        shown[OTHER] = {}
    for utility, (single, other) in made_of.items():
        for code in single:
            shown[code][utility] = uses[code][utility]
        if other:
            shown[OTHER][utility] = _folded([uses[code][utility] for code in other], now_ms)
    return dict(shown)


def _folded(uses: list[RegionUse], now_ms: int) -> RegionUse:
    """Return the sum of all: one that is not heard counts by its newest window, however old.

    A sum that it leaves would tell it, as the difference of what was told before and after.
    """
    recent = [use for use in uses if not stale(use, now_ms)]
    return RegionUse(
        window_end=min(use.window_end for use in recent or uses),
        rate=sum(use.rate for use in uses),
        active_meters=sum(use.active_meters for use in uses),
        epoch=max(use.epoch for use in uses),
        known_meters=sum(use.known_meters for use in uses),
    )


def notes(uses: Uses, found: Judged, now_ms: int, truth_away: bool) -> tuple[str, ...]:
    """Return what the figures of all regions leave out, or hold of the past, in words."""
    told = []
    if truth_away:
        told.append("the nightly truth is away; regions are judged by the meters that were ever heard")
    if found.disclosure.untold:
        names = ", ".join(sorted(found.disclosure.untold))
        told.append(f"fewer than {USERS_MIN} users are known of {names}: nothing is told of it")
    if found.uncounted:
        told.append(f"{len(found.uncounted)} new regions are not counted before a night tells of them")
    hidden = [(uses.get(code, {}), found.users[code]) for code in found.disclosure.hidden]
    silent = sum(any(stale(use, now_ms) for use in of_region.values()) for of_region, _ in hidden)
    if silent:
        told.append(f"{silent} of the other regions are not heard just now and count by what they told last")
    if any(
        users and utility not in of_region
        for of_region, counts in hidden
        for utility, users in counts.items()
    ):
        told.append("some of the other regions were never heard: what they would be part of is not told")
    return tuple(told)


def country_use(regions: Uses, now_ms: int) -> dict[Utility, CountryUse]:
    """Return the country's use by utility from every region's newest window."""
    return {utility: _sum(_uses_of(regions, utility), now_ms) for utility in UTILITIES}


def _uses_of(regions: Uses, utility: Utility) -> list[RegionUse]:
    return [uses[utility] for uses in regions.values() if utility in uses]


def _sum(uses: list[RegionUse], now_ms: int) -> CountryUse:
    recent = [use for use in uses if not stale(use, now_ms)]
    return CountryUse(
        rate=sum(use.rate for use in recent) if recent else None,
        active_meters=sum(use.active_meters for use in recent),
        silent_meters=sum(use.silent_meters for use in recent),
        window_end=min((use.window_end for use in recent), default=None),
        regions=len(recent),
        regions_stale=len(uses) - len(recent),
    )
