"""Published nights, and what validation and reconciliation came to in one, out of MySQL."""

import asyncio
import datetime
from collections.abc import Sequence
from typing import Any

from infra.contracts.nightly import (
    FINDINGS_TABLE,
    NIGHTS_TABLE,
    RECONCILIATIONS_TABLE,
    REGION_DAYS_TABLE,
    SUPERSEDED_TABLE,
)
from infra.contracts.utility import UTILITIES, Utility
from serving.figures.records import NightQuality, PublishedNight, ReconciliationCount, RevisedCount, RuleCount
from serving.stores.queries import Queries, ms

GROUPS_MAX = 500


def _users(utility: Utility) -> str:
    return f"""(
        SELECT COALESCE(SUM(d.users), 0) FROM {REGION_DAYS_TABLE} AS d
        WHERE d.night = n.night AND d.utility = '{utility.value}'
    )"""


_NIGHTS_SQL = f"""
    SELECT night, truth_until, published_at, users, heartbeats, electricity_wh, gas_litres, water_litres,
           electricity_estimated_wh, gas_estimated_litres, water_estimated_litres,
           restated_from, rows_checksum, {", ".join(map(_users, UTILITIES))}
    FROM {NIGHTS_TABLE} AS n WHERE night < %s ORDER BY night DESC LIMIT %s
"""
_FINDINGS_SQL = f"""
    SELECT rule, COUNT(*), COUNT(DISTINCT user_id), SUM(amount)
    FROM {FINDINGS_TABLE} WHERE night = %s GROUP BY rule ORDER BY rule LIMIT {GROUPS_MAX}
"""
_SPREAD = """
    GREATEST(usage_batch, COALESCE(usage_stream, usage_batch), COALESCE(usage_read, usage_batch))
    - LEAST(usage_batch, COALESCE(usage_stream, usage_batch), COALESCE(usage_read, usage_batch))
"""
_RECONCILIATIONS_SQL = f"""
    SELECT utility, winner, reason, COUNT(*), COUNT(DISTINCT user_id), SUM({_SPREAD})
    FROM {RECONCILIATIONS_TABLE} WHERE night = %s
    GROUP BY utility, winner, reason ORDER BY utility, winner, reason LIMIT {GROUPS_MAX}
"""
_REVISED_SQL = f"""
    SELECT reason, COUNT(*), COUNT(DISTINCT night)
    FROM {SUPERSEDED_TABLE} WHERE night_by = %s GROUP BY reason ORDER BY reason LIMIT {GROUPS_MAX}
"""


class QualityQueries(Queries):
    """Published nights; see `TruthSource`."""

    async def nights(self, before: datetime.date | None, limit: int) -> Sequence[PublishedNight]:
        """See `TruthSource.nights`."""
        rows = await self.ask(_NIGHTS_SQL, (before or datetime.date.max, limit))
        return [_night(row) for row in rows]

    async def night_quality(self, night: datetime.date) -> NightQuality:
        """See `TruthSource.night_quality`."""
        findings, reconciliations, revised = await asyncio.gather(
            *(self.ask_wide(sql, (night,)) for sql in (_FINDINGS_SQL, _RECONCILIATIONS_SQL, _REVISED_SQL))
        )
        return NightQuality(
            [RuleCount(rule, count, users, int(amount)) for rule, count, users, amount in findings],
            [
                ReconciliationCount(Utility(utility), winner, reason, rows, users, int(difference))
                for utility, winner, reason, rows, users, difference in reconciliations
            ],
            [RevisedCount(*row) for row in revised],
        )


def _night(row: Sequence[Any]) -> PublishedNight:
    night, truth_until, published_at, users, heartbeats = row[:5]
    usage, estimated = (dict(zip(UTILITIES, row[at : at + 3], strict=True)) for at in (5, 8))
    by_utility = {utility: int(count) for utility, count in zip(UTILITIES, row[13:], strict=True)}
    return PublishedNight(
        *(night, ms(truth_until), ms(published_at), users, heartbeats, usage, estimated),
        *(row[11], row[12], by_utility),
    )
