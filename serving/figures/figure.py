"""A usage with all that is known of it: between which instants, by which layers, how well."""

from typing import NamedTuple

from serving.figures.truth import Layer

# Twelve heartbeats missed: what is shown as now is then said to be old.
STALE_MS = 60_000


class Figure(NamedTuple):
    """A usage in the utility's unit: what was counted, between which instants (ms), and by which layers.

    `quality` is the word of all its hours, or MIXED; `estimated` is the part that is not measured.
    """

    usage: int | None
    counted_from: int
    counted_until: int
    complete: bool
    layers: tuple[Layer, ...] = ()
    gap: str | None = None  # why there is no usage, or less than the whole period
    quality: str | None = None
    estimated: int = 0


def heard_just_now(newest_at: int, now_ms: int) -> bool:
    """Return whether a register as of an instant is still that of now."""
    return now_ms - newest_at <= STALE_MS


def judged_now(figure: Figure, start: int, now_ms: int) -> Figure:
    """Judge a period that still runs by the time it has run since `start`: complete if heard of just now."""
    if figure.usage is None or figure.complete:
        return figure
    complete = heard_just_now(figure.counted_until, now_ms) and figure.counted_from == start
    return figure._replace(complete=complete, gap=None if complete else figure.gap)
