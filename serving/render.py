"""Views as plain objects for JSON: instants become ISO 8601 times, ages become whole seconds."""

from typing import Any

from infra.contracts.live_state import LiveMeter, RegionUse
from infra.contracts.nightly import QUALITY_MEASURED
from infra.contracts.utility import Utility
from serving.household import DayUsage, Figure, UtilityView
from serving.local_days import exact_local_time, local_time, utc_time
from serving.lookup import HouseholdAnswer, RegionsAnswer
from serving.regions import CountryUse, country_use, stale

Json = dict[str, Any]


def household(answer: HouseholdAnswer) -> Json:
    """Return one household's answer in the shape of `shapes.HouseholdNow`."""
    view = answer.view
    owner = view.household
    utilities = view.utilities.items()
    return {
        "user_id": view.user_id,
        "as_of": utc_time(view.now_ms),
        "household": {
            "kind": owner.kind,
            "name": owner.name,
            "region": owner.region,
            "region_name": owner.region_name,
            "zone": owner.zone,
        },
        "truth_until": _utc_or_none(view.truth_until),
        "sources": {"redis": answer.redis, "mysql": answer.mysql},
        "quality": QUALITY_MEASURED,
        "notes": list(answer.notes),
        "utilities": {utility.value: _utility(utility, use, owner.zone) for utility, use in utilities},
    }


def regions(answer: RegionsAnswer) -> Json:
    """Return all regions and the country in the shape of `shapes.RegionsNow`."""
    rows = []
    for code, uses in answer.uses.items():
        master = answer.masters.get(code)
        rows.append(
            {
                "region": code,
                "name": master.name if master else code,
                "zone": master.zone if master else None,
                "utilities": {
                    utility.value: _region_use(utility, use, answer.now_ms) for utility, use in uses.items()
                },
            }
        )
    return {"as_of": utc_time(answer.now_ms), "regions": rows, "country": _country(answer)}


def country(answer: RegionsAnswer) -> Json:
    """Return the country in the shape of `shapes.CountryNow`."""
    return {"as_of": utc_time(answer.now_ms), "country": _country(answer)}


def _utility(utility: Utility, use: UtilityView, zone: str) -> Json:
    return {
        "unit": utility.unit,
        "rate_unit": utility.rate_unit,
        "now": _now(utility, use.live, use) if use.live else None,
        "today": _day(utility, use.today, zone),
        "yesterday": _day(utility, use.yesterday, zone),
        "notes": list(use.notes),
    }


def _now(utility: Utility, live: LiveMeter, use: UtilityView) -> Json:
    return {
        "rate": live.rate,
        "rate_unit": utility.rate_unit,
        "register": live.register,
        "sent_at": utc_time(live.sent_at),
        "age_s": (use.age_ms or 0) // 1000,
        "stale": use.stale,
    }


def _day(utility: Utility, usage: DayUsage, zone: str) -> Json:
    total = usage.total
    hours = zip(usage.day.labels, usage.hours, strict=True)
    return {
        "date": usage.day.date,
        "from": local_time(usage.day.start, zone),
        "to": local_time(usage.day.end, zone),
        "counted_from": _counted(total, total.counted_from, zone),
        "counted_until": _counted(total, total.counted_until, zone),
        "usage": total.usage,
        "unit": utility.unit,
        "complete": total.complete,
        "source": "+".join(total.layers) or None,
        "hours": [{"from": label, "usage": hour.usage, "complete": hour.complete} for label, hour in hours],
    }


def _counted(total: Figure, instant: int, zone: str) -> str | None:
    return None if total.usage is None else exact_local_time(instant, zone)


def _region_use(utility: Utility, use: RegionUse, now_ms: int) -> Json:
    return {
        "rate": use.rate,
        "rate_unit": utility.rate_unit,
        "active_meters": use.active_meters,
        "silent_meters": use.silent_meters,
        "window_end": utc_time(use.window_end),
        "age_s": max(0, now_ms - use.window_end) // 1000,
        "stale": stale(use, now_ms),
    }


def _country(answer: RegionsAnswer) -> Json:
    uses = country_use(answer.uses, answer.now_ms)
    return {utility.value: _country_use(utility, use) for utility, use in uses.items()}


def _country_use(utility: Utility, use: CountryUse) -> Json:
    return {
        "rate": use.rate,
        "rate_unit": utility.rate_unit,
        "active_meters": use.active_meters,
        "silent_meters": use.silent_meters,
        "window_end": _utc_or_none(use.window_end),
        "regions": use.regions,
        "regions_stale": use.regions_stale,
    }


def _utc_or_none(instant: int | None) -> str | None:
    return None if instant is None else utc_time(instant)
