"""Who pays for what by which plan, day by day, of as many users as there are: pure."""

import dataclasses
import datetime
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch.local_hours import OPEN_DAY, Ints, date_of, day_number
from batch.tariffs import Tariffs, master_table, rows_refused
from infra.contracts import master_data
from infra.contracts.utility import UTILITIES

VACANT = -1
NEVER = -OPEN_DAY
DAYS_AROUND = 3  # no zone's day is further from a UTC day than the one before or after it
_DAY_BITS = 20
_UTILITY_BITS = 2


@dataclasses.dataclass(frozen=True)
class Occupancy:
    """By which plan each meter is paid for around a night.

    Both arrays have the shape [meters, DAYS_AROUND]: the local days night - 1, night and night + 1.
    """

    plan: Ints
    """The place in Tariffs.plans, VACANT without an agreement."""
    since: Ints
    """The local day the agreement began, or else the last one ended, in days since 1970; NEVER: none did."""

    @classmethod
    def of(cls, night: datetime.date, stays: Iterable[tuple[Ints, Ints, Ints]]) -> "Occupancy":
        """Return the occupancy by agreements as columns, for instance of a join.

        Each of `stays` has at most one agreement a meter: plan (VACANT: none), moved_in and moved_out as days
        since 1970 (OPEN_DAY: still there). Agreements that touch none of the three days may be left out.
        """
        around = day_number(night) + np.arange(-1, DAYS_AROUND - 1, dtype=np.int64)
        plans, sinces = [], []
        for plan, moved_in, moved_out in stays:
            within = (moved_in[:, None] <= around) & (around < moved_out[:, None])
            stays_here = within & (plan[:, None] >= 0)
            gone = (plan[:, None] >= 0) & (moved_out[:, None] <= around)
            plans.append(np.where(stays_here, plan[:, None], VACANT))
            sinces.append(np.where(stays_here, moved_in[:, None], np.where(gone, moved_out[:, None], NEVER)))
        return cls(np.max(plans, axis=0), np.max(sinces, axis=0))


