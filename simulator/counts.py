"""What a topic's heartbeats were made of."""

import dataclasses
from collections.abc import Mapping

from simulator.faults import Fate
from simulator.hashes import Ints


@dataclasses.dataclass(frozen=True)
class Counts:
    """Heartbeats of a topic. One is delivered, lost, malformed, or late and not yet due."""

    sent: int = 0
    """All that meters sent, whatever became of them."""
    delivered: int = 0
    """Heartbeats the broker has acknowledged, each counted once a run that sent it."""
    late: int = 0
    doubled: int = 0
    lost: int = 0
    malformed: int = 0

    @classmethod
    def of_fates(cls, by_fate: Ints, delivered: int) -> "Counts":
        """Return the counts of heartbeats of which so many met each fate."""
        fates = {fate.name.lower(): int(by_fate[fate]) for fate in Fate if fate != Fate.ON_TIME}
        return cls(sent=int(by_fate.sum()), delivered=delivered, **fates)

    @property
    def messages(self) -> int:
        """How many messages stand on the topic."""
        return self.delivered + self.doubled + self.malformed

    def to_json(self) -> dict[str, int]:
        """Return every count by name, messages included."""
        return {**dataclasses.asdict(self), "messages": self.messages}

    @classmethod
    def from_json(cls, counts: Mapping[str, int]) -> "Counts":
        """Read what `to_json` returned."""
        return cls(**{field.name: counts[field.name] for field in dataclasses.fields(cls)})

    def __add__(self, other: "Counts") -> "Counts":
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Counts(*(mine + theirs for mine, theirs in pairs))
