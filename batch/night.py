"""A night: one closed UTC day, named by its date, and the refusal to publish it."""

import dataclasses
import datetime

from infra.contracts.durations import DAY_MS

YESTERDAY = "yesterday"


class NightRefused(RuntimeError):  # noqa: N818 - as the contracts name theirs
    """A night that cannot be published as things are. Its message is one line; nothing was published."""


@dataclasses.dataclass(frozen=True)
class Night:
    """The UTC day [start_ms, end_ms), in ms since 1970."""

    day: datetime.date

    @classmethod
    def closed(cls, day: datetime.date, now: datetime.datetime) -> "Night":
        """Return the night of a day that is over at `now` (aware).

        :raises NightRefused: if the day is not over.
        """
        today = now.astimezone(datetime.UTC).date()
        if day >= today:
            raise NightRefused(f"night {day} is not over: it is still {today} in UTC")
        return cls(day)

    @classmethod
    def named(cls, text: str, now: datetime.datetime) -> "Night":
        """Return the night of a day written YYYY-MM-DD, or of `yesterday`, at `now` (aware).

        :raises NightRefused: if the day is not over.
        :raises ValueError: if the text names no day.
        """
        if text == YESTERDAY:
            return cls(now.astimezone(datetime.UTC).date() - datetime.timedelta(days=1))
        try:
            day = datetime.date.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text!r} is neither a day like 2026-03-29 nor `{YESTERDAY}`") from None
        return cls.closed(day, now)

    def until(self, last: "Night") -> "list[Night]":
        """Return this night and those after it up to `last`, none if that is before."""
        days = (last.day - self.day).days + 1
        return [Night(self.day + datetime.timedelta(days=number)) for number in range(days)]

    def before(self, count: int) -> "list[Night]":
        """Return so many nights before this one, the newest first."""
        return [Night(self.day - datetime.timedelta(days=number)) for number in range(1, count + 1)]

    def __str__(self) -> str:
        return self.day.isoformat()

    @property
    def truth_until(self) -> datetime.datetime:
        """The instant up to which this night is the truth: the day's end."""
        midnight = datetime.time(tzinfo=datetime.UTC)
        return datetime.datetime.combine(self.day + datetime.timedelta(days=1), midnight)

    @property
    def start_ms(self) -> int:
        """The day's first instant."""
        return self.end_ms - DAY_MS

    @property
    def end_ms(self) -> int:
        """The first instant after the day."""
        return int(self.truth_until.timestamp()) * 1_000

    @property
    def previous(self) -> "Night":
        """The night before, whose last registers this one starts from."""
        return Night(self.day - datetime.timedelta(days=1))

    @property
    def next(self) -> "Night":
        """The night after."""
        return Night(self.day + datetime.timedelta(days=1))
