"""What each unit of a day cost, of many meters at once: infra/contracts/price_steps.py as columns. Pure.

Meters that are priced alike have the same pieces of a day: hours in a row by one list of prices, cut at the
tiers. How much each of them used in a piece differs, and so does where the price turns.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch.local_hours import Ints
from infra.contracts.price_steps import PRICE_SEPARATOR, STEP_SEPARATOR, STEPS_CHARS_MAX

_BEFORE_ALL = np.iinfo(np.int64).min
_AFTER_ALL = np.iinfo(np.int64).max


@dataclasses.dataclass(frozen=True)
class Piece:
    """A part of the day of n meters that has one price: what each of them used in it, in their order."""

    used: Ints
    price_micro: int


@dataclasses.dataclass(frozen=True)
class Steps:
    """Steps of many meters one below the other: from which unit of whose day on which price holds."""

    row: Ints
    usage_from: Ints
    price_micro: Ints

    @classmethod
    def of(cls, row: Ints, pieces: Sequence[Piece], opening: Ints) -> "Steps":
        """Return the steps of meters by the pieces of their day, in the order of the day.

        `row` names the meters; `opening` is the price of whatever comes first, for those that used nothing.
        """
        prices = np.array([piece.price_micro for piece in pieces], np.int64)
        used = np.stack([piece.used for piece in pieces], axis=1)
        begins = np.cumsum(used, axis=1) - used
        whose, which = np.nonzero(used)
        turns = np.ones(len(whose), np.bool_)
        turns[1:] = (whose[1:] != whose[:-1]) | (prices[which[1:]] != prices[which[:-1]])
        whose, which = whose[turns], which[turns]
        idle = np.flatnonzero(~used.any(axis=1))
        return cls(
            np.concatenate([row[whose], row[idle]]),
            np.concatenate([begins[whose, which], np.zeros(len(idle), np.int64)]),
            np.concatenate([prices[which], opening[idle]]),
        )

    @classmethod
    def gathered(cls, parts: Sequence["Steps"]) -> "Steps":
        """Return all steps of some, each part of other meters."""
        if not parts:
            none = np.zeros(0, np.int64)
            return cls(none, none, none)
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def texts(self, count: int, unknown: npt.NDArray[np.bool_]) -> Any:
        """Return the column's texts of meters 0 to count, empty where there are none or they are unknown."""
        order = np.argsort(self.row, kind="stable")
        offsets = np.zeros(count + 1, np.int32)
        offsets[1:] = np.cumsum(np.bincount(self.row, minlength=count))
        columns = [pa.array(one[order]).cast(pa.string()) for one in (self.usage_from, self.price_micro)]
        steps = pc.binary_join_element_wise(*columns, PRICE_SEPARATOR)
        texts = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), steps), STEP_SEPARATOR)
        hidden = pc.or_(pa.array(unknown), pc.greater(pc.binary_length(texts), STEPS_CHARS_MAX))
        return pc.if_else(hidden, "", texts)


def pieces_of(prices: Ints, tiers_from: Sequence[int], before: Ints, after: Ints) -> list[Piece]:
    """Return the pieces of some hours in a row of n meters that are priced alike.

    :param prices: by tier and hour.
    :param before: the month's usage of each meter as the hours begin, by which tiers go.
    :param after: the same as each hour ends, [n, hours].
    """
    turns = np.flatnonzero((np.diff(prices, axis=1) != 0).any(axis=0)) + 1
    pieces = []
    since = before
    for first, end in zip([0, *turns], [*turns, prices.shape[1]], strict=True):
        until = after[:, end - 1]
        floors = [_BEFORE_ALL, *tiers_from[1:]]
        for tier, (floor, ceiling) in enumerate(zip(floors, [*tiers_from[1:], _AFTER_ALL], strict=True)):
            if until.max() >= floor and since.min() < ceiling:
                used = np.clip(until, floor, ceiling) - np.clip(since, floor, ceiling)
                pieces.append(Piece(used, int(prices[tier, first])))
        since = until
    return pieces


def opening_prices(prices: Ints, tiers_from: Sequence[int], before: Ints) -> Ints:
    """Return the price of the next unit of each of n meters as some hours begin; see `pieces_of`."""
    tier = np.searchsorted(np.array(tiers_from[1:], np.int64), before, side="right")
    opening: Ints = prices[tier, 0]
    return opening
