"""Hours in a row: registers that stand still, silences, water that never rests."""

import numpy as np

from batch.vee.meter_days import HOURS, NEVER, Flags, Ints, MeterDays
from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.heartbeat import INTERVAL_MS

STUCK_HOURS_MIN = 2
STUCK_FLOW_MIN = 10
"""Wh or litres that flowed by the rates while the register stood: less may be rounding."""
ZERO_HOURS_MIN = 12
GAP_MS_MIN = 5 * 60_000
FELT_MS_MIN = 60_000
STRAY_MIN = 12
"""Heartbeats by another clock in a day, a minute's worth: fewer are no clock that was set wrong."""
HEARD_WELL_MS = 3 * HOUR_MS // 4


def run_sums(flags: Flags, values: Ints) -> Ints:
    """Return for each hour the sum of values over the run of True that it belongs to, 0 where False."""
    ends = np.where(flags, values, 0).cumsum(axis=1)
    last = np.zeros(flags.shape, np.int64)
    first = np.zeros(flags.shape, np.int64)
    at_start = np.zeros(len(flags), np.int64)
    running = np.zeros(len(flags), np.bool_)
    for hour in range(HOURS):
        begins = flags[:, hour] & ~running
        at_start = np.where(begins, ends[:, hour] - values[:, hour], at_start)
        first[:, hour] = at_start
        running = flags[:, hour]
    at_end, running = np.zeros(len(flags), np.int64), np.zeros(len(flags), np.bool_)
    for hour in reversed(range(HOURS)):
        at_end = np.where(flags[:, hour] & ~running, ends[:, hour], at_end)
        last[:, hour] = at_end
        running = flags[:, hour]
    return np.where(flags, last - first, 0)


def run_lengths(flags: Flags) -> Ints:
    """Return for each hour how long the run of True is that it belongs to, 0 where False."""
    return run_sums(flags, np.ones(flags.shape, np.int64))


def standing(days: MeterDays) -> Flags:
    """Return the hours throughout which the register was heard and did not move."""
    heard = days.heard
    long = heard.last_at - heard.first_at >= HEARD_WELL_MS
    still: Flags = heard.any & long & (heard.least == heard.greatest)
    return still


def stuck(days: MeterDays) -> Flags:
    """Return the hours of registers that stand still for hours while the meter reports a flow."""
    still = standing(days)
    flow = run_sums(still, days.heard.flow)
    return still & (run_lengths(still) >= STUCK_HOURS_MIN) & (flow >= STUCK_FLOW_MIN)


def at_rest(days: MeterDays) -> Flags:
    """Return the hours of half a day and longer without any flow."""
    none = standing(days) & (days.heard.rate_max == 0)
    long: Flags = none & (run_lengths(none) >= ZERO_HOURS_MIN)
    return long


def zero(days: MeterDays) -> Flags:
    """Return those hours where somebody lives: there, no flow is no measurement."""
    return at_rest(days) & (days.master.home & days.master.occupied)[:, None]


def resting(days: MeterDays) -> Flags:
    """Return the hours at rest that end within the day: what a register leaps by then was used in them."""
    at_end = np.logical_and.accumulate(at_rest(days)[:, ::-1], axis=1)[:, ::-1]
    ended: Flags = at_rest(days) & ~at_end
    return ended


def leak(days: MeterDays) -> Flags:
    """Return the homes whose water never rested in the whole day, a flag a meter."""
    heard = days.heard
    flows = heard.any & (heard.rate_min > 0) & (heard.last_at - heard.first_at >= HEARD_WELL_MS)
    leaks: Flags = flows.all(axis=1) & days.master.water & days.master.home
    return leaks


def clock(days: MeterDays) -> Flags:
    """Return the hours of heartbeats by a clock that is not the meter's usual one."""
    strays: Flags = (days.heard.stray > 0) & (days.heard.stray.sum(axis=1) >= STRAY_MIN)[:, None]
    return strays


def gaps(days: MeterDays) -> tuple[Flags, Flags]:
    """Return the hours that hold a part of a silence longer than short losses explain.

    The second answer are those of a silence that a clock set wrong explains: its heartbeats are elsewhere.
    """
    heard, carried = days.heard, days.carried
    found, displaced = (np.zeros(heard.any.shape, np.bool_) for _ in range(2))
    latest = np.where(carried.known, carried.heard_at, NEVER)
    strays = clock(days).any(axis=1)
    explained_ms = heard.stray.sum(axis=1) * INTERVAL_MS * 6 // 5 + HOUR_MS // 60
    for hour in range(HOURS + 1):
        at = heard.first_at[:, hour] if hour < HOURS else np.full(len(days), DAY_MS)
        here = heard.any[:, hour] if hour < HOURS else np.ones(len(days), np.bool_)
        lasted = at - latest
        # A silence that ended with the day before leaves no hole in this one.
        felt = at - np.maximum(latest, 0) > FELT_MS_MIN
        silent = here & (latest > NEVER) & (lasted >= GAP_MS_MIN) & felt
        since, until = np.maximum(latest, 0) // HOUR_MS, (np.maximum(at, 1) - 1) // HOUR_MS
        within = (np.arange(HOURS) >= since[:, None]) & (np.arange(HOURS) <= until[:, None])
        explained = strays & (lasted <= explained_ms)
        found |= (silent & ~explained)[:, None] & within
        displaced |= (silent & explained)[:, None] & within
        if hour < HOURS:
            latest = np.where(here, heard.last_at[:, hour], latest)
    return found, displaced
