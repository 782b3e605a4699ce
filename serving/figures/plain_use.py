"""A utility of which whole measured hours tell all, as of nearly every one: today and yesterday as two lists.

They come to what two registers an hour do, for a small part of the work, and leave to those whatever is not
plain.
"""

import operator
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import LiveMeter
from infra.contracts.utility import Utility
from serving.figures.figure import heard_just_now
from serving.figures.gaps import counted_from_birth, nothing_after, unborn
from serving.figures.local_days import LocalDay
from serving.figures.truth import ALL_MEASURED, Layer, Truth, UsageDay

DAY_HOURS = DAY_MS // HOUR_MS


class PlainUse(NamedTuple):
    """The usage of each hour of today, the last up to the newest heartbeat, and of each hour of yesterday.

    A meter that was born today has its hours since then, and none of yesterday. `complete`: today's usage is
    all that there was until now.
    """

    live: LiveMeter
    hours: Sequence[int]
    hours_before: Sequence[int]
    month_cost: int | None  # micro-cents, see UtilityView
    complete: bool
    notes: tuple[str, ...]


def plain_use(
    truth: Truth,
    utility: Utility,
    live: LiveMeter | None,
    days: tuple[LocalDay, LocalDay],
    zone: str,
    now: int,
) -> PlainUse | None:
    """Return a utility's hours of today and yesterday, None where they do not tell all.

    `now` is in ms since 1970, `days` are those of that instant.
    """
    today, yesterday = days
    if live is None or (yesterday.start % HOUR_MS or today.start % HOUR_MS or today.end % HOUR_MS):
        return None
    newest_at = live.sent_at + 1
    if not today.start < newest_at < today.end or newest_at % HOUR_MS == 0:
        return None
    heard = heard_just_now(newest_at, now)
    if rows := truth.by_utility.get(utility):
        return _use_of_old(rows, truth.truth_until or 0, live, days, zone, heard)
    return _use_since_birth(truth.truth_until or 0, live, today, zone, heard)


def _use_of_old(
    rows: Mapping[int, UsageDay],
    until: int,
    live: LiveMeter,
    days: tuple[LocalDay, LocalDay],
    zone: str,
    heard: bool,
) -> PlainUse | None:
    """Return the use of a meter that was born before the first hour of `rows`."""
    today, yesterday = (day.start // HOUR_MS for day in days)
    first = until // HOUR_MS - len(rows) * DAY_HOURS
    # A meter may have been born in the first hour, so that a day which begins with it has more to tell.
    if not first < yesterday < today or live.sent_at < until:
        return None
    published = _hours_published(rows, until)
    if published is None:
        return None
    hours, register = published
    since = _hours_since(register, until // HOUR_MS, live)
    if since is None:
        return None
    hours += since
    if min(hours) < 0:
        return None
    notes = () if heard else (f"today: {nothing_after(live.sent_at + 1, zone)}",)
    before, running = hours[yesterday - first : today - first], hours[today - first :]
    month_cost = rows[until - DAY_MS].month_cost if until > days[0].month_start else 0
    return PlainUse(live, running, before, month_cost, heard, notes)


def _hours_published(rows: Mapping[int, UsageDay], until: int) -> tuple[list[int], int] | None:
    """Return the hours of rows that end with `until`, each measured, and the register that they lead to."""
    hours: list[int] = []
    night = until - len(rows) * DAY_MS
    register = next(iter(rows.values())).register_start
    for row in rows.values():
        odd = row.quality != ALL_MEASURED or row.register_offset or row.revision
        follows = row.night_ms == night and row.register_start == register
        if odd or not follows or row.first_sent_at is not None:
            return None
        hours += row.hours
        night += DAY_MS
        register += sum(row.hours)
    return hours, register


def _hours_since(register: int, until_hour: int, live: LiveMeter) -> list[int] | None:
    """Return the hours since a register, the one that runs as the last; below 0 where the dial fell."""
    running = live.sent_at // HOUR_MS
    # The first mark may be a meter's beginning, which is not the end of an hour.
    if not live.marks or live.first_hour >= until_hour:
        return None
    marks = live.marks[until_hour - live.first_hour : running - live.first_hour]
    if len(marks) < running - until_hour:
        return None
    return list(map(operator.sub, (*marks, live.register), (register, *marks)))


def _use_since_birth(until: int, live: LiveMeter, today: LocalDay, zone: str, heard: bool) -> PlainUse | None:
    """Return the use of a meter that live state alone knows, from its birth on."""
    born_at, marks = (live.first_hour + 1) * HOUR_MS, live.marks
    if live.marks_dropped or not marks or born_at < max(today.start, until):
        return None
    if len(marks) != live.sent_at // HOUR_MS - live.first_hour:
        return None
    hours = list(map(operator.sub, (*marks[1:], live.register), marks))
    if min(hours) < 0:
        return None
    notes: tuple[str, ...] = (f"yesterday: {unborn(Layer.LIVE, born_at, zone)}",)
    complete = heard and born_at == today.start
    if not complete:
        notes = (f"today: {counted_from_birth(Layer.LIVE, born_at, zone)}", *notes)
    return PlainUse(live, hours, (), None, complete, notes)
