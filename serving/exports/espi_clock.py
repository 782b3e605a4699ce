"""A zone's daylight saving time as ESPI encodes it: one rule of 32 bits for its start, one for its end.

Source: the type DstRuleType of NAESB's schema of REQ.21 ESPI, version 4.0 (espi.xsd), and the Green Button
Alliance's note on daylight saving time. From the lowest bit: seconds of the hour (12 bits), hour (5), day of
the week (3; Monday 1), day of the month (5), operator (3), month (4). Operators: 0 on the day of the month;
1 on the day of the week on or after it; 2 to 6 on the first to fifth such day of the week; 7 on the last.
Every bit set: there is no daylight saving time. The time is what the clock shows until it is changed.
"""

import dataclasses
import datetime
import functools

from serving.figures.local_days import zone_info

NO_RULE = 0xFFFF_FFFF
ON_THE_DAY, FIRST_WEEKDAY, LAST_WEEKDAY = 0, 2, 7
# A rule is one that holds in all of these; a table of single dates does not.
YEARS = 12
DAY = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class ClockRules:
    """A zone's clock: offset from UTC in winter, what summer adds, and when it begins and ends."""

    offset_s: int
    dst_offset_s: int
    dst_start_rule: int
    dst_end_rule: int


@functools.lru_cache(maxsize=256)
def clock_rules(zone: str, year: int) -> ClockRules:
    """Return a zone's rules as they are in a year.

    :raises zoneinfo.ZoneInfoNotFoundError: where the zone is none.
    """
    changes = _changes(zone, year)
    if len(changes) != 2:
        # No daylight saving time, or an offset that was set anew by law in that year.
        return ClockRules(
            _offset_s(zone, datetime.datetime(year, 12, 31, tzinfo=datetime.UTC)), 0, NO_RULE, NO_RULE
        )
    start, end = sorted(changes, key=lambda change: change.before_s)
    years = [_changes(zone, later) for later in range(year, year + YEARS)]
    starts = [min(two, key=lambda change: change.before_s).wall for two in years if len(two) == 2]
    ends = [max(two, key=lambda change: change.before_s).wall for two in years if len(two) == 2]
    return ClockRules(start.before_s, end.before_s - start.before_s, _rule(starts), _rule(ends))


@dataclasses.dataclass(frozen=True)
class _Change:
    """A change of the clock: what it shows until then, and its offset from UTC until then."""

    wall: datetime.datetime
    before_s: int


def _changes(zone: str, year: int) -> list[_Change]:
    """Return the changes of a zone's clock in a UTC year."""
    day, end = (datetime.datetime(one, 1, 1, tzinfo=datetime.UTC) for one in (year, year + 1))
    changes = []
    while day < end:
        before_s = _offset_s(zone, day)
        if _offset_s(zone, day + DAY) != before_s:
            at = _instant_of_change(zone, day, day + DAY)
            changes.append(
                _Change((at + datetime.timedelta(seconds=before_s)).replace(tzinfo=None), before_s)
            )
        day += DAY
    return changes


def _instant_of_change(zone: str, low: datetime.datetime, high: datetime.datetime) -> datetime.datetime:
    """Return the first second of the new offset, between an instant of the old one and one of the new."""
    before_s = _offset_s(zone, low)
    while high - low > datetime.timedelta(seconds=1):
        middle = low + datetime.timedelta(seconds=(high - low) // datetime.timedelta(seconds=2))
        low, high = (middle, high) if _offset_s(zone, middle) == before_s else (low, middle)
    return high


def _offset_s(zone: str, at: datetime.datetime) -> int:
    offset = at.astimezone(zone_info(zone)).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())


def _rule(walls: list[datetime.datetime]) -> int:
    """Return the rule that holds of all these instants, or else the day of the first one."""
    first = walls[0]
    same = all(
        (one.month, one.weekday(), one.time()) == (first.month, first.weekday(), first.time())
        for one in walls
    )
    ordinals = {(one.day - 1) // 7 for one in walls}
    if same and all((one + 7 * DAY).month != one.month for one in walls):
        operator, weekday, day = LAST_WEEKDAY, first.isoweekday(), 0
    elif same and len(ordinals) == 1:
        operator, weekday, day = FIRST_WEEKDAY + ordinals.pop(), first.isoweekday(), 0
    else:
        operator, weekday, day = ON_THE_DAY, 0, first.day
    seconds = first.minute * 60 + first.second
    return seconds | first.hour << 12 | weekday << 17 | day << 20 | operator << 25 | first.month << 28
