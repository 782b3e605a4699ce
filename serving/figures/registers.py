"""What is known of one meter's register, and as of which instants.

The one rule: a register as of an instant is that of the last heartbeat sent before it. Truth answers up
to T, live state after it; where neither holds the register the answer is None, never an estimate of ours.

Truth's registers are continued (infra/contracts/nightly.py), live state's are what the dial shows: the offset
of the newest row makes them comparable. Where the dial falls after that (rollover, reset, exchange) it counts
anew, and no difference across the fall means anything until the next night has continued it.
"""

import bisect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from infra.contracts import price_steps
from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import LiveMeter
from infra.contracts.quality import Quality
from infra.contracts.utility import Utility
from serving.figures.truth import Layer, Revision, Truth, UsageDay


class Register(NamedTuple):
    """A register as of an instant, in the utility's unit.

    `first_heard_at` is set where the instant precedes all heartbeats: `value` is the meter's first register,
    heard then (truth) or in the hour after (live). `falls` is how often the dial fell before the instant,
    since the newest row: registers are comparable where it is the same.
    """

    value: int
    layer: Layer
    first_heard_at: int | None = None
    falls: int = 0


class Known(NamedTuple):
    """How the hours of a span are known: letters of their qualities, and the usage that is not measured."""

    letters: frozenset[str]
    estimated: int


class Cost(NamedTuple):
    """The energy of a span in micro-cents, None where no hour is priced; `whole`: all of them are."""

    micro: int | None
    whole: bool


