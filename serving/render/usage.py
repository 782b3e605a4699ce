"""Usage over a range as plain objects for JSON."""

from infra.contracts.invoices import rounded
from infra.contracts.utility import Utility
from serving.figures.household import Household
from serving.figures.local_days import local_time, utc_time
from serving.figures.summary import Summary
from serving.figures.usage_range import SpanUsage
from serving.lookups.lookup import KnownUser
from serving.lookups.usage import SummaryAnswer, UsageAnswer
from serving.render.household import Json, utc_or_none


def usage(answer: UsageAnswer) -> Json:
    """Return a page of a range in the shape of `shapes_usage.UsageRange`."""
    known = answer.known
    return {
        "user_id": answer.user_id,
        "utility": answer.utility.value,
        "unit": answer.utility.unit,
        "by": answer.by.value,
        "zone": known.household.zone,
        "from": str(answer.dates.start),
        "to": str(answer.dates.end),
        "currency": known.household.currency,
        **freshness(known),
        "notes": list(answer.notes),
        "items": [_item(item, known.household.zone) for item in answer.items],
        "next": answer.next,
    }


def summary(answer: SummaryAnswer) -> Json:
    """Return a household's summary in the shape of `shapes_usage.HouseholdSummary`."""
    household = answer.known.household
    return {
        "user_id": answer.user_id,
        "zone": household.zone,
        "currency": household.currency,
        **freshness(answer.known),
        "notes": list(answer.known.notes),
        "utilities": {
            utility.value: _summary(utility, found, household) for utility, found in answer.utilities.items()
        },
    }


def _summary(utility: Utility, found: Summary, household: Household) -> Json:
    month, so_far = found.month, found.so_far
    return {
        "unit": utility.unit,
        "so_far": {
            "until": local_time(so_far.until, household.zone),
            "today": so_far.today,
            "yesterday": so_far.yesterday,
            "same_day_last_week": so_far.week_ago,
        },
        "same_day_last_week": {"date": str(found.week_ago), "usage": found.week_ago_usage},
        "month": {
            "from": str(month.dates.start),
            "to": str(month.dates.end),
            "usage": month.usage.usage,
            "complete": month.usage.complete,
            "cost": None if month.cost_micro is None else rounded(month.cost_micro),
            "cost_forecast": None if month.forecast_micro is None else rounded(month.forecast_micro),
            "currency": household.currency,
            "days_counted": month.days_counted,
        },
    }


def freshness(known: KnownUser) -> Json:
    """Return what every answer about a user says of its sources."""
    return {
        "as_of": utc_time(known.now_ms),
        "truth_until": utc_or_none(known.truth.truth_until),
        "sources": {"redis": known.redis, "mysql": known.mysql},
    }


def _item(item: SpanUsage, zone: str) -> Json:
    figure, revision = item.figure, item.revision
    return {
        "from": local_time(item.span.start, zone),
        "to": local_time(item.span.end, zone),
        "usage": figure.usage,
        "complete": figure.complete,
        "quality": figure.quality,
        "usage_estimated": None if figure.usage is None else figure.estimated,
        "cost": None if item.cost_micro is None else rounded(item.cost_micro),
        "cost_micro": item.cost_micro,
        "cost_complete": item.cost_complete,
        "source": "+".join(figure.layers) or None,
        "revised_at": utc_or_none(revision.at if revision else None),
        "revised_reason": revision.reason if revision else None,
    }
