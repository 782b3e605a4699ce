"""What a night's energy costs, for many meters at once: pure numpy, exact in integers.

Each hour has the price of the local day and hour in which it begins (batch/local_hours.py). Tiers are by the
usage since the household's local month began, or since the last move in or out if that was later; an hour
that passes a tier's bound is split there to the unit.
"""

import dataclasses
import datetime
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from batch.agreements import DAYS_AROUND, VACANT, Occupancy
from batch.local_hours import HOURS_A_NIGHT, OPEN_DAY, Ints, day_number, local_hours, month_start
from batch.night import NightRefused
from batch.tariffs import Tariffs, Version, kind_of_day
from batch.unit_prices import Piece, Steps, opening_prices, pieces_of

Whole = npt.NDArray[np.integer[Any]]
INT64_MAX = np.iinfo(np.int64).max
_BITS = 1 << np.arange(DAYS_AROUND, dtype=np.int64)


@dataclasses.dataclass(frozen=True)
class Priced:
    """A night's money, an entry a meter; money in micro-cents, usage in the utility's unit."""

    cost: Ints
    """Of the energy used in the UTC day."""
    month_usage: Ints
    """Since the local month, or the last move in or out, as of the night's end."""
    month_cost: Ints
    """The energy of that usage."""
    price_steps: Any
    """The day's units by price, as texts (infra/contracts/price_steps.py)."""


@dataclasses.dataclass(frozen=True)
class _Span:
    """The hours of a night that one local day has of it."""

    column: int  # of an Occupancy
    hours: slice
    day: int
    hour: Ints  # local
    fresh_since: int  # an agreement that began later than this day restarts the tiers
    new_month: bool


def price_hours(
    tariffs: Tariffs,
    occupancy: Occupancy,
    zones: Sequence[str],
    zone: Ints,
    night: datetime.date,
    hours: Whole,
    month_usage_before: Ints,
    month_cost_before: Ints,
) -> Priced:
    """Price the 24 hours of a UTC night.

    :param occupancy: by which plan each of n meters is paid for, see batch/agreements.py.
    :param zones: names of IANA zones; `zone[n]` is each meter's place among them.
    :param hours: usage by UTC hour, [n, 24].
    :param month_usage_before: month_usage[n] of the night before, 0 if there is none.
    :param month_cost_before: month_cost[n] of the night before, 0 if there is none.
    :raises NightRefused: if a zone is unknown, a plan has no price on a day, or money does not fit 64 bits.
    """
    _assert_fits(tariffs, hours, month_cost_before)
    spans = [_spans(name, night) for name in zones]
    plan, restarts = _touched(occupancy, spans, zone)
    cost = np.zeros(len(zone), np.int64)
    month_usage = np.array(month_usage_before, np.int64)
    month_cost = np.array(month_cost_before, np.int64)
    steps = []
    for rows in _alike(zone, plan, restarts):
        first = rows[0]
        used, paid = month_usage[rows], month_cost[rows]
        day = _Day()
        for span in spans[zone[first]]:
            if restarts[first, span.column]:
                used, paid = np.zeros_like(used), np.zeros_like(paid)
            after = used[:, None] + np.cumsum(hours[rows, span.hours], axis=1, dtype=np.int64)
            if plan[first, span.column] != VACANT:
                version = tariffs.plans[plan[first, span.column]].on(span.day)
                prices = _prices(version, span)
                spent = _cost(version, prices, used, after)
                cost[rows] += spent
                paid = paid + spent
                day.paid(version, prices, used, after)
            else:
                day.free(after[:, -1] - used)
            used = after[:, -1]
        month_usage[rows], month_cost[rows] = used, paid
        steps += day.steps(rows)
    texts = Steps.gathered(steps).texts(len(zone), (hours < 0).any(axis=1))
    return Priced(cost, month_usage, month_cost, texts)


def units_beyond(bound: int, before: Ints, after: Ints) -> Ints:
    """Return how much of a usage lies beyond a bound: the month's usage was `before`, and is `after`."""
    beyond: Ints = np.maximum(after, bound) - np.maximum(before, bound)
    return beyond


