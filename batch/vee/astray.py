"""What a walk through a day keeps of registers that left their course, or may have: columns of meters."""

import dataclasses

import numpy as np

from batch.vee.meter_days import Flags, Ints


@dataclasses.dataclass
class Astray:
    """Registers that went astray and have not come back: a figure a meter."""

    hours: Ints
    """In how many hours it was heard there, one after the other."""
    since: Ints
    """In which hour it began."""
    raw_first: Ints
    raw: Ints
    at: Ints
    point: Ints
    flow_first: Ints
    """What the rates came to between the last trusted point and `raw_first`."""
    away: Flags
    """It is away now: the last heartbeat asked was refused."""
    low: Flags
    """It fell, and did not jump."""

    @classmethod
    def none(cls, count: int) -> "Astray":
        """Return what nothing went astray in."""
        hours, since, raw_first, raw, at, point, flow_first = np.zeros((7, count), np.int64)
        away, low = np.zeros((2, count), np.bool_)
        return cls(hours, since, raw_first, raw, at, point, flow_first, away, low)

    def end(self, returned: Flags) -> None:
        """Take those that came back from the list."""
        self.hours = np.where(returned, 0, self.hours)
        self.away, self.low = self.away & ~returned, self.low & ~returned

    def note(
        self, refused: Flags, returned: Flags, low: Flags, raw: Ints, at: Ints, flow: Ints, hour: int
    ) -> None:
        """Take an hour's last heartbeat into account; `flow` is since the last trusted point."""
        self.end(returned)
        self.away = self.away | refused
        self.low = np.where(refused, low, self.low)
        self.hours = np.where(refused, self.hours + 1, self.hours)
        begins = refused & (self.hours == 1)
        self.since = np.where(begins, hour, self.since)
        self.raw_first = np.where(begins, raw, self.raw_first)
        self.flow_first = np.where(begins, flow, self.flow_first)
        self.raw = np.where(refused, raw, self.raw)
        self.at = np.where(refused, at, self.at)
        self.point = np.where(refused, 2 + 2 * hour, self.point)


@dataclasses.dataclass
class Before:
    """The state before the newest point was trusted, which may yet turn out a spike: a figure a meter."""

    point: Ints
    """The point; -1: it stands."""
    raw: Ints
    at: Ints
    flow: Ints
    """What the rates came to from there to the point, and for how long they were heard."""
    heard_ms: Ints
