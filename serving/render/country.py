"""Regions and the country over time, and nights, as plain objects for JSON."""

from collections.abc import Mapping, Sequence

from infra.contracts.live_state import LOAD_SLOT_MS
from infra.contracts.utility import UTILITIES, Utility
from serving.figures.disclosure import USERS_MIN, amount_of_many
from serving.figures.load import LoadPoint
from serving.figures.local_days import utc_time
from serving.figures.records import NightQuality, PublishedNight
from serving.lookups.country import STATES, RegionUsageAnswer
from serving.lookups.load import LoadAnswer
from serving.lookups.lookup import RegionsAnswer
from serving.render.household import Json, of_regions, region, utc_or_none
from serving.stores.sources import StoreState

FEW = f"amounts of fewer than {USERS_MIN} users are not told"


def region_now(answer: RegionsAnswer, code: str) -> Json:
    """Return one region in the shape of `shapes_country.RegionNow`."""
    return {**of_regions(answer), **region(answer, code)}


def usage(answer: RegionUsageAnswer) -> Json:
    """Return a page in the shape of `shapes_country.RegionUsage`, the country's in that of `CountryUsage`."""
    items = [
        {
            "from": utc_time(item.start),
            "to": utc_time(item.end),
            "usage": item.usage,
            "users": item.users,
            "users_estimated": item.users_estimated,
            "usage_estimated": item.usage_estimated,
        }
        for item in answer.items
    ]
    return {
        **({"region": answer.region} if answer.region else {}),
        "utility": answer.utility.value,
        "unit": answer.utility.unit,
        "by": answer.by.value,
        "from": str(answer.dates.start),
        "to": str(answer.dates.end),
        "as_of": utc_time(answer.now_ms),
        "truth_until": utc_or_none(answer.truth_until),
        "sources": STATES,
        "notes": list(answer.notes),
        "items": items,
        "next": answer.next,
    }


def load(answer: LoadAnswer) -> Json:
    """Return the country's load in the shape of `shapes_country.CountryLoad`."""
    return {
        "as_of": utc_time(answer.now_ms),
        "truth_until": utc_or_none(answer.truth_until),
        "sources": {"redis": StoreState.OK, "mysql": answer.mysql},
        "notes": list(answer.notes),
        "step_s": LOAD_SLOT_MS // 1000,
        "items": [_load_item(point) for point in answer.points],
        "forecast_from": str(answer.pattern.night) if answer.pattern else None,
        "forecast": [_load_item(point) for point in answer.forecast],
    }


def _load_item(point: LoadPoint) -> Json:
    rates = {utility.value: point.rates[utility] for utility in UTILITIES}
    return {"from": utc_time(point.start), **rates}


def nights(items: Sequence[PublishedNight], following: str | None, now_ms: int) -> Json:
    """Return a page of nights in the shape of `shapes_country.Nights`."""
    few = any(map(_few_users, items))
    return {
        **_of_nights(now_ms, few),
        "items": [night(one) for one in items],
        "next": following,
    }


def _of_nights(now_ms: int, few: bool) -> Json:
    """Return what every answer about nights says of its sources."""
    return {"as_of": utc_time(now_ms), "sources": STATES, "notes": [FEW] if few else []}


def night(one: PublishedNight) -> Json:
    """Return a night in the shape of `shapes_country.NightItem`."""
    return {
        "night": str(one.night),
        "truth_until": utc_time(one.truth_until),
        "published_at": utc_time(one.published_at),
        "users": one.users,
        "heartbeats": one.heartbeats,
        "usage": _amounts(one, one.usage, one.utility_users),
        "usage_estimated": _amounts(one, one.usage_estimated, one.utility_users_estimated),
        "restated_from": str(one.restated_from),
        # More than 53 bits, which a reader of JSON may not keep.
        "checksum": str(one.checksum),
    }


def _amounts(one: PublishedNight, amounts: Mapping[Utility, int], users: Mapping[Utility, int]) -> Json:
    """Return amounts of so many users by utility; none is that of few, or of a utility that few have."""
    return {
        utility.value: amount_of_many(users[utility], amounts[utility])
        if one.utility_users[utility] >= USERS_MIN
        else None
        for utility in UTILITIES
    }


def quality(one: PublishedNight, found: NightQuality, now_ms: int) -> Json:
    """Return a night's quality in the shape of `shapes_country.Quality`, without amounts of few users."""
    return {
        **night(one),
        **_of_nights(now_ms, _few(one, found)),
        "findings": [
            {
                "rule": rule.rule,
                "count": rule.found,
                "users": rule.users,
                "amount": amount_of_many(rule.users, rule.amount),
            }
            for rule in found.findings
        ],
        "reconciliation": [
            {
                "utility": count.utility.value,
                "winner": count.winner,
                "reason": count.reason,
                "rows": count.rows,
                "users": count.users,
                "difference_total": amount_of_many(count.users, count.difference),
            }
            for count in found.reconciliations
        ],
        "revised": [
            {"reason": count.reason, "rows": count.rows, "nights": count.nights} for count in found.revised
        ],
    }


def _few(one: PublishedNight, found: NightQuality) -> bool:
    counts = [
        *(rule.users for rule in found.findings),
        *(count.users for count in found.reconciliations),
    ]
    return _few_users(one) or any(users < USERS_MIN for users in counts)


def _few_users(one: PublishedNight) -> bool:
    return any(
        one.utility_users[utility] < USERS_MIN or 0 < one.utility_users_estimated[utility] < USERS_MIN
        for utility in UTILITIES
    )
