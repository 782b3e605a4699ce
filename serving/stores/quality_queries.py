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


def _users(column: str, utility: Utility) -> str:
    return f"SUM(IF(d.utility = '{utility.value}', d.{column}, 0)) AS {column}_{utility.value}"


_USERS = ", ".join(
    _users(column, utility) for column in ("users", "users_estimated") for utility in UTILITIES
)
_ASKED = f"(SELECT night FROM {NIGHTS_TABLE} WHERE night < %s ORDER BY night DESC LIMIT %s)"
# What regions tell of a night is read once for all sums.
_NIGHTS_SQL = f"""
    SELECT n.night, n.truth_until, n.published_at, n.users, n.heartbeats,
           n.electricity_wh, n.gas_litres, n.water_litres,
           n.electricity_estimated_wh, n.gas_estimated_litres, n.water_estimated_litres,
           n.restated_from, n.rows_checksum,
           sums.*
    FROM {_ASKED} AS asked JOIN {NIGHTS_TABLE} AS n ON n.night = asked.night
    LEFT JOIN (
        SELECT {_USERS}, d.night AS of_night
        FROM {_ASKED} AS some JOIN {REGION_DAYS_TABLE} AS d ON d.night = some.night GROUP BY d.night
    ) AS sums ON sums.of_night = n.night
    ORDER BY n.night DESC
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
        asked = (before or datetime.date.max, limit)
        rows = await self.ask(_NIGHTS_SQL, (*asked, *asked))
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
    usage, usage_estimated, of_users, of_users_estimated = (
        dict(zip(UTILITIES, (int(amount or 0) for amount in row[at : at + 3]), strict=True))
        for at in (5, 8, 13, 16)
    )
    return PublishedNight(
        *(night, ms(truth_until), ms(published_at), users, heartbeats, usage, usage_estimated),
        *(row[11], row[12], of_users, of_users_estimated),
    )
