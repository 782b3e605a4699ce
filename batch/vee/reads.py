"""What the utility read itself, against the meter: who wins by rank, and what that makes of the day."""

import dataclasses

import numpy as np

from batch.vee.bounds import BOUNDS, Bounds
from batch.vee.levels import SLACK_UNITS, Levels
from batch.vee.meter_days import NEVER, Flags, Ints, Master
from batch.vee.shares import share
from infra.contracts.durations import DAY_MS, HOUR_MS

TOLERANCE_UNITS = 20
TOLERANCE_PART = 100
"""A read may differ by so much, or by 1/100 of the day's usage: the last heartbeat is not of its second."""
FLOW_PART = 10
"""Rates explain a read if they come to it within 1/10."""


@dataclasses.dataclass(frozen=True)
class Reads:
    """Each meter's read as a continued register, and what became of it; figures only where `there`."""

    there: Flags
    level: Ints
    turned: Ints
    """What of the level is a rollover that only the read tells of."""
    bounds: Flags
    """The read bounds a silence that lasted to the day's end."""
    differs: Flags
    wins: Flags
    """It differs from the meter and takes its place."""


def judge(master: Master, levels: Levels, found: Bounds) -> Reads:
    """Return the verdicts on reads as of the end of days that `found` bounds without them.

    A read below what the meter showed before, or above what its connection can carry, is refused.
    """
    there = master.read != NEVER
    silent = found.projected[:, -1]
    start, end = found.level[:, 0], found.level[:, -1]
    newest = end - found.open
    tolerance = np.maximum(TOLERANCE_UNITS, (end - start) // TOLERANCE_PART)
    level = np.where(there, master.read + levels.offset, 0)
    # A dial that turned after the last heartbeat reads low.
    turned = np.where(there & (level < newest - master.dial // 2), master.dial, 0)
    level = level + turned
    # Where the meter was silent, the read may be of the second of its last heartbeat.
    level = np.where(silent & (newest - level <= tolerance), np.maximum(level, newest), level)
    least = np.where(silent, newest, start)
    possible = there & (least <= level) & (level <= _greatest(master, levels))
    bounds = possible & silent
    differs = there & ~bounds & (silent | (np.abs(level - end) > tolerance))
    return Reads(there, level, turned, bounds, differs, wins=differs & possible & ~silent)


def _greatest(master: Master, levels: Levels) -> Ints:
    """Return the greatest level that a connection can have carried to by the day's end."""
    first = np.argmax(levels.trusted, axis=1)
    rows = np.arange(len(first))
    hours = (DAY_MS - levels.at[rows, first]) // HOUR_MS + 1
    greatest: Ints = levels.level[rows, first] + hours * master.rate_max + SLACK_UNITS
    return greatest


def scaled(level: Ints, reads: Reads, flow: Ints) -> Ints:
    """Return the bounds of days whose read wins: as the rates say if they explain it, else in proportion."""
    wanted = reads.level - level[:, 0]
    flows = np.zeros((len(level), BOUNDS), np.int64)
    flows[:, 1:] = np.cumsum(flow, axis=1)
    explained = np.abs(flows[:, -1] - wanted) * FLOW_PART <= wanted
    part = np.where(explained[:, None], flows, level - level[:, :1])
    part = np.where(part[:, -1:] > 0, part, np.arange(BOUNDS))
    return level[:, :1] + share(wanted[:, None], part, part[:, -1:])