class MeterRegisters:
    """All that is known of one meter: its rows of the truth and its live state. Makes no look-ups."""

    def __init__(self, truth: Truth, utility: Utility, live: LiveMeter | None) -> None:
        self._until = truth.truth_until or 0
        self._nights = truth.nights
        self._rows: Mapping[int, UsageDay] = truth.by_utility.get(utility, {})
        self._bounds: dict[int, tuple[int, ...]] = {}
        self._sorted_nights = truth.nights_sorted
        self._sorted_rows = list(self._rows)
        self._found: dict[int, Register | None] = {}
        self._hour_costs: dict[int, tuple[int, ...] | None] = {}
        self._live = live
        self._marks = live.marks_by_hour() if live else {}
        self._revised = any(row.revision for row in self._rows.values())
        born = [row for row in self._rows.values() if row.first_sent_at is not None]
        self._first_night = born[0] if born else None
        newest_row = self._rows[self._sorted_rows[-1]] if self._sorted_rows else None
        self._offset = newest_row.register_offset if newest_row else 0
        # A row of an older night tells what the month cost up to that night's end.
        up_to_date = newest_row is not None and newest_row.night_ms + DAY_MS == self._until
        self._month_cost = newest_row.month_cost if newest_row and up_to_date else None
        self._at_until = self._truth_as_of(self._until) if self._until else None
        self._falls = self._fallen()
        self.newest = self._newest()

    @property
    def known(self) -> bool:
        """Whether any heartbeat of the meter is known."""
        return self.newest is not None or bool(self._rows)

    def month_cost_since(self, month_start: int) -> int | None:
        """Return what the energy of the month that began then cost up to T, in micro-cents, if it is told.

        What is told by a T before that is of another month.
        """
        if 0 < self._until <= month_start:
            return 0 if self.known else None
        return self._month_cost

    def as_of(self, instant: int) -> Register | None:
        """Return the register as of an instant (ms since 1970), or None where no layer knows it."""
        if instant not in self._found:
            on_the_hour = instant % HOUR_MS == 0
            self._found[instant] = (
                self._truth_as_of(instant) or self._live_as_of(instant) if on_the_hour else None
            )
        return self._found[instant]

    def plain_hours(self, starts: Sequence[int]) -> dict[int, tuple[int, str, Layer]]:
        """Return usage, quality letter and layer of those hours that one layer tells whole.

        Nearly all of a household's hours are such; here they cost a fraction of what two registers and their
        comparison do, and come to the same.
        """
        found: dict[int, tuple[int, str, Layer]] = {}
        if self.newest is None:
            return found
        newest_at, until, rows = self.newest[0], self._until, self._rows
        first = self._first_night.first_sent_at if self._first_night else None
        marks, marks_from = self._plain_marks()
        for start in starts:
            end = start + HOUR_MS
            if end > newest_at or start % HOUR_MS:
                continue
            if end <= until:
                night = start - start % DAY_MS
                row, hour = rows.get(night), (start - night) // HOUR_MS
                if row is None or (first is not None and start <= first):
                    continue
                usage = row.hours[hour]
                if usage >= 0 and (hour or self._continued(night)):
                    found[start] = usage, row.quality[hour], Layer.TRUTH
            elif start >= marks_from and end < newest_at:
                before, after = marks.get(start // HOUR_MS - 1), marks.get(end // HOUR_MS - 1)
                if before is not None and after is not None and after >= before:
                    found[start] = after - before, Quality.MEASURED, Layer.LIVE
        return found

    def _plain_marks(self) -> tuple[Mapping[int, int], int]:
        """Return the live marks, and from which instant on two of them tell an hour with nothing else."""
        live = self._live
        if live is None or not live.marks or self._falls:
            return {}, 0
        return self._marks, max(self._until, (live.first_hour + 1) * HOUR_MS) + 1

    def _continued(self, night: int) -> bool:
        """Return whether a row begins with the register that the one before ends with."""
        before = self._rows.get(night - DAY_MS)
        return (
            before is not None
            and before.register_start + sum(before.hours) == self._rows[night].register_start
        )

    def before_fall(self, falls: int) -> int:
        """Return the last instant known before the dial, having fallen so often, fell once more."""
        return self._falls[falls][0]

    def known_as(self, start: int, end: int) -> Known:
        """Return how the UTC hours that begin in [start, end), or hold its start, are known.

        What live state knows of an hour lies between two registers that the meter sent.
        """
        letters: set[str] = set()
        estimated = 0
        for night, first, last, published in self._pieces(start, end):
            row = self._rows.get(night)
            if row and published:
                qualities = row.quality[first:last]
                letters.update(qualities)
                if qualities.strip(Quality.MEASURED):
                    usages = zip(qualities, row.hours[first:last], strict=True)
                    estimated += sum(usage for letter, usage in usages if letter != Quality.MEASURED)
            else:
                letters.add(Quality.PROJECTED if published else Quality.MEASURED)
        return Known(frozenset(letters), estimated)

    def cost(self, start: int, end: int) -> Cost:
        """Return what the usage of the UTC hours that begin in [start, end), or hold its start, costs.

        No usage costs nothing, whatever the price; usage after T is not priced yet.
        """
        micro, priced, whole = 0, False, True
        for night, first, last, published in self._pieces(start, end):
            row = self._rows.get(night)
            if not published:
                whole = False
            elif row is None or not any(row.hours[first:last]):
                priced = True
            elif (costs := self._costs_of(row)) is not None:
                micro += sum(costs[first:last])
                priced = True
            else:
                whole = False
        return Cost(micro if priced else None, whole and priced)

    def revisions(self, start: int, end: int) -> list[Revision]:
        """Return those of the rows that cover any of [start, end)."""
        if not self._revised:
            return []
        rows = (self._rows.get(night) for night in range(_night_of(start), end, DAY_MS))
        return [row.revision for row in rows if row and row.revision]

    def _pieces(self, start: int, end: int) -> Iterator[tuple[int, int, int, bool]]:
        """Yield a span by UTC days: the day, its hours [first, last), and whether truth answers for them."""
        at = start - start % HOUR_MS
        while at < end:
            night = _night_of(at)
            published = at < self._until and (night in self._rows or night in self._nights)
            until = min(night + DAY_MS, end, self._until if at < self._until else end)
            yield night, (at - night) // HOUR_MS, -((night - until) // HOUR_MS), published
            at = until + -until % HOUR_MS

    def _bounds_of(self, row: UsageDay) -> tuple[int, ...]:
        """Return the 25 registers as of a row's hours, its day's end included."""
        bounds = self._bounds.get(row.night_ms)
        if bounds is None:
            bounds = tuple(itertools.accumulate(row.hours, initial=row.register_start))
            self._bounds[row.night_ms] = bounds
        return bounds

    def _costs_of(self, row: UsageDay) -> tuple[int, ...] | None:
        """Return what each hour of a row costs, None where its prices are not known."""
        if row.night_ms not in self._hour_costs:
            steps = price_steps.decode(row.price_steps)
            costs = tuple(price_steps.hour_costs(steps, row.hours)) if steps else None
            self._hour_costs[row.night_ms] = costs
        return self._hour_costs[row.night_ms]

    def _fallen(self) -> list[tuple[int, int]]:
        """Return the dial's falls since T: the last instant known before each, and the first one after it."""
        if self._live is None or self._only_rises(self._live):
            return []
        dials = [((hour + 1) * HOUR_MS, mark) for hour, mark in self._marks.items()]
        dials.append((self._live.sent_at + 1, self._live.register))
        if truth := self._at_until:
            after = [(at, dial) for at, dial in dials if at > self._until]
            dials = [(self._until, truth.value - self._offset), *after]
        return [
            (before_at, at) for (before_at, before), (at, dial) in itertools.pairwise(dials) if dial < before
        ]

    def _only_rises(self, live: LiveMeter) -> bool:
        """Return whether there is no fall, looking at more than has to be: nearly all dials only rise."""
        shown = [*live.marks, live.register]
        if truth := self._at_until:
            since = self._until // HOUR_MS
            shown = [mark for hour, mark in self._marks.items() if hour >= since]
            shown = [truth.value - self._offset, *shown, live.register]
        return shown == sorted(shown)

    def _newest(self) -> tuple[int, Register] | None:
        """Return the latest instant of which the register is known, and the register."""
        truth, live = self._at_until, self._live
        if live and (truth is None or live.sent_at >= self._until):
            # As of an instant means before it, so the newest heartbeat counts from the next ms on.
            register = live.register + self._offset
            return live.sent_at + 1, Register(register, Layer.LIVE, None, len(self._falls))
        if truth is None and self._rows:
            # Nights between these rows and T are not at hand: the rows still tell of their own time.
            row = self._rows[self._sorted_rows[-1]]
            return row.night_ms + DAY_MS, Register(row.register_end, Layer.TRUTH)
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
        if row := self._rows.get(night):
            return Register(self._bounds_of(row)[(instant - night) // HOUR_MS], Layer.TRUTH)
        return self._before_silence(night) or self._after_silence(_night_of(instant))

    def _before_silence(self, night: int) -> Register | None:
        """Carry a register forward: a published night without a row is one without a heartbeat."""
        place = bisect.bisect_right(self._sorted_rows, night) - 1
        if place < 0 or not self._all_published(self._sorted_rows[place] + DAY_MS, night + DAY_MS):
            return None
        return Register(self._rows[self._sorted_rows[place]].register_end, Layer.TRUTH)

    def _after_silence(self, night: int) -> Register | None:
        """Carry a register back: it did not move between the instant and the next night with a row."""
        place = bisect.bisect_left(self._sorted_rows, night)
        if place == len(self._sorted_rows) or not self._all_published(night, self._sorted_rows[place]):
            return None
        return Register(self._rows[self._sorted_rows[place]].register_start, Layer.TRUTH)

    def _all_published(self, first: int, until: int) -> bool:
        """Return whether each night of [first, until) is published."""
        nights = bisect.bisect_left(self._sorted_nights, until) - bisect.bisect_left(
            self._sorted_nights, first
        )
        return nights == (until - first) // DAY_MS

    def _live_as_of(self, instant: int) -> Register | None:
        if self._live is None or not self._live.marks:
            return None
        # What the dial showed before the day's end is not comparable by the offset that holds from there on,
        # nor by the 32 bits of a mark if it fell since: those above are known from the newest register alone.
        if instant <= self._until and (self._offset or self._falls):
            return None
        dropped, first_instant = self._live.marks_dropped, (self._live.first_hour + 1) * HOUR_MS
        if instant > first_instant or (dropped and instant == first_instant):
            mark = self._marks.get(instant // HOUR_MS - 1)
            falls = bisect.bisect_right(self._falls, instant, key=lambda fall: fall[1])
            return None if mark is None else Register(mark + self._offset, Layer.LIVE, None, falls)
        # The first mark is the first register that the stream saw, in the hour after it. That is the meter's
        # beginning, unless older marks were dropped or a row of the truth shows the meter to be older.
        if dropped or self._rows:
            return None
        return Register(self._live.marks[0], Layer.LIVE, first_instant)


def _night_of(instant: int) -> int:
    return instant - instant % DAY_MS
