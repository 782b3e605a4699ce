"""One meter's truth as rows, and which layer a figure rests on."""

import dataclasses
import enum
import functools
import operator
from collections.abc import Mapping
from typing import NamedTuple

from infra.contracts.nightly import HOUR_COLUMNS
from infra.contracts.quality import Quality
from infra.contracts.utility import Utility

ALL_MEASURED = Quality.MEASURED * len(HOUR_COLUMNS)


class Layer(enum.StrEnum):
    """Where a register comes from."""

    TRUTH = "truth"
    LIVE = "live"


@dataclasses.dataclass(frozen=True)
class Revision:
    """That a row has a predecessor: since when (ms since 1970) it is as it is, and why."""

    at: int
    reason: str


class UsageDay(NamedTuple):
    """One published row: a meter's UTC day, as `infra/contracts/nightly.py` lays it down.

    `serving/stores/near_truth.py` asks for the fields in this order.
    """

    night_ms: int  # the day's start
    utility: Utility
    register_start: int
    register_end: int
    first_sent_at: int | None
    hours: tuple[int, ...]
    quality: str = ALL_MEASURED  # a letter an hour
    register_offset: int = 0
    month_cost: int | None = None  # micro-cents
    revision: Revision | None = None
    price_steps: str = ""  # infra/contracts/price_steps.py; empty where the day's price is not known


@dataclasses.dataclass(frozen=True)
class Truth:
    """One snapshot of MySQL: T, the nights that are published, and one user's rows of them."""

    truth_until: int | None = None  # T, ms since 1970; None before the first night
    nights: frozenset[int] = frozenset()  # starts of the published UTC days that were asked for
    rows: tuple[UsageDay, ...] = ()

    @functools.cached_property
    def nights_sorted(self) -> list[int]:
        """The published nights, the oldest first."""
        return sorted(self.nights)

    @functools.cached_property
    def by_utility(self) -> Mapping[Utility, Mapping[int, UsageDay]]:
        """Each utility's rows by their nights, the oldest first."""
        found: dict[Utility, dict[int, UsageDay]] = {}
        for row in sorted(self.rows, key=operator.attrgetter("night_ms")):
            found.setdefault(row.utility, {})[row.night_ms] = row
        return found