@dataclasses.dataclass(frozen=True)
class Agreements:
    """All agreements, sorted by user, utility and day moved in; days are in days since 1970."""

    user_id: Ints
    utility: Ints  # Utility.code
    plan: Ints  # the place in Tariffs.plans
    moved_in: Ints
    moved_out: Ints  # OPEN_DAY where somebody still is there

    @classmethod
    def from_rows(
        cls,
        rows: "pa.Table | Sequence[Mapping[str, Any]]",
        tariffs: Tariffs,
        source: str = master_data.AGREEMENTS_PATH,
    ) -> "Agreements":
        """Return the agreements of the contract's rows.

        :raises NightRefused: naming `source` and the rows that break the contract.
        """
        table = master_table(rows, master_data.AGREEMENTS_COLUMNS, source)
        moved_in = _days(table["moved_in_on"])
        moved_out = _days(table["moved_out_on"])
        user_id = table["user_id"].to_numpy()
        utility = _codes(table["utility"], {str(one): one.code for one in UTILITIES})
        _refuse(source, utility < 0, f"unknown utility; there are {', '.join(UTILITIES)}")
        plan = _plans(table["plan"], utility, tariffs)
        _refuse(source, plan < 0, "the tariffs have no such plan for that utility")
        _refuse(source, moved_out <= moved_in, "moved_out_on is not after moved_in_on")
        order = np.argsort(_key(user_id, utility, moved_in), kind="stable")
        found = cls(*(column[order] for column in (user_id, utility, plan, moved_in, moved_out)))
        overlaps = np.flatnonzero(
            (np.diff(found.user_id) == 0)
            & (np.diff(found.utility) == 0)
            & (found.moved_in[1:] < found.moved_out[:-1])
        )
        for before in overlaps[:1].tolist():
            who = f"user {found.user_id[before]} for {UTILITIES[found.utility[before]]}"
            day = date_of(int(found.moved_in[before + 1]))
            both = sorted(order[[before, before + 1]].tolist())
            raise rows_refused(source, both, f"overlap of agreements of {who} on {day}")
        return found

    def on(self, user_id: Ints, utility: Ints, day: int) -> tuple[Ints, Ints, Ints]:
        """Return the plan, the day moved in and the day moved out of meters on a local day.

        Without an agreement the plan is VACANT, and moved_in is the day the last agreement ended, or NEVER.
        """
        if not len(self.user_id):
            none = np.full(len(user_id), VACANT, np.int64)
            return none, np.full_like(none, NEVER), np.full_like(none, OPEN_DAY)
        at = np.searchsorted(self._keys, _key(user_id, utility, day), side="right") - 1
        same = (at >= 0) & (self.user_id[at] == user_id) & (self.utility[at] == utility)
        within = same & (day < self.moved_out[at])
        since = np.where(within, self.moved_in[at], np.where(same, self.moved_out[at], NEVER))
        return np.where(within, self.plan[at], VACANT), since, np.where(within, self.moved_out[at], OPEN_DAY)

    def around(self, user_id: Ints, utility: Ints, night: datetime.date) -> Occupancy:
        """Return the occupancy of meters around a night; utilities by code."""
        found = [self.on(user_id, utility, day_number(night) + step) for step in range(-1, DAYS_AROUND - 1)]
        return Occupancy(
            plan=np.stack([plan for plan, _, _ in found], axis=1),
            since=np.stack([since for _, since, _ in found], axis=1),
        )

    def stays(self, user_id: int, utility: int, day_from: int, day_until: int) -> list[tuple[int, int, int]]:
        """Return one meter's agreements in local days [day_from, day_until): plan, first day, day after."""
        keys = self._keys
        first = np.searchsorted(keys, _key(user_id, utility, NEVER))
        last = np.searchsorted(keys, _key(user_id, utility, day_until))
        return [
            (
                int(self.plan[at]),
                max(int(self.moved_in[at]), day_from),
                min(int(self.moved_out[at]), day_until),
            )
            for at in range(first, last)
            if self.moved_out[at] > day_from
        ]

    @functools.cached_property
    def _keys(self) -> Ints:
        keys: Ints = _key(self.user_id, self.utility, self.moved_in)
        return keys


def _key(user_id: Any, utility: Any, day: Any) -> Any:
    """Return what sorts by user, utility and day, of integers or arrays; days are NEVER to OPEN_DAY."""
    return (((user_id << _UTILITY_BITS) | utility) << _DAY_BITS) + (day - NEVER)


def _days(column: pa.ChunkedArray) -> Ints:
    """Return dates in days since 1970, OPEN_DAY for a null."""
    days = pc.fill_null(column.cast(pa.int32()), OPEN_DAY).to_numpy()
    clipped: Ints = np.clip(days.astype(np.int64), NEVER, OPEN_DAY)
    return clipped


def _codes(column: pa.ChunkedArray, codes: Mapping[str, int]) -> Ints:
    """Return each word's code, -1 for a word without one."""
    words = pc.unique(column)
    table = np.array([codes.get(word, -1) for word in words.to_pylist()] or [-1], np.int64)
    found: Ints = table[pc.index_in(column, words).to_numpy()]
    return found


def _plans(column: pa.ChunkedArray, utility: Ints, tariffs: Tariffs) -> Ints:
    """Return each row's place in the tariffs' plans, -1 where there is no such plan for the utility."""
    names = sorted({plan.name for plan in tariffs.plans})
    places = np.array(
        [[tariffs.place(name, one) for one in UTILITIES] for name in names] or [[-1] * len(UTILITIES)],
        np.int64,
    )
    name = _codes(column, {name: code for code, name in enumerate(names)})
    return np.where(name >= 0, places[name, utility], -1)


def _refuse(source: str, wrong: "npt.NDArray[np.bool_]", what: str) -> None:
    if wrong.any():
        raise rows_refused(source, np.flatnonzero(wrong).tolist(), what)
