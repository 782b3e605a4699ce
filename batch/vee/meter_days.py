"""What a night knows of many meters' days: an array a column, a row a meter, hours along the second axis."""

import dataclasses
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Part = TypeVar("Part")

HOURS = 24
NEVER = np.iinfo(np.int64).min // 4
"""An instant before all others, and far enough from overflow."""


@dataclasses.dataclass(frozen=True)
class Heard:
    """What a meter sent in each UTC hour by its usual clock; [meter, hour], figures only where `any`.

    Instants in ms since the day's start; registers as the dial showed them; rates and flows in W and Wh, or
    in litres an hour and litres.
    """

    any: Flags
    first_at: Ints
    last_at: Ints
    first: Ints
    last: Ints
    least: Ints
    greatest: Ints
    rate_min: Ints
    rate_max: Ints
    flow: Ints
    """What the rates come to from the hour's first heartbeat to its last."""
    covered_ms: Ints
    """How much of the hour its heartbeats stand for, each for the interval after it."""
    stray: Ints
    """How many heartbeats came by another clock than the meter's usual one."""


@dataclasses.dataclass(frozen=True)
class Carried:
    """Where the night before left each meter. Figures only where `known`: a new meter has no past."""

    known: Flags
    at: Ints
    """When the newest trusted heartbeat was sent, in ms since this day's start: negative."""
    heard_at: Ints
    """When the newest heartbeat of all was sent."""
    raw: Ints
    """What the dial showed then."""
    offset: Ints
    """What made it a continued register."""
    open: Ints
    """Usage projected since then, up to this day's start: it is part of what was published."""


@dataclasses.dataclass(frozen=True)
class Master:
    """What the utility says of each meter."""

    water: Flags
    home: Flags
    occupied: Flags
    dial: Ints
    """How many figures the dial has: its maximum and one."""
    rate_max: Ints
    exchange_at: Ints
    """When in this day the meter was replaced, in ms since the day's start; NEVER if it was not."""
    exchange_final: Ints
    exchange_initial: Ints
    read: Ints
    """The dial as of the day's end as the utility read it; NEVER if it did not."""


@dataclasses.dataclass(frozen=True)
class MeterDays:
    """Many meters' one UTC day."""

    heard: Heard
    carried: Carried
    master: Master

    def __len__(self) -> int:
        return len(self.carried.known)

    def take(self, chosen: Ints | Flags) -> "MeterDays":
        """Return some of the meters, in that order."""
        return MeterDays(_take(self.heard, chosen), _take(self.carried, chosen), _take(self.master, chosen))


def _take(part: Part, chosen: Ints | Flags) -> Part:
    fields = dataclasses.fields(part)  # type: ignore[arg-type]
    return type(part)(**{field.name: getattr(part, field.name)[chosen] for field in fields})