class _Day:
    """The pieces of a day of meters that are priced alike, in their order."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._opening: Ints | None = None
        self._vacant = True

    def paid(self, version: Version, prices: Ints, used: Ints, after: Ints) -> None:
        """Add hours that are paid for; see `pieces_of`."""
        self._vacant = False
        if self._opening is None:
            self._opening = opening_prices(prices, version.tiers_from, used)
        self._pieces += pieces_of(prices, version.tiers_from, used, after)

    def free(self, used: Ints) -> None:
        """Add hours that nobody pays for."""
        if self._opening is None:
            self._opening = np.zeros(len(used), np.int64)
        self._pieces.append(Piece(used, 0))

    def steps(self, rows: Ints) -> list[Steps]:
        """Return the steps of these meters, none if their place is vacant all day."""
        return [] if self._vacant or self._opening is None else [Steps.of(rows, self._pieces, self._opening)]


def _prices(version: Version, span: _Span) -> Ints:
    """Return the prices of a span's hours, by tier and hour."""
    kind = int(kind_of_day(np.array(span.day)))
    prices: Ints = version.price_micro[:, kind, span.hour]
    return prices


def _cost(version: Version, prices: Ints, used: Ints, after: Ints) -> Ints:
    """Return the cost of a span's hours: the first tier's price for all, and each tier's step beyond it."""
    before = np.concatenate([used[:, None], after[:, :-1]], axis=1)
    steps = np.diff(prices, axis=0, prepend=0)
    cost: Ints = (after - before) @ steps[0]
    for bound, step in zip(version.tiers_from[1:], steps[1:], strict=True):
        if after.max() > bound or before.max() > bound:
            cost += units_beyond(bound, before, after) @ step
    return cost


def _spans(zone: str, night: datetime.date) -> list[_Span]:
    """Return a night's local days in a zone, in their order."""
    local = local_hours(zone, night)
    starts = [0, *(np.flatnonzero(np.diff(local.day)) + 1).tolist(), HOURS_A_NIGHT]
    spans = []
    for start, end in itertools.pairwise(starts):
        day = int(local.day[start])
        before = local.day_before if start == 0 else int(local.day[start - 1])
        spans.append(
            _Span(
                column=day - day_number(night) + 1,
                hours=slice(start, end),
                day=day,
                hour=local.hour[start:end],
                fresh_since=before if day > before else OPEN_DAY,
                new_month=month_start(day) > before,
            )
        )
    return spans


def _touched(
    occupancy: Occupancy, spans: Sequence[Sequence[_Span]], zone: Ints
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return the plans of those days that have hours in the night, and where their first hour restarts."""
    touched = np.zeros((len(spans), DAYS_AROUND), bool)
    fresh_since = np.full((len(spans), DAYS_AROUND), OPEN_DAY, np.int64)
    new_month = np.zeros((len(spans), DAYS_AROUND), bool)
    for place, of_zone in enumerate(spans):
        for span in of_zone:
            touched[place, span.column] = True
            fresh_since[place, span.column] = span.fresh_since
            new_month[place, span.column] = span.new_month
    plan = np.where(touched[zone], occupancy.plan, VACANT)
    return plan, (occupancy.since > fresh_since[zone]) | new_month[zone]


def _alike(zone: Ints, plan: Ints, restarts: npt.NDArray[np.bool_]) -> Iterator[Ints]:
    """Yield the rows that are priced alike, group by group: a few hundred for any number of meters."""
    code = zone.astype(np.int64)
    for column in range(DAYS_AROUND):
        code = code * (int(plan.max(initial=VACANT)) + 2) + plan[:, column] + 1
    code = code * (1 << DAYS_AROUND) + restarts @ _BITS
    order = np.argsort(code, kind="stable")
    ends = np.flatnonzero(np.diff(code[order])) + 1
    yield from (rows for rows in np.split(order, ends) if len(rows))


def _assert_fits(tariffs: Tariffs, hours: Whole, month_cost: Ints) -> None:
    """Refuse usage so great that its cost might not fit 64 bits. Sums on the way may wrap: they end right."""
    usage = HOURS_A_NIGHT * _greatest(hours)
    if usage * tariffs.price_micro_max + _greatest(month_cost) > INT64_MAX:
        raise NightRefused(
            f"cost does not fit 64 bits: up to {usage} units a day "
            f"at up to {tariffs.price_micro_max} micro-cents a unit"
        )


def _greatest(values: Whole) -> int:
    return max(abs(int(values.max(initial=0))), abs(int(values.min(initial=0))))
