"""What every export writer is given: whose hours they are, and the hours."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from infra.contracts.durations import HOUR_S
from infra.contracts.utility import Utility


@dataclasses.dataclass(frozen=True)
class Export:
    """Whose hours, and over which period: half-open [start_ms, end_ms), ms since 1970."""

    user_id: int
    zone: str
    start_ms: int
    end_ms: int
    made_at_ms: int
    currency: str | None = None  # ISO 4217; None where no cost is known


@dataclasses.dataclass(frozen=True)
class ExportedHour:
    """One hour of one utility; `usage` in Wh or litres, None where no two registers prove it.

    `complete`: the usage is that of the whole hour; else it was counted in the span `counted_ms` alone.
    `quality` is a word of `infra.contracts.quality` or `mixed`, `source` a layer's name or several joined by
    +. `cost_micro` is in millionths of the currency's minor unit, None where no price is known. `duration_s`
    is an hour but for the last part of a day that the clock cuts at a fraction of one.
    """

    utility: Utility
    start_ms: int
    usage: int | None
    complete: bool = True
    quality: str | None = None
    source: str | None = None
    cost_micro: int | None = None
    duration_s: int = HOUR_S
    counted_ms: tuple[int, int] | None = None

    @property
    def counted_s(self) -> tuple[int, int]:
        """From when until when usage was counted, in whole seconds, of which it takes one at least."""
        if self.counted_ms is None:
            return self.start_ms // 1000, self.start_ms // 1000 + self.duration_s
        counted_from, counted_until = self.counted_ms
        return counted_from // 1000, max(counted_from // 1000 + 1, counted_until // 1000)


class Writer(Protocol):
    """Turns hours into a file's bytes. Holds at most a batch and a day of them; makes no I/O.

    Hours come in the order of utilities, each utility's ascending, all of one utility before the next.
    """

    def begin(self) -> bytes:
        """Return the file's beginning."""

    def add(self, hours: Sequence[ExportedHour]) -> bytes:
        """Return what these hours complete of the file; it may be nothing yet."""

    def end(self) -> bytes:
        """Return the file's end. Nothing may be added after it."""
