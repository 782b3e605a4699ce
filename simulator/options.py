"""What the command line's words mean: instants and rates. Pure; `now` is an argument."""

import dataclasses
import datetime

from infra.contracts.durations import DAY_MS


class OptionError(ValueError):
    """A word on the command line that cannot be understood."""


@dataclasses.dataclass(frozen=True)
class Rate:
    """How fast a run goes; exactly one of three."""

    unlimited: bool = False
    real_time: bool = False
    heartbeats_s: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read `max`, `real-time` or a number of heartbeats a second.

        :raises OptionError: saying so.
        """
        if text == "max":
            return cls(unlimited=True)
        if text == "real-time":
            return cls(real_time=True)
        try:
            rate = float(text)
        except ValueError:
            rate = 0.0
        if not 0 < rate < float("inf"):
            raise OptionError(f"--rate is {text!r}. Give real-time, max or a number of heartbeats a second")
        return cls(heartbeats_s=rate)

    def speed(self, fleet_heartbeats_s: float) -> float | None:
        """Return event time over wall time for a fleet that sends so much; None for no limit."""
        if self.unlimited:
            return None
        return 1.0 if self.real_time else self.heartbeats_s / fleet_heartbeats_s

    def from_s(self, from_ms: int, now_s: float) -> float:
        """Return the wall clock's seconds at which event time shows `from_ms`.

        Real time is the wall clock's: a fleet that begins in the past, or falls behind, catches up.
        """
        return from_ms / 1_000 if self.real_time else now_s


def instant_ms(option: str, text: str, now_ms: int) -> int:
    """Read `now`, `yesterday` (its 00:00Z) or an ISO-8601 instant with Z or an offset.

    :raises OptionError: naming the option.
    """
    if text == "now":
        return now_ms
    if text == "yesterday":
        return now_ms // DAY_MS * DAY_MS - DAY_MS
    try:
        instant = datetime.datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise OptionError(
            f"{option} is {text!r}. Give now, yesterday, or an instant such as 2026-03-29T00:00:00Z"
        )
    return round(instant.timestamp() * 1_000)


def night_day(text: str) -> int:
    """Read the UTC day of a night, YYYY-MM-DD, as days since 1970.

    :raises OptionError: naming it.
    """
    try:
        night = datetime.date.fromisoformat(text)
    except ValueError:
        raise OptionError(f"--night is {text!r}. Give a UTC day such as 2026-03-29") from None
    return (night - datetime.date(1970, 1, 1)).days


def day_text(day: int) -> str:
    """Return a UTC day, in days since 1970, as YYYY-MM-DD."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()
