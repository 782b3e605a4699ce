"""The routes of all that is told of households, regions and nights, over the look-ups they ask."""

from fastapi import APIRouter

from serving.api import alerts, country, exports, invoices, operations, quality, usage
from serving.lookups.country import CountryLookup
from serving.lookups.exports import ExportLookup
from serving.lookups.load import LoadLookup
from serving.lookups.lookup import Lookup
from serving.lookups.operations import LetterSource, MetricsSource, OperationsLookup
from serving.lookups.usage import UsageLookup
from serving.lookups.user_lists import UserLists
from serving.stores.sources import LiveSource, TruthSource


def routers(
    lookup: Lookup,
    live: LiveSource,
    truth: TruthSource,
    metrics: MetricsSource,
    letters: LetterSource,
) -> list[APIRouter]:
    """Return the routers, in the order in which the OpenAPI document tells of them."""
    lists, usages = UserLists(lookup, live, truth), UsageLookup(lookup, truth)
    over_time = CountryLookup(lookup, truth)
    return [
        usage.routes(usages),
        exports.routes(ExportLookup(usages)),
        invoices.routes(lists),
        alerts.routes(lists),
        country.routes(over_time, LoadLookup(lookup, live, truth)),
        quality.routes(over_time, lookup.now),
        operations.routes(OperationsLookup(lookup, truth, metrics, letters)),
    ]
