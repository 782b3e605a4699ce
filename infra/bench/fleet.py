"""Which heartbeats a bench sends: how many users, of which seed, over which past or present: pure."""

import dataclasses
import datetime
import math

from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.utility import UTILITIES

SEED = 7
BEATS_A_S = len(UTILITIES) * 1_000 / INTERVAL_MS  # of one user


@dataclasses.dataclass(frozen=True)
class Fleet:
    """Users whose meters beat for a whole number of intervals from an instant on."""

    seed: int
    users: int
    beats: int  # of each meter
    since: datetime.datetime

    @classmethod
    def of(cls, seed: int, users: int, heartbeats_min: int, until: datetime.datetime) -> "Fleet":
        """Return a fleet that sends at least so many heartbeats and ends before an instant."""
        beats = math.ceil(heartbeats_min / (users * len(UTILITIES)))
        length = datetime.timedelta(milliseconds=beats * INTERVAL_MS)
        return cls(seed, users, beats, until - length)

    @property
    def heartbeats(self) -> int:
        """How many heartbeats its meters send."""
        return self.users * len(UTILITIES) * self.beats

    @property
    def until(self) -> datetime.datetime:
        """The end of its period."""
        return self.since + datetime.timedelta(milliseconds=self.beats * INTERVAL_MS)

    def send_past(self) -> list[str]:
        """Return the simulator's command that sends all of it at once."""
        period = ["--from", self.since.isoformat(), "--to", self.until.isoformat()]
        fleet = ["--users", str(self.users), "--seed", str(self.seed)]
        return ["simulator", "run", *fleet, *period, "--rate", "max", "--json"]


def users_for(rate: int) -> int:
    """Return how many users beat at least so many heartbeats a second at real-time pace."""
    return math.ceil(rate / BEATS_A_S)
