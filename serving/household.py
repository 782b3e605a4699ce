"""The lambda equation: one household's usage from the nightly truth and the live state, as a pure function.

The usage of a period is register(end) - register(start). For a period that ends now this is
truth(period up to T) + (register now - register at T), with the one T of the snapshot: the register at
T cancels, so no heartbeat is counted twice and none is missed. The two layers never mix inside one register.
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from infra.contracts.live_state import LiveMeter, LiveState
from infra.contracts.utility import UTILITIES, Utility
from serving.local_days import LocalDay, days_at, local_time
from serving.registers import Layer, MeterRegisters, Register, Truth

# Twelve heartbeats missed: what is shown as now is then said to be old.
STALE_MS = 60_000


class UserNotFound(LookupError):  # noqa: N818 - the name says it
    """No store knows a user of this id."""


@dataclasses.dataclass(frozen=True)
class Household:
    """Master data of one user, as far as a page needs it."""

    kind: str | None
    name: str | None
    region: str | None
    region_name: str | None
    zone: str


class Figure(NamedTuple):
    """A usage in the utility's unit: what was counted, between which instants (ms), and by which layers."""

    usage: int | None
    counted_from: int
    counted_until: int
    complete: bool
    layers: tuple[Layer, ...] = ()
    gap: str | None = None  # why there is no usage, or less than the whole period


@dataclasses.dataclass(frozen=True)
class DayUsage:
    """A local day's usage; `hours` matches the day's hours one by one."""

    day: LocalDay
    total: Figure
    hours: tuple[Figure, ...]


@dataclasses.dataclass(frozen=True)
class UtilityView:
    """One utility of a household. `live` is None where nothing is known of now."""

    live: LiveMeter | None
    age_ms: int | None
    stale: bool
    today: DayUsage
    yesterday: DayUsage
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class HouseholdView:
    """What a page or a caller is told of one household at one instant."""

    user_id: int
    now_ms: int
    household: Household
    truth_until: int | None
    utilities: Mapping[Utility, UtilityView]


def view(
    user_id: int, household: Household, truth: Truth, live_state: LiveState | None, now_ms: int
) -> HouseholdView:
    """Return the household's view from what each layer knows; an empty truth or no live state is allowed.

    :raises zoneinfo.ZoneInfoNotFoundError: where the household's zone is none.
    """
    meters = live_state.meters if live_state else {}
    utilities = {
        utility: _utility_view(
            MeterRegisters(truth, utility, meters.get(utility)), meters.get(utility), household.zone, now_ms
        )
        for utility in UTILITIES
    }
    return HouseholdView(user_id, now_ms, household, truth.truth_until, utilities)


def usage_between(registers: MeterRegisters, start: int, end: int, zone: str) -> Figure:
    """Return the usage of [start, end), cut at the newest register known; instants in ms since 1970."""
    if registers.newest is None:
        return _unknown(start, end, "no register of this meter is known")
    newest_at, newest = registers.newest
    if newest_at <= start:
        live = newest.layer is Layer.LIVE
        return _unknown(start, end, "nothing heard yet" if live else "not published yet, and no live state")
    opening = registers.as_of(start)
    closed = newest_at >= end
    closing = registers.as_of(end) if newest_at > end else newest
    if opening is None or closing is None:
        unknown_at = local_time(start if opening is None else end, zone)
        return _unknown(start, end, f"register as of {unknown_at} is not known")
    if closed:
        return _difference(opening, closing, start, end, zone)
    figure = _difference(opening, closing, start, newest_at, zone)
    gap = figure.gap or f"nothing known after {local_time(newest_at, zone)}"
    return figure._replace(complete=False, gap=gap)


def _difference(opening: Register, closing: Register, start: int, until: int, zone: str) -> Figure:
    """Return the difference of two registers, from the meter's first heartbeat at the earliest."""
    counted_from, gap = start, None
    if opening.first_heard_at is not None:
        counted_from = opening.first_heard_at
        at = "at" if opening.layer is Layer.TRUTH else "in the hour from"
        heard = f"{at} {local_time(counted_from, zone)}"
        if until <= counted_from or closing.first_heard_at is not None:
            return _unknown(start, until, f"meter first heard {heard}, after this period")
        gap = f"meter first heard {heard}, counted from there"
    if closing.value < opening.value:
        return _unknown(start, until, "register went down: the meter was exchanged or rolled over")
    layers = (opening.layer,) if opening.layer is closing.layer else (Layer.TRUTH, Layer.LIVE)
    return Figure(closing.value - opening.value, counted_from, until, gap is None, layers, gap)


def _unknown(start: int, end: int, gap: str) -> Figure:
    return Figure(None, start, end, complete=False, gap=gap)


def _utility_view(registers: MeterRegisters, live: LiveMeter | None, zone: str, now_ms: int) -> UtilityView:
    today, yesterday = days_at(now_ms, zone)
    age_ms = max(0, now_ms - live.sent_at) if live else None
    stale = age_ms is None or age_ms > STALE_MS
    used_today = _until_now(_day_usage(registers, today, zone), now_ms)
    used_yesterday = _day_usage(registers, yesterday, zone)
    notes = _notes(registers, used_today, used_yesterday)
    return UtilityView(live, age_ms, stale, used_today, used_yesterday, notes)


def _day_usage(registers: MeterRegisters, day: LocalDay, zone: str) -> DayUsage:
    bounds = zip(day.hours, (*day.hours[1:], day.end), strict=True)
    hours = tuple(usage_between(registers, start, end, zone) for start, end in bounds)
    return DayUsage(day, usage_between(registers, day.start, day.end, zone), hours)


def _until_now(usage: DayUsage, now_ms: int) -> DayUsage:
    """Judge a day that is still running by the time it has run: complete if heard of just now."""
    total = usage.total
    if total.usage is None or total.complete:
        return usage
    fresh = now_ms - total.counted_until <= STALE_MS
    whole = total.counted_from == usage.day.start
    gap = None if fresh and whole else total.gap
    total = total._replace(complete=fresh and whole, gap=gap)
    return dataclasses.replace(usage, total=total)


def _notes(registers: MeterRegisters, today: DayUsage, yesterday: DayUsage) -> tuple[str, ...]:
    if not registers.known:
        return ("no heartbeat of this meter is known",)
    days = (("today", today), ("yesterday", yesterday))
    return tuple(f"{word}: {usage.total.gap}" for word, usage in days if usage.total.gap)
