"""Usage now by region and for the country: a sum over the regions whose newest window is recent."""

import dataclasses
from collections.abc import Mapping

from infra.contracts.live_state import RegionUse
from infra.contracts.utility import UTILITIES, Utility

STALE_MS = 60_000


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


def country_use(regions: Mapping[str, Mapping[Utility, RegionUse]], now_ms: int) -> dict[Utility, CountryUse]:
    """Return the country's use by utility from every region's newest window."""
    return {utility: _sum(_uses_of(regions, utility), now_ms) for utility in UTILITIES}


def _uses_of(regions: Mapping[str, Mapping[Utility, RegionUse]], utility: Utility) -> list[RegionUse]:
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
