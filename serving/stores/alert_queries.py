"""What alerts and explanations of a user rest on, out of MySQL: findings, hours, predecessors of figures."""

import asyncio
import datetime

from infra.contracts.nightly import (
    FINDINGS_TABLE,
    HOUSEHOLDS_TABLE,
    NIGHTS_TABLE,
    SUPERSEDED_TABLE,
    USAGE_DAYS_TABLE,
)
from infra.contracts.quality import Rule
from infra.contracts.utility import Utility
from serving.access.identity import OwnedUser
from serving.figures.alerts import NIGHTS, Finding, NightHours
from serving.figures.records import AlertNights, OfUser, Predecessor, PredecessorPlace
from serving.figures.usage_range import DateRange
from serving.stores.queries import HOURS, Queries, ms, ms_of_night, utc

FINDINGS_MAX = 500
_SINCE = f"(SELECT MAX(night) FROM {NIGHTS_TABLE}) - INTERVAL {NIGHTS} DAY"
_FINDINGS_SQL = f"""
    SELECT night, utility, rule, hour_from, hour_to, amount
    FROM {FINDINGS_TABLE} WHERE user_id = %s AND night > {_SINCE}
    ORDER BY night DESC LIMIT {FINDINGS_MAX}
"""
_NIGHTS_SQL = f"""
    SELECT (SELECT MAX(truth_until) FROM {NIGHTS_TABLE}),
           h.user_id, u.night, u.utility, {HOURS}, u.quality, u.last_sent_at
    FROM (SELECT %s AS user_id) AS asked
    LEFT JOIN {HOUSEHOLDS_TABLE} AS h ON h.user_id = asked.user_id
    LEFT JOIN {USAGE_DAYS_TABLE} AS u ON u.user_id = asked.user_id AND u.night > {_SINCE}
"""
_REVISIONS_SQL = f"""
    SELECT h.user_id, s.night, s.known_from, s.known_until, s.usage_total, u.usage_total, s.reason
    FROM (SELECT %s AS user_id) AS asked
    LEFT JOIN {HOUSEHOLDS_TABLE} AS h ON h.user_id = asked.user_id
    LEFT JOIN (
        SELECT user_id, night, utility, known_from, known_until, usage_total, reason FROM {SUPERSEDED_TABLE}
        WHERE user_id = %s AND night >= %s AND night < %s AND utility = %s AND (night > %s OR known_from > %s)
        ORDER BY night, known_from LIMIT %s
    ) AS s ON s.user_id = asked.user_id
    LEFT JOIN {USAGE_DAYS_TABLE} AS u
        ON u.night = s.night AND u.user_id = s.user_id AND u.utility = s.utility
    ORDER BY s.night, s.known_from
"""


class AlertQueries(Queries):
    """What was found and what was told before; see `TruthSource`."""

    async def alert_nights(self, user: OwnedUser) -> AlertNights:
        """See `TruthSource.alert_nights`."""
        found, rows = await asyncio.gather(
            self.ask(_FINDINGS_SQL, (user.user_id,)), self.ask(_NIGHTS_SQL, (user.user_id,))
        )
        findings = [
            Finding(ms_of_night(night), Utility(utility), Rule(rule), hour_from, hour_to, amount)
            for night, utility, rule, hour_from, hour_to, amount in found
        ]
        nights = [
            NightHours(
                ms_of_night(night), Utility(utility), tuple(map(int, hours.split(","))), quality, last_sent_at
            )
            for _, _, night, utility, hours, quality, last_sent_at in rows
            if night is not None
        ]
        until = rows[0][0]
        return AlertNights(rows[0][1] is not None, None if until is None else ms(until), findings, nights)

    async def revisions(
        self, user: OwnedUser, utility: Utility, dates: DateRange, after: PredecessorPlace | None, limit: int
    ) -> OfUser[Predecessor]:
        """See `TruthSource.revisions`."""
        place = after or PredecessorPlace(dates.start - datetime.timedelta(days=1), 0)
        rows = await self.ask(
            _REVISIONS_SQL,
            (
                *(user.user_id, user.user_id, max(dates.start, place.night), dates.end, utility.value),
                *(place.night, utc(place.known_from), limit),
            ),
        )
        found = [
            Predecessor(night, ms(known_from), ms(known_until), usage, usage_now, reason)
            for _, night, known_from, known_until, usage, usage_now, reason in rows
            if night is not None
        ]
        return OfUser(rows[0][0] is not None, found)
