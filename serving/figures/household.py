"""The lambda equation: one household's usage from the nightly truth and the live state, as a pure function.

The usage of a period is register(end) - register(start). For a period that ends now this is
truth(period up to T) + (register now - register at T), with the one T of the snapshot: the register at
T cancels, so no heartbeat is counted twice and none is missed. The two layers never mix inside one register.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from infra.contracts.durations import HOUR_MS
from infra.contracts.live_state import LiveMeter, LiveState
from infra.contracts.quality import Quality
from infra.contracts.utility import UTILITIES, Utility
from serving.figures.figure import STALE_MS, Figure, judged_now
from serving.figures.gaps import NOTHING_YET, counted_from_birth, nothing_after, unborn
from serving.figures.local_days import LocalDay, days_at, local_time
from serving.figures.plain_use import PlainUse, plain_use
from serving.figures.registers import MeterRegisters, Register
from serving.figures.truth import Layer, Revision, Truth

# The quality of a figure whose hours are not all known in the same way.
MIXED = "mixed"
WORDS: Mapping[str, str] = {quality.value: quality.word for quality in Quality}


class UserNotFound(LookupError):  # noqa: N818 - the name says it
    """No store knows a user of this id."""


class Household(NamedTuple):
    """Master data of one user, as far as a page needs it."""

    kind: str | None
    name: str | None
    region: str | None
    region_name: str | None
    zone: str
    currency: str | None = None


class DayUsage(NamedTuple):
    """A local day's usage; `hours` matches the day's hours one by one.

    `revision` is the latest of any row that covers the day, counted or not.
    """

    day: LocalDay
    total: Figure
    hours: Sequence[Figure]
    revision: Revision | None = None


class UtilityView(NamedTuple):
    """One utility of a household. `live` is None where nothing is known of now.

    `month_cost` is the energy of the local month up to T in micro-cents, None where that is not published.
    """

    live: LiveMeter | None
    age_ms: int | None
    stale: bool
    today: DayUsage
    yesterday: DayUsage
    notes: tuple[str, ...]
    month_cost: int | None = None


class HouseholdView(NamedTuple):
    """What a page or a caller is told of one household at one instant.

    A plain use is told by a pattern of what `utility_view` tells of another one, which is made of `truth`.
    """

    user_id: int
    now_ms: int
    household: Household
    truth: Truth
    utilities: Mapping[Utility, PlainUse | UtilityView]


def view(
    user_id: int, household: Household, truth: Truth, live_state: LiveState | None, now_ms: int
) -> HouseholdView:
    """Return the household's view from what each layer knows; an empty truth or no live state is allowed.

    :raises zoneinfo.ZoneInfoNotFoundError: where the household's zone is none.
    """
    meters = live_state.meters if live_state else {}
    days = days_at(now_ms, household.zone)

    def use(utility: Utility) -> PlainUse | UtilityView:
        live = meters.get(utility)
        plain = plain_use(truth, utility, live, days, household.zone, now_ms)
        return plain or utility_view(truth, utility, live, household.zone, now_ms)

    return HouseholdView(user_id, now_ms, household, truth, {utility: use(utility) for utility in UTILITIES})


def utility_view(
    truth: Truth, utility: Utility, live: LiveMeter | None, zone: str, now_ms: int
) -> UtilityView:
    """Return one utility's view, whatever the layers know of it.

    :raises zoneinfo.ZoneInfoNotFoundError: where the zone is none.
    """
    registers = MeterRegisters(truth, utility, live)
    today, yesterday = (_day_usage(registers, day, zone) for day in days_at(now_ms, zone))
    today = _until_now(today, now_ms)
    notes = _notes(registers.known, today, yesterday)
    age_ms = max(0, now_ms - live.sent_at) if live else None
    stale = age_ms is None or age_ms > STALE_MS
    month_cost = registers.month_cost_since(today.day.month_start)
    return UtilityView(live, age_ms, stale, today, yesterday, notes, month_cost)


def usage_between(registers: MeterRegisters, start: int, end: int, zone: str) -> Figure:
    """Return the usage of [start, end), cut at the newest register known; instants in ms since 1970."""
    if registers.newest is None:
        return _unknown(start, end, "no register of this meter is known")
    newest_at, newest = registers.newest
    if newest_at <= start:
        live = newest.layer is Layer.LIVE
        return _unknown(start, end, NOTHING_YET if live else "not published yet, and no live state")
    opening = registers.as_of(start)
    closed = newest_at >= end
    closing = registers.as_of(end) if newest_at > end else newest
    if opening is None or closing is None:
        unknown_at = local_time(start if opening is None else end, zone)
        return _unknown(start, end, f"register as of {unknown_at} is not known")
    if opening.falls != closing.falls:
        return _until_fall(registers, opening, start, end, zone)
    if closed:
        return _difference(registers, opening, closing, start, end, zone)
    figure = _difference(registers, opening, closing, start, newest_at, zone)
    gap = figure.gap or nothing_after(newest_at, zone)
    return figure._replace(complete=False, gap=gap)


def _until_fall(registers: MeterRegisters, opening: Register, start: int, end: int, zone: str) -> Figure:
    """Return the usage up to the last register that was known before the dial fell."""
    until = registers.before_fall(opening.falls)
    closing = registers.as_of(until)
    gap = f"register fell after {local_time(until, zone)}"
    if registers.known_as(until - HOUR_MS, until).letters == {Quality.PROJECTED}:
        gap = f"register as of {local_time(until, zone)} was projected too high"
    gap += ", known again after the next night"
    if until <= start or closing is None:
        return _unknown(start, end, gap)
    return _difference(registers, opening, closing, start, until, zone)._replace(complete=False, gap=gap)


def _difference(
    registers: MeterRegisters, opening: Register, closing: Register, start: int, until: int, zone: str
) -> Figure:
    """Return the difference of two registers, from the meter's first heartbeat at the earliest."""
    counted_from, gap = start, None
    if opening.first_heard_at is not None:
        counted_from = opening.first_heard_at
        if until <= counted_from or closing.first_heard_at is not None:
            return _unknown(start, until, unborn(opening.layer, counted_from, zone))
        gap = counted_from_birth(opening.layer, counted_from, zone)
    if closing.value < opening.value:
        return _unknown(start, until, "register fell in between, known again after the next night")
    layers = (opening.layer,) if opening.layer is closing.layer else (Layer.TRUTH, Layer.LIVE)
    known = registers.known_as(counted_from, until)
    return Figure(
        closing.value - opening.value,
        counted_from,
        until,
        gap is None,
        layers,
        gap,
        joint_quality(WORDS[letter] for letter in known.letters),
        known.estimated,
    )


