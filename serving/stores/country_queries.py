"""Regions and the country over time out of MySQL."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.contracts.nightly import HOUR_COLUMNS, NIGHTS_TABLE, REGION_DAYS_TABLE, REGIONS_TABLE
from infra.contracts.utility import Utility
from serving.figures.disclosure import Users
from serving.figures.records import RegionDay
from serving.figures.regions import RegionMaster
from serving.figures.usage_range import DateRange
from serving.stores.queries import HOURS, Queries, Rows

ROWS_MAX = 50_000
_SUMS = f"CONCAT_WS(',', {', '.join(f'SUM(u.{column})' for column in HOUR_COLUMNS)})"
_REGIONS_SQL = f"SELECT region, name, zone FROM {REGIONS_TABLE}"
_USERS_SQL = f"""
    SELECT region, utility, users FROM {REGION_DAYS_TABLE}
    WHERE night = (SELECT MAX(night) FROM {NIGHTS_TABLE}) AND users > 0
"""
_REGION_DAYS_SQL = f"""
    SELECT u.night, u.region, u.users, u.users_estimated, u.usage_total, u.usage_estimated, {HOURS}
    FROM {REGION_DAYS_TABLE} AS u WHERE u.night >= %s AND u.night < %s AND u.utility = %s
    ORDER BY u.night, u.region LIMIT {ROWS_MAX}
"""
_COUNTRY_DAYS_SQL = f"""
    SELECT u.night, '', SUM(u.users), SUM(u.users_estimated), SUM(u.usage_total), SUM(u.usage_estimated),
           {_SUMS}
    FROM {REGION_DAYS_TABLE} AS u WHERE u.night >= %s AND u.night < %s AND u.utility = %s
    GROUP BY u.night ORDER BY u.night LIMIT {ROWS_MAX}
"""


class CountryQueries(Queries):
    """Regions and the country; see `TruthSource`."""

    async def regions(self) -> Mapping[str, RegionMaster]:
        """See `TruthSource.regions`."""
        rows = await self.ask(_REGIONS_SQL, ())
        return {code: RegionMaster(name, zone) for code, name, zone in rows}

    async def region_users(self) -> Users:
        """See `TruthSource.region_users`."""
        found: dict[str, dict[Utility, int]] = {}
        for code, utility, users in await self.ask(_USERS_SQL, ()):
            found.setdefault(code, {})[Utility(utility)] = users
        return found

    async def region_days(self, utility: Utility, dates: DateRange) -> Sequence[RegionDay]:
        """See `TruthSource.region_days`."""
        rows = await self.ask_wide(_REGION_DAYS_SQL, (dates.start, dates.end, utility.value))
        # Thousands of them: requests go on meanwhile.
        return await asyncio.to_thread(_days, rows)

    async def country_days(self, utility: Utility, dates: DateRange) -> Sequence[RegionDay]:
        """See `TruthSource.country_days`."""
        return _days(await self.ask_wide(_COUNTRY_DAYS_SQL, (dates.start, dates.end, utility.value)))


class Hours(Sequence[int]):
    """The hours of a day, read from their text when somebody looks: of most regions nobody does."""

    def __init__(self, text: str | bytes) -> None:
        # A text made of sums is bytes to the driver.
        self._text = text.decode() if isinstance(text, bytes) else text

    def __len__(self) -> int:
        return self._text.count(",") + 1

    def __iter__(self) -> Iterator[int]:
        return map(int, self._text.split(","))

    def __getitem__(self, at: Any) -> Any:
        return tuple(self)[at]


def _days(rows: Rows) -> list[RegionDay]:
    return [_day(row) for row in rows]


def _day(row: Sequence[Any]) -> RegionDay:
    night, region, *sums, hours = row
    users, users_estimated, usage, usage_estimated = map(int, sums)
    return RegionDay(night, region, users, users_estimated, usage, usage_estimated, Hours(hours))
