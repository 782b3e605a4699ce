"""How a published figure came about: the words of validation, estimation and editing, for batch and serving.

One letter an hour in `usage_days.quality`, 24 of them.
"""

import enum


class Quality(enum.StrEnum):
    """How the usage of one hour is known. ESPI's QualityOfReading codes are given in brackets."""

    MEASURED = "M"
    """Between two registers that the meter sent around the hour's bounds (17, validated)."""
    INTERPOLATED = "I"
    """A short silence, its usage known and spread evenly over its time (9)."""
    ESTIMATED = "E"
    """A longer silence, its usage known and spread as the household's own past days of that class (8)."""
    PROJECTED = "P"
    """The meter has not been heard since: nothing bounds the figure, and a later night revises it (12)."""
    CORRECTED = "C"
    """A register was set aside as wrong, began again at 0, or the utility's own read took its place (7)."""

    @property
    def word(self) -> str:
        """The word for people and for the API."""
        return self.name.lower()


class Rule(enum.StrEnum):
    """What validation found in a meter's day; the names are stable."""

    GAP = "gap"
    """Silent for longer than short losses explain."""
    SPIKE = "spike"
    """Registers that leave their course for a moment and come back."""
    NEGATIVE = "negative"
    """A register that fell, and nothing explains it."""
    STUCK = "stuck"
    """The register stands still for hours while the meter reports a flow."""
    RATE = "rate"
    """A rate, or usage in an hour, that the connection cannot carry."""
    ZERO = "zero"
    """Neither register nor flow for half a day, where somebody lives."""
    LEAK = "leak"
    """Water that never rests throughout a UTC day, at a home."""
    READ = "read"
    """The register is not what the utility read itself."""
    CLOCK = "clock"
    """Heartbeats by a clock that is not the meter's usual one."""
    ROLLOVER = "rollover"
    """The dial passed its maximum. An event, no fault."""
    RESET = "reset"
    """The register began again at 0. An event; counted on without a break."""
    EXCHANGE = "exchange"
    """The meter was replaced, as master data say. An event, no fault."""


FAULT_RULES = tuple(rule for rule in Rule if rule not in (Rule.ROLLOVER, Rule.RESET, Rule.EXCHANGE))
