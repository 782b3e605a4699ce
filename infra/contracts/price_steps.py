"""What each unit of a day's energy cost: the text in `usage_days.price_steps`, from batch to serving.

`usage_from:price_micro;usage_from:price_micro;...` in decimal. Counted from the start of the UTC day, units
from `usage_from` on cost `price_micro` micro-cents each, up to the next step; the first step is from 0, and
each begins later than the one before. Units that nobody pays for, where a move splits the day, cost 0.

The text is empty where no price of a unit is known: the place is vacant all day, the night was published
before steps were, or there are more of them than STEPS_CHARS_MAX holds. An hour's cost is then unknown; that
of the day is in `cost`. Otherwise the costs of the hours sum to `cost`, to the micro-cent.
"""

import itertools
from collections.abc import Iterable, Sequence

PriceSteps = tuple[tuple[int, int], ...]

STEP_SEPARATOR = ";"
PRICE_SEPARATOR = ":"
STEPS_CHARS_MAX = 1_000


def encode(steps: Iterable[tuple[int, int]]) -> str:
    """Return steps (usage_from, price_micro) as the column has them."""
    return STEP_SEPARATOR.join(f"{usage_from}{PRICE_SEPARATOR}{price}" for usage_from, price in steps)


def decode(text: str) -> PriceSteps:
    """Return the steps (usage_from, price_micro) of a column's text, none of an empty one.

    :raises ValueError: if the text breaks the contract.
    """
    if not text:
        return ()
    parts = [step.split(PRICE_SEPARATOR) for step in text.split(STEP_SEPARATOR)]
    digits = all(len(part) == 2 and all(map(_is_number, part)) for part in parts)
    steps = tuple((int(part[0]), int(part[1])) for part in parts) if digits else ()
    if not steps or steps[0][0] or any(one[0] >= other[0] for one, other in itertools.pairwise(steps)):
        raise ValueError(f"price steps are malformed: {text!r} is not usage_from:price_micro;... from 0 up")
    return steps


def hour_costs(steps: Sequence[tuple[int, int]], hours: Sequence[int]) -> list[int]:
    """Return what each hour's usage cost, in micro-cents; `hours` is a UTC day's usage by hour, none below 0.

    :raises ValueError: without steps: what a unit cost is not known then.
    """
    if not steps:
        raise ValueError("price steps are empty: what an hour cost is unknown; ask for the day's cost")
    bounds = [_cost_up_to(steps, used) for used in itertools.accumulate(hours, initial=0)]
    return [after - before for before, after in itertools.pairwise(bounds)]


def _cost_up_to(steps: Sequence[tuple[int, int]], used: int) -> int:
    """Return what the first `used` units of the day cost."""
    ends = [*(usage_from for usage_from, _ in steps[1:]), used]
    return sum(
        (min(used, end) - usage_from) * price
        for (usage_from, price), end in zip(steps, ends, strict=True)
        if usage_from < used
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
