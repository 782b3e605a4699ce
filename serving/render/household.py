"""Views as plain objects for JSON: instants become ISO 8601 times, ages become whole seconds."""

import functools
from typing import Any

import orjson

from infra.contracts.invoices import rounded
from infra.contracts.live_state import LiveMeter, RegionUse
from infra.contracts.utility import Utility
from serving.figures.disclosure import OTHER
from serving.figures.figure import Figure
from serving.figures.household import DayUsage, HouseholdView, UtilityView, joint_quality
from serving.figures.local_days import LocalDay, exact_local_time, utc_time
from serving.figures.plain_hours import MEASURED, PlainHours
from serving.figures.regions import CountryUse, country_use, stale
from serving.lookups.lookup import HouseholdAnswer, RegionsAnswer
from serving.stores.sources import StoreState

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
        "truth_until": utc_or_none(view.truth_until),
        "sources": {"redis": answer.redis, "mysql": answer.mysql},
        "quality": _quality(view),
        "notes": list(answer.notes),
        "utilities": {utility.value: _utility(utility, use, owner.zone) for utility, use in utilities},
    }


def regions(answer: RegionsAnswer) -> Json:
    """Return all regions and the country in the shape of `shapes.RegionsNow`."""
    rows = [region(answer, code) for code in answer.uses]
    return {**country(answer), "regions": rows}


def region(answer: RegionsAnswer, code: str) -> Json:
    """Return one region that is shown, or OTHER, in the shape of `shapes.Region`."""
    master = answer.masters.get(code)
    return {
        "region": code,
        "name": master.name if master else "Other regions" if code == OTHER else code,
        "zone": master.zone if master else None,
        "utilities": {
            utility.value: _region_use(utility, use, answer.now_ms)
            for utility, use in answer.uses[code].items()
        },
    }


def country(answer: RegionsAnswer) -> Json:
    """Return the country in the shape of `shapes.CountryNow`."""
    return {
        **of_regions(answer),
        "country": _country(answer),
        "hidden_regions": len(answer.judged.disclosure.hidden),
    }


def of_regions(answer: RegionsAnswer) -> Json:
    """Return what every answer about regions now says of its sources."""
    return {
        "as_of": utc_time(answer.now_ms),
        "sources": {"redis": StoreState.OK, "mysql": answer.mysql},
        "notes": list(answer.notes),
    }


def _utility(utility: Utility, use: UtilityView, zone: str) -> Json:
    return {
        "unit": utility.unit,
        "rate_unit": utility.rate_unit,
        "now": _now(utility, use.live, use) if use.live else None,
        "today": _day(utility, use.today, zone),
        "yesterday": _day(utility, use.yesterday, zone),
        "month_cost": None if use.month_cost is None else rounded(use.month_cost),
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
    total, day = usage.total, usage.day
    return {
        "date": day.date,
        "from": day.start_time,
        "to": day.end_time,
        "counted_from": _counted(total, total.counted_from, day, zone),
        "counted_until": _counted(total, total.counted_until, day, zone),
        "usage": total.usage,
        "unit": utility.unit,
        "complete": total.complete,
        "source": "+".join(total.layers) or None,
        "quality": total.quality,
        "usage_estimated": None if total.usage is None else total.estimated,
        "revised_at": utc_or_none(usage.revision.at if usage.revision else None),
        "revised_reason": usage.revision.reason if usage.revision else None,
        "hours": _hours(usage),
    }


def _hours(usage: DayUsage) -> list[Json] | orjson.Fragment:
    hours, labels = usage.hours, usage.day.labels
    if not isinstance(hours, PlainHours):
        return [_hour(label, hour) for label, hour in zip(labels, hours, strict=True)]
    numbers = hours.known if hours.running is None else (*hours.known, hours.running)
    return orjson.Fragment(_plain_hours(labels, len(hours.known), hours.running is not None) % numbers)


@functools.lru_cache(maxsize=4_096)
def _plain_hours(labels: tuple[str, ...], known: int, running: bool) -> bytes:
    """Return the JSON of a day's plain hours with a %d for each usage, in the shape of `_hour`."""
    whole = Figure(0, 0, 0, complete=True, quality=MEASURED)
    figures = [whole] * known + [whole._replace(complete=False)] * running
    figures += [Figure(None, 0, 0, complete=False)] * (len(labels) - len(figures))
    hours = [_hour(label, figure) for label, figure in zip(labels, figures, strict=True)]
    return orjson.dumps(hours).replace(b"%", b"%%").replace(b'"usage":0', b'"usage":%d')


def _hour(label: str, hour: Figure) -> Json:
    return {"from": label, "usage": hour.usage, "complete": hour.complete, "quality": hour.quality}


def _quality(view: HouseholdView) -> str | None:
    """Return how all figures of today and yesterday are known, together."""
    days = (day for use in view.utilities.values() for day in (use.today, use.yesterday))
    return joint_quality(day.total.quality for day in days)


def _counted(total: Figure, instant: int, day: LocalDay, zone: str) -> str | None:
    if total.usage is None:
        return None
    if instant == day.start:
        return day.start_time
    return day.end_time if instant == day.end else exact_local_time(instant, zone)


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
        "window_end": utc_or_none(use.window_end),
        "regions": use.regions,
        "regions_stale": use.regions_stale,
    }


def utc_or_none(instant: int | None) -> str | None:
    """Return an instant as `utc_time` does, or None where there is none."""
    return None if instant is None else utc_time(instant)
