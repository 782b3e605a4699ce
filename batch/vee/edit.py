"""A night's validation, estimation and editing in their order: meters' days in, rows and findings out."""

import dataclasses

import numpy as np
import numpy.typing as npt

from batch.vee import reads as utility_reads
from batch.vee import runs
from batch.vee.bounds import BOUNDS, Bounds, bounds
from batch.vee.levels import Levels, follow
from batch.vee.meter_days import HOURS, Flags, Ints, MeterDays
from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.quality import Quality, Rule

LETTERS = {name: ord(name.value) for name in Quality}


@dataclasses.dataclass(frozen=True)
class Edited:
    """What became of each meter's day; a figure a meter, or [meter, hour]."""

    known: Flags
    """Whether anything was ever heard of the meter."""
    level: Ints
    """The continued register at each bound, [meter, 25]."""
    quality: npt.NDArray[np.uint8]
    """The letters, [meter, 24]."""
    open: Ints
    anchor_at: Ints
    """When the newest trusted heartbeat was sent, in ms since the day's start."""
    levels: Levels
    reads: utility_reads.Reads
    usage_meter: Ints
    """The day's usage before a read took its place."""
    findings: dict[Rule, Flags]


def needs_past(days: MeterDays) -> Flags:
    """Whether a day has hours that only the household's past can tell, a flag a meter.

    May be True of a few more: looking up a past that is not needed changes nothing.
    """
    heard = days.heard
    silent = ~heard.any | runs.stuck(days) | runs.at_rest(days)
    needed: Flags = (silent.any(axis=1) | (heard.stray > 0).any(axis=1)) | _ends_open(days)
    return needed


def _ends_open(days: MeterDays) -> Flags:
    return days.heard.last_at[:, -1] < DAY_MS - HOUR_MS // 60


def edit(days: MeterDays, past: Ints) -> Edited:
    """Return the edited days; `past` is what to expect of each hour [meter, 24], -1 where it is silent."""
    stuck, zero = runs.stuck(days), runs.zero(days)
    standing = stuck | zero | runs.resting(days)
    levels = follow(days, standing | _after(standing), standing | _before(standing))
    rated = _rated(days, stuck)
    weights = expected(days, past, rated)
    found = bounds(levels.trusted, levels.at, levels.level, days.carried, weights, rated)
    known = levels.trusted.any(axis=1)
    reads = utility_reads.judge(days.master, levels, found)
    level = _bounded_by_read(days, levels, found, reads, weights, rated)
    usage_meter = level[:, -1] - level[:, 0]
    level = np.where(reads.wins[:, None], utility_reads.scaled(level, reads, days.heard.flow), level)
    still_open = np.where(reads.bounds, 0, found.open)
    findings = _findings(days, levels, stuck, zero, reads.differs)
    return Edited(
        known=known,
        level=level,
        quality=_quality(found, findings, reads, past),
        open=still_open,
        anchor_at=np.where(reads.bounds | reads.wins, -1 + DAY_MS, found.anchor_at),
        levels=levels,
        reads=reads,
        usage_meter=usage_meter,
        findings=findings,
    )


def expected(days: MeterDays, past: Ints, rated: Flags) -> Ints:
    """Return the weights of each hour: what its rates say, else the past, else the mean of those known."""
    known = np.where(rated, days.heard.flow, past)
    told = np.where(rated.any(axis=1)[:, None], rated, past >= 0)
    mean = np.where(told, known, 0).sum(axis=1) // np.maximum(told.sum(axis=1), 1)
    return np.where(known >= 0, known, mean[:, None])


def _rated(days: MeterDays, stuck: Flags) -> Flags:
    """Return the hours whose usage the meter's rates tell."""
    heard = days.heard
    long = heard.covered_ms >= runs.HEARD_WELL_MS
    possible = heard.rate_max <= days.master.rate_max[:, None]
    return heard.any & long & possible & (stuck | (heard.flow > 0))


def _bounded_by_read(
    days: MeterDays,
    levels: Levels,
    found: Bounds,
    reads: utility_reads.Reads,
    weights: Ints,
    rated: Flags,
) -> Ints:
    """Return the bounds with the utility's read at the day's end, where the meter itself was silent then."""
    if not reads.bounds.any():
        return found.level
    trusted, at, level = levels.trusted.copy(), levels.at.copy(), levels.level.copy()
    # The read takes the last point's place: nothing was heard there.
    free = reads.bounds & ~trusted[:, -1]
    trusted[free, -1], at[free, -1], level[free, -1] = True, DAY_MS - 1, reads.level[free]
    again = bounds(trusted, at, level, days.carried, weights, rated).level
    again[:, -1] = np.where(reads.bounds, reads.level, again[:, -1])
    return np.where(reads.bounds[:, None], again, found.level)


def _findings(
    days: MeterDays, levels: Levels, stuck: Flags, zero: Flags, differs: Flags
) -> dict[Rule, Flags]:
    heard = days.heard
    whole_day = np.ones((1, HOURS), np.bool_)
    gaps, displaced = runs.gaps(days)
    return {
        Rule.GAP: gaps,
        Rule.SPIKE: levels.spike,
        Rule.NEGATIVE: levels.negative,
        Rule.STUCK: stuck,
        Rule.RATE: levels.impossible | (heard.any & (heard.rate_max > days.master.rate_max[:, None])),
        Rule.ZERO: zero,
        Rule.LEAK: runs.leak(days)[:, None] & whole_day,
        Rule.READ: differs[:, None] & whole_day,
        Rule.CLOCK: runs.clock(days) | displaced,
        Rule.ROLLOVER: levels.rolled,
        Rule.RESET: levels.reset_at,
        Rule.EXCHANGE: levels.exchanged_at,
    }


def _quality(
    found: Bounds, findings: dict[Rule, Flags], reads: utility_reads.Reads, past: Ints
) -> npt.NDArray[np.uint8]:
    """Return each hour's letter; what was set aside says so even where the silence it left was filled in."""
    letters = np.full(found.interpolated.shape, LETTERS[Quality.MEASURED], np.uint8)
    filled = found.interpolated | found.estimated | found.projected
    projected = found.projected & ~reads.bounds[:, None]
    letters[found.interpolated] = LETTERS[Quality.INTERPOLATED]
    # Without a past an estimate is an even spread, and says so.
    by_past = past >= 0
    letters[(found.estimated | found.projected) & by_past] = LETTERS[Quality.ESTIMATED]
    letters[(found.estimated | found.projected) & ~by_past] = LETTERS[Quality.INTERPOLATED]
    stuck = findings[Rule.STUCK]
    edited = findings[Rule.SPIKE] | findings[Rule.NEGATIVE] | stuck | _before(stuck) | _after(stuck)
    edited |= findings[Rule.CLOCK].any(axis=1)[:, None] & ~findings[Rule.GAP]
    letters[filled & edited] = LETTERS[Quality.CORRECTED]
    # What flowed between the last heartbeat before a reset and the reset no dial shows.
    letters[findings[Rule.RESET]] = LETTERS[Quality.CORRECTED]
    letters[projected] = LETTERS[Quality.PROJECTED]
    letters[reads.wins] = LETTERS[Quality.CORRECTED]
    return letters


def _before(flags: Flags) -> Flags:
    """Return the hours before flagged ones."""
    moved = np.zeros_like(flags)
    moved[:, :-1] = flags[:, 1:]
    return moved


def _after(flags: Flags) -> Flags:
    """Return the hours after flagged ones."""
    moved = np.zeros_like(flags)
    moved[:, 1:] = flags[:, :-1]
    return moved


assert BOUNDS == HOURS + 1
