"""Times of a zone: as the library of dates writes them, from parts that a minute's times share."""

import datetime
import zoneinfo

from hypothesis import given
from hypothesis import strategies as st

from serving.figures.local_days import exact_local_time, local_time, utc_time

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
