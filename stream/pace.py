"""How long a window's writes may rest, so that a burst of them keeps nobody from Redis or from a core. Pure.

What is written shows a moment later, and who looks at it meanwhile is answered at once. A worker that has no
time to spare, or whose windows come later than they need, does not rest.
"""

import dataclasses
import math

SPARE = 0.5  # of the time that a worker would wait for its next window; what is left is for unequal ones
REST_S_MIN = 0.004  # at a time: for less, nobody else would be woken up
REST_S_MAX = 0.25  # a window
# What a window rests ends so soon after the lateness that had to be waited for.
SOON_MS = 1_000


@dataclasses.dataclass
class Pace:
    """Decides for one worker. It is told the times of its windows (s, of one clock), and their age (ms)."""

    lateness_ms: int  # how long after its end a window is complete
    _done_s: float | None = None
    _rest_s: float = 0.0

    def rest_s(self, now_s: float, age_ms: int) -> float:
        """Return how long the writes of a window may rest all in all, told as the worker gets it.

        `age_ms` is how long ago it ended.
        """
        idle_s = 0.0 if self._done_s is None else now_s - self._done_s
        # What the last window rested would have been waited for as well.
        spare_s = SPARE * (idle_s + self._rest_s)
        rest_s = min(spare_s, REST_S_MAX, (self.lateness_ms + SOON_MS - age_ms) / 1000)
        self._rest_s = rest_s if rest_s >= REST_S_MIN else 0.0
        return self._rest_s

    def done(self, now_s: float) -> None:
        """Take note of when the worker was done with that window."""
        self._done_s = now_s


def calls_at_once(calls: int, rest_s: float, most: int) -> int:
    """Return how many calls of a window to hand over between two rests, none of which is too short."""
    rests = int(rest_s / REST_S_MIN)
    return max(1, min(most, math.ceil(calls / (rests + 1))))
