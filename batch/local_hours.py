"""The hours of UTC by a household's own clock: pure.

An hour belongs to the local day and hour in which its first instant lies. In a zone off the hour, such as
Asia/Kolkata, an hour of UTC thus counts whole as the local hour that it begins in.
"""

import dataclasses
import datetime
import functools
import zoneinfo

import numpy as np
import numpy.typing as npt

from batch.night import NightRefused
from infra.contracts.durations import HOUR_S

Ints = npt.NDArray[np.int64]
HOURS_A_NIGHT = 24
OPEN_DAY = 500_000  # in the year 3338: the end of what has none
_FIRST_ORDINAL = datetime.date(1970, 1, 1).toordinal()


@dataclasses.dataclass(frozen=True)
class LocalHours:
    """Consecutive hours of UTC; the arrays have an entry for each and are read-only."""

    day: Ints
    """The local day, in days since 1970."""
    hour: Ints
    """What the clock shows, 0 to 23; twice the same where it is turned back."""
    day_before: int
    """The local day of the hour before the first."""


def day_number(day: datetime.date) -> int:
    """Return a date in days since 1970."""
    return day.toordinal() - _FIRST_ORDINAL


def date_of(number: int) -> datetime.date:
    """Return the date of a number of days since 1970."""
    return datetime.date.fromordinal(number + _FIRST_ORDINAL)


def month_start(number: int) -> int:
    """Return the first day of a day's month, both in days since 1970."""
    return number - date_of(number).day + 1


@functools.lru_cache(maxsize=1_024)
def local_hours(zone: str, night: datetime.date, nights: int = 1) -> LocalHours:
    """Return the hours of `nights` UTC days in a row, from `night` on, by the clock of an IANA zone.

    :raises NightRefused: if there is no such zone.
    """
    try:
        info = zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise NightRefused(f"zone is unknown: {zone!r}; master data must name an IANA time zone") from None
    first = day_number(night) * HOURS_A_NIGHT
    clocks = [
        datetime.datetime.fromtimestamp(hour * HOUR_S, info)
        for hour in range(first - 1, first + nights * HOURS_A_NIGHT)
    ]
    day = np.array([day_number(clock.date()) for clock in clocks[1:]], np.int64)
    hour = np.array([clock.hour for clock in clocks[1:]], np.int64)
    day.flags.writeable = hour.flags.writeable = False
    return LocalHours(day, hour, day_number(clocks[0].date()))
