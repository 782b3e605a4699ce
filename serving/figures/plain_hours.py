"""The hours of a day that whole measured hours tell: figures for who asks, numbers for who writes."""

from collections.abc import Sequence
from typing import overload

from infra.contracts.durations import HOUR_MS
from infra.contracts.quality import Quality
from serving.figures.figure import STALE_MS, Figure
from serving.figures.local_days import LocalDay, local_time
from serving.figures.plain_meter import PlainDay

MEASURED = Quality.MEASURED.word
NOTHING_YET = "nothing heard yet"


class PlainHours(Sequence[Figure]):
    """A day's hours, made when they are looked at: `known` whole ones, one that may run, none after that."""

    def __init__(self, day: LocalDay, plain: PlainDay, zone: str) -> None:
        self.known, self.running = plain.hours, plain.running
        self._day, self._plain, self._zone = day, plain, zone

    def __len__(self) -> int:
        return len(self._day.hours)

    @overload
    def __getitem__(self, index: int) -> Figure: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Figure]: ...
    def __getitem__(self, index: int | slice) -> Figure | Sequence[Figure]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        start = self._day.hours[index]
        end = start + HOUR_MS
        newest_at, place = self._plain.newest_at, (start - self._day.start) // HOUR_MS
        if place < len(self.known):
            layers = self._plain.layers(start, end)
            return Figure(self.known[place], start, end, True, layers, None, MEASURED)
        if self.running is None or place > len(self.known):
            return Figure(None, start, end, complete=False, gap=NOTHING_YET)
        gap, layers = nothing_after(newest_at, self._zone), self._plain.layers(start, newest_at)
        return Figure(self.running, start, newest_at, False, layers, gap, MEASURED)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


def plain_total(day: LocalDay, plain: PlainDay, zone: str, now_ms: int | None) -> Figure:
    """Return the usage of a plain day, up to the newest register where it still runs.

    A day that runs at `now_ms` is complete if heard of just now (see `judged_now`); None: it is over.
    """
    until = min(day.end, plain.newest_at)
    usage = sum(plain.hours) + (plain.running or 0)
    heard = now_ms is not None and now_ms - until <= STALE_MS
    gap = None if plain.running is None or heard else nothing_after(until, zone)
    return Figure(usage, day.start, until, gap is None, plain.layers(day.start, until), gap, MEASURED)


def nothing_after(newest_at: int, zone: str) -> str:
    """Return why a period has no more usage than up to the newest register."""
    return f"nothing known after {local_time(newest_at, zone)}"