def joint_quality(words: Iterable[str | None]) -> str | None:
    """Return the word that all share, MIXED where they differ, None without any; None is no word."""
    distinct = {word for word in words if word is not None}
    return distinct.pop() if len(distinct) == 1 else MIXED if distinct else None


def _unknown(start: int, end: int, gap: str) -> Figure:
    return Figure(None, start, end, complete=False, gap=gap)


def _day_usage(registers: MeterRegisters, day: LocalDay, zone: str) -> DayUsage:
    revision = max(registers.revisions(day.start, day.end), key=lambda one: one.at, default=None)
    bounds = zip(day.hours, (*day.hours[1:], day.end), strict=True)
    # A day that the clock cuts at a fraction of an hour has hours that are none.
    whole = (day.end - day.start) % HOUR_MS == 0
    known = registers.plain_hours(day.hours) if whole else {}

    def figure(start: int, end: int) -> Figure:
        if start in known:
            return _plain_figure(start, known[start])
        return usage_between(registers, start, end, zone)

    hours = tuple(figure(start, end) for start, end in bounds)
    return DayUsage(day, usage_between(registers, day.start, day.end, zone), hours, revision)


def _plain_figure(start: int, hour: tuple[int, str, Layer]) -> Figure:
    usage, letter, layer = hour
    estimated = 0 if letter == Quality.MEASURED else usage
    return Figure(usage, start, start + HOUR_MS, True, (layer,), None, WORDS[letter], estimated)


def _until_now(usage: DayUsage, now_ms: int) -> DayUsage:
    total = judged_now(usage.total, usage.day.start, now_ms)
    return usage if total is usage.total else DayUsage(usage.day, total, usage.hours, usage.revision)


def _notes(known: bool, today: DayUsage, yesterday: DayUsage) -> tuple[str, ...]:
    if not known:
        return ("no heartbeat of this meter is known",)
    if not today.total.gap and not yesterday.total.gap:
        return ()
    days = (("today", today), ("yesterday", yesterday))
    return tuple(f"{word}: {usage.total.gap}" for word, usage in days if usage.total.gap)
