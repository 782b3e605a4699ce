"""One user's range of nights out of MySQL, in one statement: one snapshot and one T for all its rows."""

import asyncio
import datetime
from collections.abc import Sequence
from typing import Any

from infra.contracts.nightly import (
    HOUSEHOLDS_TABLE,
    NIGHTS_TABLE,
    REGIONS_TABLE,
    SUPERSEDED_TABLE,
    USAGE_DAYS_TABLE,
)
from infra.contracts.utility import Utility
from serving.access.identity import OwnedUser
from serving.figures.household import Household
from serving.figures.truth import Revision, Truth, UsageDay
from serving.stores.queries import HOURS, Queries, Rows, ms, ms_of_night

_COLUMNS = f"""
    SELECT (SELECT MAX(truth_until) FROM {NIGHTS_TABLE}),
           h.user_id, h.kind, h.name, h.region, r.name, h.zone, h.currency,
           n.night, u.utility, u.register_start, u.register_end, u.first_sent_at, {HOURS},
           u.quality, u.register_offset, u.month_cost, s.known_until, s.reason, u.price_steps
    FROM (SELECT %s AS user_id) AS asked
    LEFT JOIN {HOUSEHOLDS_TABLE} AS h ON h.user_id = asked.user_id
    LEFT JOIN {REGIONS_TABLE} AS r ON r.region = h.region
"""
_REVISIONS = f"""
    LEFT JOIN {SUPERSEDED_TABLE} AS s
        ON s.user_id = u.user_id AND s.night = u.night AND s.utility = u.utility
        AND s.known_from = (
            SELECT MAX(p.known_from) FROM {SUPERSEDED_TABLE} AS p
            WHERE p.user_id = u.user_id AND p.night = u.night AND p.utility = u.utility
        )
"""
# The newest night goes with every range: its register is that as of T.
_USAGE_SQL = f"""
    {_COLUMNS}
    LEFT JOIN (
        SELECT night FROM {NIGHTS_TABLE} WHERE night BETWEEN %s AND %s
        UNION SELECT MAX(night) FROM {NIGHTS_TABLE}
    ) AS n ON n.night IS NOT NULL
    LEFT JOIN {USAGE_DAYS_TABLE} AS u ON u.night = n.night AND u.user_id = asked.user_id AND u.utility = %s
    {_REVISIONS}
"""
NEAR_DAYS_MAX = 62


class UsageQueries(Queries):
    """A user's household and usage of a range; see `TruthSource`."""

    async def usage(
        self, user: OwnedUser, utility: Utility, first: datetime.date, last: datetime.date
    ) -> tuple[Household | None, Truth]:
        """See `TruthSource.usage`."""
        # Years of one user are no reason for others to wait, nor to think that MySQL is away.
        parameters = (user.user_id, first, last, utility.value)
        if (last - first).days <= NEAR_DAYS_MAX:
            rows = await self.ask(_USAGE_SQL, parameters)
            return _household(rows[0]), _truth(rows)
        rows = await self.ask_wide(_USAGE_SQL, parameters)
        return _household(rows[0]), await asyncio.to_thread(_truth, rows)


def _household(row: Sequence[Any]) -> Household | None:
    _, user_id, kind, name, region, region_name, zone, currency = row[:8]
    return None if user_id is None else Household(kind, name, region, region_name, zone, currency)


def _truth(rows: Rows) -> Truth:
    until = rows[0][0]
    return Truth(
        truth_until=None if until is None else ms(until),
        nights=frozenset(ms_of_night(row[8]) for row in rows if row[8] is not None),
        rows=tuple(_usage_day(row) for row in rows if row[9] is not None),
    )


def _usage_day(row: Sequence[Any]) -> UsageDay:
    night, utility, register_start, register_end, first_sent_at, hours = row[8:14]
    quality, register_offset, month_cost, revised_at, reason, price_steps = row[14:]
    return UsageDay(
        night_ms=ms_of_night(night),
        utility=Utility(utility),
        register_start=register_start,
        register_end=register_end,
        first_sent_at=first_sent_at,
        hours=tuple(map(int, hours.split(","))),
        quality=quality,
        register_offset=register_offset,
        month_cost=month_cost,
        revision=None if revised_at is None else Revision(ms(revised_at), reason),
        price_steps=price_steps,
    )
