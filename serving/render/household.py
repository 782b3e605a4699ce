"""Views as plain objects for JSON: instants become ISO 8601 times, ages become whole seconds."""

from collections.abc import Hashable
from typing import Any

import orjson

from infra.contracts.durations import HOUR_MS
from infra.contracts.invoices import rounded
from infra.contracts.live_state import LiveMeter, RegionUse
from infra.contracts.quality import Quality
from infra.contracts.utility import Utility
from serving.figures.disclosure import OTHER
from serving.figures.figure import STALE_MS, Figure
from serving.figures.household import DayUsage, HouseholdView, UtilityView, joint_quality, utility_view
from serving.figures.local_days import LocalDay, exact_local_time, utc_time
from serving.figures.plain_use import PlainUse
from serving.figures.regions import CountryUse, country_use, stale
from serving.lookups.lookup import HouseholdAnswer, RegionsAnswer
from serving.stores.sources import StoreState

Json = dict[str, Any]
# Of one hour there are a few hundred by zones, and some more while meters are born.
PATTERNS_MAX = 4_096
_PATTERNS: dict[tuple[Hashable, ...], bytes] = {}


def household(answer: HouseholdAnswer) -> Json:
    """Return one household's answer in the shape of `shapes.HouseholdNow`."""
    view = answer.view
    owner = view.household
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
        "truth_until": utc_or_none(view.truth.truth_until),
        "sources": {"redis": answer.redis, "mysql": answer.mysql},
        "quality": _quality(view),
        "notes": list(answer.notes),
        "utilities": {
            utility.value: plain_utility(view, utility, use)
            if isinstance(use, PlainUse)
            else utility_json(utility, use, owner.zone)
            for utility, use in view.utilities.items()
        },
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


def plain_utility(view: HouseholdView, utility: Utility, use: PlainUse) -> orjson.Fragment:
    """Return in short what `utility_json` tells of a plain use.

    Of one hour such answers differ in few places: the first one, made the long way, is the pattern.
    """
    live, hours, hours_before, month_cost, complete, notes = use
    sent_at, zone = live.sent_at, view.household.zone
    age_ms = view.now_ms - sent_at
    of_hours = sent_at // HOUR_MS, len(hours), len(hours_before), view.truth.truth_until
    key = (utility, zone, *of_hours, month_cost is None, complete, age_ms > STALE_MS)
    pattern = _PATTERNS.get(key)
    if pattern is None:
        if len(_PATTERNS) >= PATTERNS_MAX:
            del _PATTERNS[next(iter(_PATTERNS))]
        pattern = _PATTERNS[key] = _pattern(view, utility, use)
    return orjson.Fragment(
        pattern
        % (
            live.rate,
            live.register,
            utc_time(sent_at).encode(),
            max(0, age_ms) // 1000,
            exact_local_time(sent_at + 1, zone).encode(),
            sum(hours),
            *hours,
            *((sum(hours_before), *hours_before) if hours_before else ()),
            *(() if month_cost is None else (rounded(month_cost),)),
            orjson.dumps(notes) if notes else b"[]",
        )
    )


def utility_json(utility: Utility, use: UtilityView, zone: str) -> Json:
    """Return one utility of a household in the shape of `shapes.UtilityNow`."""
    return {
        "unit": utility.unit,
        "rate_unit": utility.rate_unit,
        "now": _now(utility, use.live, use) if use.live else None,
        "today": _day(utility, use.today, zone),
        "yesterday": _day(utility, use.yesterday, zone),
        "month_cost": None if use.month_cost is None else rounded(use.month_cost),
        "notes": list(use.notes),
    }


def _pattern(view: HouseholdView, utility: Utility, use: PlainUse) -> bytes:
    """Return an answer's JSON with a %d or %s for what differs between meters."""
    number, text, texts = "<number>", "<text>", "<texts>"
    zone = view.household.zone
    told = utility_json(utility, utility_view(view.truth, utility, use.live, zone, view.now_ms), zone)
    told["now"] |= {"rate": number, "register": number, "sent_at": text, "age_s": number}
    told["today"] |= {"counted_until": text, "usage": number}
    told["notes"] = texts
    days = [(told["today"], len(use.hours))]
    if use.month_cost is not None:
        told["month_cost"] = number
    if use.hours_before:
        told["yesterday"]["usage"] = number
        days.append((told["yesterday"], len(use.hours_before)))
    for day, hours in days:
        known = [hour for hour in day["hours"] if hour["usage"] is not None]
        assert len(known) == hours, "the short way and the long way tell the same hours"
        for hour in known:
            hour["usage"] = number
    written = orjson.dumps(told).replace(b"%", b"%%")
    written = written.replace(orjson.dumps(number), b"%d").replace(orjson.dumps(texts), b"%s")
    return written.replace(text.encode(), b"%s")


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


def _hours(usage: DayUsage) -> list[Json]:
    return [_hour(label, hour) for label, hour in zip(usage.day.labels, usage.hours, strict=True)]


def _hour(label: str, hour: Figure) -> Json:
    return {"from": label, "usage": hour.usage, "complete": hour.complete, "quality": hour.quality}


def _quality(view: HouseholdView) -> str | None:
    """Return how all figures of today and yesterday are known, together."""
    words: list[str | None] = []
    for use in view.utilities.values():
        if isinstance(use, PlainUse):
            words.append(Quality.MEASURED.word)
        else:
            words += [use.today.total.quality, use.yesterday.total.quality]
    return joint_quality(words)


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
