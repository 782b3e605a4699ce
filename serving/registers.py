"""What is known of one meter's register, and as of which instants.

The one rule: a register as of an instant is that of the last heartbeat sent before it. Truth answers up
to T, live state after it; where neither holds the register the answer is None, never an estimate.
"""

import dataclasses
import enum
import itertools
from typing import NamedTuple

from infra.contracts.live_state import HOUR_MS, LiveMeter
from infra.contracts.utility import Utility

DAY_MS = 24 * HOUR_MS


class Layer(enum.StrEnum):
    """Where a register comes from."""

    TRUTH = "truth"
    LIVE = "live"


@dataclasses.dataclass(frozen=True)
class UsageDay:
    """One published row: a meter's UTC day, as `infra/contracts/nightly.py` lays it down."""

    night_ms: int  # the day's start
    utility: Utility
    register_start: int
    register_end: int
    first_sent_at: int | None
    hours: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Truth:
    """One snapshot of MySQL: T, the nights that are published, and one user's rows of them."""

    truth_until: int | None = None  # T, ms since 1970; None before the first night
    nights: frozenset[int] = frozenset()  # starts of the published UTC days that were asked for
    rows: tuple[UsageDay, ...] = ()


class Register(NamedTuple):
    """A register as of an instant, in the utility's unit.

    `first_heard_at` is set where the instant precedes all heartbeats: `value` is the meter's first register,
    heard then (truth) or in the hour after (live).
    """

    value: int
    layer: Layer
    first_heard_at: int | None = None


class MeterRegisters:
    """All that is known of one meter: its rows of the truth and its live state. Makes no look-ups."""

    def __init__(self, truth: Truth, utility: Utility, live: LiveMeter | None) -> None:
        self._until = truth.truth_until or 0
        self._nights = truth.nights
        self._rows = {row.night_ms: row for row in truth.rows if row.utility is utility}
        self._bounds = {night: _bounds(row) for night, row in self._rows.items()}
        self._found: dict[int, Register | None] = {}
        self._live = live
        born = (row for row in self._rows.values() if row.first_sent_at is not None)
        self._first_night = min(born, key=lambda row: row.night_ms, default=None)
        self.newest = self._newest()

    @property
    def known(self) -> bool:
        """Whether any heartbeat of the meter is known."""
        return self.newest is not None or bool(self._rows)

    def as_of(self, instant: int) -> Register | None:
        """Return the register as of an instant (ms since 1970), or None where no layer knows it."""
        if instant not in self._found:
            on_the_hour = instant % HOUR_MS == 0
            self._found[instant] = (
                self._truth_as_of(instant) or self._live_as_of(instant) if on_the_hour else None
            )
        return self._found[instant]

    def _newest(self) -> tuple[int, Register] | None:
        """Return the latest instant of which the register is known, and the register."""
        truth = self._truth_as_of(self._until) if self._until else None
        live = self._live
        if live and (truth is None or live.sent_at >= self._until):
            # As of an instant means before it, so the newest heartbeat counts from the next ms on.
            return live.sent_at + 1, Register(live.register, Layer.LIVE)
        if truth is None or truth.first_heard_at is not None:
            return None
        return self._until, truth

    def _truth_as_of(self, instant: int) -> Register | None:
        if instant > self._until:
            return None
        first = self._first_night
        if first and first.first_sent_at is not None and instant <= first.first_sent_at:
            return Register(first.register_start, Layer.TRUTH, first.first_sent_at)
        night = _night_of(instant - 1)
        if bounds := self._bounds.get(night):
            return Register(bounds[(instant - night) // HOUR_MS], Layer.TRUTH)
        return self._before_silence(night) or self._after_silence(_night_of(instant))

    def _before_silence(self, night: int) -> Register | None:
        """Carry a register forward: a published night without a row is one without a heartbeat."""
        for silent in itertools.count(night, -DAY_MS):
            if row := self._rows.get(silent):
                return Register(row.register_end, Layer.TRUTH)
            if silent not in self._nights:
                return None
        raise AssertionError("published nights are finite")

    def _after_silence(self, night: int) -> Register | None:
        """Carry a register back: it did not move between the instant and the next night with a row."""
        for silent in itertools.count(night, DAY_MS):
            if row := self._rows.get(silent):
                return Register(row.register_start, Layer.TRUTH)
            if silent not in self._nights:
                return None
        raise AssertionError("published nights are finite")

    def _live_as_of(self, instant: int) -> Register | None:
        if self._live is None or not self._live.marks:
            return None
        marks = self._live.marks
        first_hour = next(iter(marks))
        first_instant = (first_hour + 1) * HOUR_MS
        if instant > first_instant:
            mark = marks.get(instant // HOUR_MS - 1)
            return None if mark is None else Register(mark, Layer.LIVE)
        # The first mark is the first register that the stream saw, in the hour after it. That is the meter's
        # beginning, unless older marks were dropped or a row of the truth shows the meter to be older.
        if self._live.marks_dropped or self._rows:
            return None
        return Register(marks[first_hour], Layer.LIVE, first_instant)


def _night_of(instant: int) -> int:
    return instant - instant % DAY_MS


def _bounds(row: UsageDay) -> tuple[int, ...]:
    """Return the 25 registers as of a UTC day's hours, its end included."""
    return tuple(itertools.accumulate(row.hours, initial=row.register_start))
