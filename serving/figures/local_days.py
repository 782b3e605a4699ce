"""Days as a household lives them: in its own zone, with 23, 24 or 25 hours."""

import dataclasses
import datetime
import functools
import zoneinfo

from infra.contracts.durations import HOUR_MS

MINUTE_MS = 60_000


@dataclasses.dataclass(frozen=True)
class LocalDay:
    """A calendar day of a zone: its date, half-open [start, end) in ms since 1970, and its hours' starts.

    `start_time`, `end_time` and `labels`, of each hour's start, are local ISO 8601 times with offset;
    `month_start` is when its month began.
    """

    date: str
    start: int
    end: int
    hours: tuple[int, ...]
    labels: tuple[str, ...]
    start_time: str
    end_time: str
    month_start: int


def days_at(instant: int, zone: str) -> tuple[LocalDay, LocalDay]:
    """Return today and yesterday as they are at an instant in a zone.

    :raises zoneinfo.ZoneInfoNotFoundError: where the zone is none.
    """
    today = local_date(instant, zone)
    return local_day(today, zone), local_day(today - datetime.timedelta(days=1), zone)


@functools.lru_cache(maxsize=1_024)
def local_day(date: datetime.date, zone: str) -> LocalDay:
    """Return a zone's calendar day. A midnight that the clock skips is the instant of the skip."""
    start, end = midnight(date, zone), midnight(date + datetime.timedelta(days=1), zone)
    hours = tuple(range(start, end, HOUR_MS))
    labels = tuple(local_time(hour, zone) for hour in hours)
    return LocalDay(
        date.isoformat(),
        start,
        end,
        hours,
        labels,
        local_time(start, zone),
        local_time(end, zone),
        midnight(date.replace(day=1), zone),
    )


def local_date(instant: int, zone: str) -> datetime.date:
    """Return the date that an instant has in a zone.

    :raises zoneinfo.ZoneInfoNotFoundError: where the zone is none.
    """
    return datetime.datetime.fromtimestamp(instant / 1000, zone_info(zone)).date()


def local_time(instant: int, zone: str) -> str:
    """Return an instant (since 1973) as local ISO 8601 time with offset, to the second."""
    within_minute = instant % MINUTE_MS
    begin, end = _local_minute(instant - within_minute, zone)
    return f"{begin}{within_minute // 1000:02}{end}"


def exact_local_time(instant: int, zone: str) -> str:
    """Return an instant (since 1973) as local ISO 8601 time with offset, to the millisecond if it has any."""
    second, ms = divmod(instant % MINUTE_MS, 1000)
    begin, end = _local_minute(instant - instant % MINUTE_MS, zone)
    return f"{begin}{second:02}.{ms:03}{end}" if ms else f"{begin}{second:02}{end}"


@functools.lru_cache(maxsize=4_096)
def _local_minute(minute: int, zone: str) -> tuple[str, str]:
    """Return what the times of a minute have before and after their seconds.

    Since 1973 every zone differs from UTC by whole minutes.
    """
    local = datetime.datetime.fromtimestamp(minute // 1000, zone_info(zone))
    text = local.isoformat(timespec="seconds")
    return text[:17], text[19:]


def utc_time(instant: int) -> str:
    """Return an instant as ISO 8601 time in UTC, ending in Z, to the millisecond."""
    second, ms = divmod(instant % MINUTE_MS, 1000)
    begin, _ = _local_minute(instant - instant % MINUTE_MS, "UTC")
    return f"{begin}{second:02}.{ms:03}Z"


@functools.lru_cache(maxsize=1_024)
def zone_info(zone: str) -> zoneinfo.ZoneInfo:
    """Return a zone by its IANA name.

    :raises zoneinfo.ZoneInfoNotFoundError: where there is none of that name.
    """
    try:
        return zoneinfo.ZoneInfo(zone)
    except (ValueError, OSError) as error:
        raise zoneinfo.ZoneInfoNotFoundError(f"zone is unknown: {zone!r}") from error


@functools.lru_cache(maxsize=4_096)
def midnight(date: datetime.date, zone: str) -> int:
    """Return the instant (ms since 1970) at which a zone's calendar day begins.

    :raises zoneinfo.ZoneInfoNotFoundError: where the zone is none.
    """
    return at_clock(date, datetime.timedelta(), zone)


def local_clock(instant: int, zone: str) -> datetime.timedelta:
    """Return the hours that a zone's clock shows; while it repeats one, what it shows an hour later.

    A day that is over until then is so held against as many hours of a day that has each hour once.
    """
    local = datetime.datetime.fromtimestamp(instant / 1000, zone_info(zone))
    shown = datetime.timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    return shown + datetime.timedelta(hours=local.fold)


def at_clock(date: datetime.date, clock: datetime.timedelta, zone: str) -> int:
    """Return the instant (ms since 1970) at which a date's clock first shows some hours, or skips them."""
    shown = datetime.datetime.combine(date, datetime.time()) + clock
    return round(shown.replace(tzinfo=zone_info(zone)).timestamp()) * 1000
