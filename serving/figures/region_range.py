"""Usage of a region or the country over UTC days, from what was published: pure.

Which regions may be shown is judged night by night and utility by utility, by that night's users: what is
hidden in one answer is not to be had from another.
"""

import datetime
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.utility import Utility
from serving.figures.disclosure import OTHER, USERS_MIN, amount_of_many, disclosed
from serving.figures.records import RegionDay
from serving.figures.usage_range import DAY, By, DateRange

EPOCH = datetime.date(1970, 1, 1)


class RegionUsage(NamedTuple):
    """A span's usage; None where it is not published or not shown. What is estimated is told of whole days.

    Its amount is told of the country alone, and not where it is of few users: of regions it would be theirs,
    or follow from the country's less the other regions'.
    """

    start: int
    end: int
    usage: int | None
    users: int | None
    users_estimated: int | None = None
    usage_estimated: int | None = None


class RegionItems(NamedTuple):
    """The spans of a range, and on how many of its days the region, or the country, is not shown."""

    items: list[RegionUsage]
    days_hidden: int


def region_items(
    rows: Sequence[RegionDay], code: str, utility: Utility, by: By, dates: DateRange
) -> RegionItems:
    """Return one region's spans, or OTHER's, from a utility's days of all regions, ordered by night."""
    days: dict[datetime.date, RegionDay | None] = {}
    hidden_days = 0
    judged: dict[str, int] = {}
    _, hidden, untold = disclosed({})
    for night, of_night in itertools.groupby(rows, key=lambda row: row.night):
        by_code = {row.region: row for row in of_night}
        users = {region: row.users for region, row in by_code.items()}
        # Most nights have the users of the one before.
        if users != judged:
            judged = users
            _, hidden, untold = disclosed({region: {utility: count} for region, count in users.items()})
        if code == OTHER and not untold:
            days[night] = _sum(night, [by_code[region] for region in hidden])
        elif code in hidden or untold:
            hidden_days += 1
        else:
            day = by_code.get(code)
            days[night] = day and day._replace(usage_estimated=None)
    return RegionItems(list(_spans(days, by, dates)), hidden_days)


def country_items(rows: Sequence[RegionDay], by: By, dates: DateRange) -> RegionItems:
    """Return the country's spans from its days; one of few users is not shown."""
    told = {
        row.night: row._replace(usage_estimated=amount_of_many(row.users_estimated, row.usage_estimated))
        for row in rows
        if row.users >= USERS_MIN
    }
    hidden_days = sum(0 < row.users < USERS_MIN for row in rows)
    return RegionItems(list(_spans(told, by, dates)), hidden_days)


def _spans(days: Mapping[datetime.date, RegionDay | None], by: By, dates: DateRange) -> Iterator[RegionUsage]:
    night = dates.start
    while night < dates.end:
        start, day = (night - EPOCH).days * DAY_MS, days.get(night)
        if by is By.DAY:
            told = (day.usage, day.users, day.users_estimated, day.usage_estimated) if day else (None, None)
            yield RegionUsage(start, start + DAY_MS, *told)
        else:
            hours = day.hours if day else (None,) * 24
            users = day.users if day else None
            for hour, usage in enumerate(hours):
                at = start + hour * HOUR_MS
                yield RegionUsage(at, at + HOUR_MS, usage, users)
        night += DAY


def _sum(night: datetime.date, rows: Sequence[RegionDay]) -> RegionDay | None:
    if not rows:
        return None
    return RegionDay(
        night,
        OTHER,
        sum(row.users for row in rows),
        sum(row.users_estimated for row in rows),
        sum(row.usage for row in rows),
        None,
        tuple(map(sum, zip(*(row.hours for row in rows), strict=True))),
    )
