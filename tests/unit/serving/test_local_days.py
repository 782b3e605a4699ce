"""Times of a zone: as the library of dates writes them, from parts that a minute's times share."""

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_builders import instant

from serving.figures.local_days import at_clock, exact_local_time, local_clock, local_time, utc_time

ZONES = [
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "UTC",
]
INSTANTS = st.integers(94_694_400_000, 4_102_444_800_000)  # 1973 to 2100


def written(instant: int, zone: datetime.tzinfo, timespec: str) -> str:
    seconds, ms = divmod(instant, 1000)
    local = datetime.datetime.fromtimestamp(seconds, zone).replace(microsecond=ms * 1000)
    return local.isoformat(timespec=timespec)


@given(INSTANTS, st.sampled_from(ZONES))
def test_local_times_are_those_of_the_library(instant: int, zone: str) -> None:
    exact = written(instant, zoneinfo.ZoneInfo(zone), "milliseconds" if instant % 1000 else "seconds")

    assert local_time(instant, zone) == written(instant, zoneinfo.ZoneInfo(zone), "seconds")
    assert exact_local_time(instant, zone) == exact


@given(INSTANTS)
def test_utc_times_are_those_of_the_library(instant: int) -> None:
    assert utc_time(instant) == written(instant, datetime.UTC, "milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("zone", "at", "hours"),
    [
        ("America/New_York", "2026-11-01T01:00-04:00", 1),
        ("America/New_York", "2026-11-01T01:00-05:00", 2),
        ("America/New_York", "2026-11-01T02:00-05:00", 2),
        ("Asia/Beirut", "2025-10-25T23:00+02:00", 24),
    ],
)
def test_the_clock_of_an_hour_that_is_repeated_is_the_next_one(zone: str, at: str, hours: int) -> None:
    assert local_clock(instant(at), zone) == datetime.timedelta(hours=hours)


@pytest.mark.parametrize(
    ("date", "hours", "at"),
    [
        (datetime.date(2026, 11, 1), 1, "2026-11-01T01:00-04:00"),
        (datetime.date(2026, 11, 1), 2, "2026-11-01T02:00-05:00"),
        (datetime.date(2026, 11, 1), 24, "2026-11-02T00:00-05:00"),
        (datetime.date(2027, 3, 14), 2, "2027-03-14T03:00-04:00"),
        (datetime.date(2027, 3, 14), 3, "2027-03-14T03:00-04:00"),
    ],
)
def test_a_clock_shows_a_time_first_or_skips_it(date: datetime.date, hours: int, at: str) -> None:
    assert at_clock(date, datetime.timedelta(hours=hours), "America/New_York") == instant(at)
