"""What a household's own past says of an hour: the mean of that wall-clock hour on days of its class.

Classes are workday, Saturday and Sunday; where none of the class was measured, any day has to do. Wall-clock
hours are the household's, so that a change of the clocks does not move its mornings.
"""

import datetime
import functools
import zoneinfo

import numpy as np
import numpy.typing as npt

from batch.vee.meter_days import HOURS, Flags, Ints

NIGHTS = 21
"""So many nights back there are three days of each class, if all were published."""
DAYS_MAX = 4
"""The mean is over so many of them, the newest first."""


def typical(history: Ints, measured: Flags, zones: npt.NDArray[np.str_], night: datetime.date) -> Ints:
    """Return the usage to expect [meter, 24] in the UTC hours of a night, -1 where the past is silent.

    `history` and `measured` are [meter, NIGHTS, 24]: usage in each hour of the nights before, the newest
    first, and whether it was measured.
    """
    expected = np.full((len(history), HOURS), -1, np.int64)
    for zone in np.unique(zones):
        rows = np.flatnonzero(zones == zone)
        for hour, (of_class, of_any) in enumerate(_alike(str(zone), night)):
            means = [
                _mean(history[rows][:, nights, hours], measured[rows][:, nights, hours])
                for nights, hours in (of_class, of_any)
            ]
            expected[rows, hour] = np.where(means[0] >= 0, means[0], means[1])
    return expected


def _mean(usage: Ints, measured: Flags) -> Ints:
    """Return each row's mean of its first DAYS_MAX measured figures, -1 if there are none."""
    counted = measured & (np.cumsum(measured, axis=1) <= DAYS_MAX)
    number = counted.sum(axis=1)
    total = np.where(counted, usage, 0).sum(axis=1)
    mean: Ints = np.where(number > 0, total // np.maximum(number, 1), -1)
    return mean


Alike = tuple[Ints, ...]


@functools.cache
def _alike(zone: str, night: datetime.date) -> tuple[tuple[Alike, Alike], ...]:
    """Return for each UTC hour of a night those of equal wall-clock hour: of its class of day, and of any.

    Each is the nights before, from 0, and beside them the UTC hours.
    """
    info = zoneinfo.ZoneInfo(zone)
    days = [night - datetime.timedelta(days=ago) for ago in range(NIGHTS + 1)]
    kinds = np.array([[_kind(info, day, hour) for hour in range(HOURS)] for day in days])
    found: list[tuple[Alike, Alike]] = []
    for kind, clock in kinds[0]:
        of_any = kinds[1:, :, 1] == clock
        of_class = of_any & (kinds[1:, :, 0] == kind)
        found.append((np.nonzero(of_class), np.nonzero(of_any)))
    return tuple(found)


def _kind(info: zoneinfo.ZoneInfo, day: datetime.date, hour: int) -> tuple[int, int]:
    """Return the class of day (0 workday, 1 Saturday, 2 Sunday) and the wall-clock hour of a UTC hour."""
    local = datetime.datetime(day.year, day.month, day.day, hour, tzinfo=datetime.UTC).astimezone(info)
    return max(0, local.weekday() - 4), local.hour
