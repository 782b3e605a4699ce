"""The three utilities, their topics and their units."""

import enum


class Utility(enum.StrEnum):
    """A utility; its value is the topic name and the word used in tables, paths and URLs."""

    ELECTRICITY = "electricity"
    GAS = "gas"
    WATER = "water"

    @property
    def code(self) -> int:
        """The utility's number on the wire: 0, 1 or 2."""
        return _CODES[self]

    @property
    def unit(self) -> str:
        """The unit of registers and usage."""
        return "Wh" if self is Utility.ELECTRICITY else "L"

    @property
    def rate_unit(self) -> str:
        """The unit of the instantaneous rate."""
        return "W" if self is Utility.ELECTRICITY else "L/h"


UTILITIES: tuple[Utility, ...] = tuple(Utility)
_CODES = {utility: code for code, utility in enumerate(UTILITIES)}
