"""What a mean user uses in each hour, by utility, kind and zone: whole milli-units, pure.

A day's use is spread over local hours by a weight each, then moved by the season and, for a
business, by the weekday. The zone's offset is looked up once a UTC day.
"""

import datetime
import functools
import math
import zoneinfo

import numpy as np

from infra.contracts.durations import HOUR_MS
from infra.contracts.utility import Utility
from simulator.hashes import Ints
from simulator.regions import ZONES

_ORIGIN = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
_END = datetime.datetime(2036, 1, 1, tzinfo=datetime.UTC)
ORIGIN_HOUR = int(_ORIGIN.timestamp()) // 3_600
# Registers need the hours around a heartbeat, so the first and the last day are out of bounds.
FROM_MS_MIN = (ORIGIN_HOUR + 24) * HOUR_MS
TO_MS_MAX = (int(_END.timestamp()) // 3_600 - 24) * HOUR_MS

# Weights of the local hours 0 to 23.
_HOME_HOURS = {
    Utility.ELECTRICITY: (6, 5, 5, 5, 5, 6, 8, 10, 9, 8, 8, 8, 9, 9, 9, 10, 12, 15, 17, 17, 16, 14, 11, 8),
    Utility.GAS: (5, 5, 5, 5, 7, 11, 15, 14, 10, 8, 7, 7, 7, 7, 7, 8, 10, 13, 14, 13, 11, 9, 7, 6),
    Utility.WATER: (3, 2, 2, 2, 3, 7, 15, 18, 14, 10, 9, 9, 9, 8, 8, 9, 10, 13, 15, 14, 12, 10, 8, 5),
}
_BUSINESS_HOURS = {
    Utility.ELECTRICITY: (5, 5, 5, 5, 5, 6, 8, 12, 16, 18, 19, 19, 18, 19, 19, 18, 17, 14, 10, 8, 7, 6, 5, 5),
    Utility.GAS: (4, 4, 4, 4, 7, 12, 16, 17, 15, 13, 12, 12, 12, 12, 11, 11, 10, 8, 6, 5, 5, 4, 4, 4),
    Utility.WATER: (2, 2, 2, 2, 2, 4, 8, 13, 17, 18, 18, 19, 20, 18, 17, 16, 14, 10, 7, 5, 4, 3, 2, 2),
}
_DAY_MILLI = {Utility.ELECTRICITY: 29_000_000, Utility.GAS: 3_600_000, Utility.WATER: 900_000}
_WEEKDAY_PERMILLE = ((1_000,) * 7, (1_120, 1_120, 1_120, 1_120, 1_120, 800, 600))


class PeriodError(ValueError):
    """A period for which there are no load curves."""


def check_period(from_ms: int, to_ms: int) -> None:
    """Refuse a period the curves do not cover.

    :raises PeriodError: naming the instant and the bounds.
    """
    for word, at in (("from", from_ms), ("to", to_ms)):
        if not FROM_MS_MIN <= at <= TO_MS_MAX:
            instant = datetime.datetime.fromtimestamp(at / 1_000, datetime.UTC)
            raise PeriodError(
                f"--{word} is {instant:%Y-%m-%dT%H:%M:%SZ}, outside {_ORIGIN.year}..{_END.year - 1}, "
                "for which there are load curves. Choose an instant inside"
            )


@functools.cache
def use_until(utility: Utility) -> Ints:
    """Return [curve, hour since ORIGIN_HOUR]: milli-units a scale of one has used before that hour."""
    hours = (_END - _ORIGIN).days * 24
    totals = np.zeros((2 * len(ZONES), hours + 1), np.int64)
    for kind in (0, 1):
        for index, zone in enumerate(ZONES):
            np.cumsum(_hourly(utility, kind, zone), out=totals[kind * len(ZONES) + index, 1:])
    return totals


def _hourly(utility: Utility, kind: int, zone: str) -> Ints:
    """Return the milli-units of each UTC hour since the origin."""
    local = np.arange((_END - _ORIGIN).days * 24) + np.repeat(_offset_hours(zone), 24)
    weights = np.array((_HOME_HOURS, _BUSINESS_HOURS)[kind][utility])
    by_hour = _DAY_MILLI[utility] * weights // weights.sum()
    local_day = local // 24
    # The origin was a Monday.
    moved = np.array(_WEEKDAY_PERMILLE[kind])[local_day % 7] * _season_permille(utility)[local_day % 1_461]
    use: Ints = by_hour[local % 24] * moved // 1_000_000
    return use


@functools.cache
def _offset_hours(zone: str) -> Ints:
    """Return the zone's hours ahead of UTC at noon UTC of each day since the origin."""
    info = zoneinfo.ZoneInfo(zone)
    noons = (_ORIGIN + datetime.timedelta(days=day, hours=12) for day in range((_END - _ORIGIN).days))
    offsets = (noon.astimezone(info).utcoffset() or datetime.timedelta() for noon in noons)
    return np.array([int(offset.total_seconds()) // 3_600 for offset in offsets], np.int64)


@functools.cache
def _season_permille(utility: Utility) -> Ints:
    """Return the day's factor through four years: heating in January, cooling in July, gardens in summer."""
    season = []
    for day in range(1_461):
        year = math.cos(2 * math.pi * (day - 15) / 365.25)
        half_year = math.cos(4 * math.pi * (day - 15) / 365.25)
        season.append(
            {
                Utility.ELECTRICITY: 1_000 + 100 * half_year + 20 * year,
                # Heating falls away in summer; hot water stays.
                Utility.GAS: 250 + 2_000 * max(0.0, year + 0.1) ** 1.2,
                Utility.WATER: 1_000 - 50 * year,
            }[utility]
        )
    return np.array([round(value) for value in season], np.int64)
