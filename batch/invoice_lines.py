"""What a month's usage comes to by price, for many households at once: pure numpy, exact in integers.

Usage is put to local days and hours and split by tier as in batch/pricing.py, so that the micro-cents of a
household's lines are those of its nights.
"""

import dataclasses
import datetime
import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from batch.agreements import VACANT, Agreements
from batch.local_hours import HOURS_A_NIGHT, Ints, LocalHours, date_of, day_number, local_hours
from batch.pricing import units_beyond
from batch.tariffs import Plan, Price, Tariffs, kind_of_day
from infra.contracts.invoices import rounded
from infra.contracts.quality import Quality
from infra.contracts.utility import UTILITIES, Utility

CHECKSUM_BYTES = 8
_MEASURED = ord(Quality.MEASURED)

Stay = tuple[int, int, int]  # plan, first local day, local day after the last


@dataclasses.dataclass(frozen=True)
class Month:
    """A calendar month, in days since 1970, and the UTC nights that any zone's hours of it lie in."""

    first: datetime.date

    @classmethod
    def named(cls, text: str) -> "Month":
        """Return the month written YYYY-MM.

        :raises ValueError: if the text names none.
        """
        try:
            return cls(datetime.datetime.strptime(text, "%Y-%m").date())  # noqa: DTZ007 - a month has no zone
        except ValueError:
            raise ValueError(f"{text!r} is not a month like 2026-10") from None

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}"

    @property
    def day_from(self) -> int:
        """Its first local day."""
        return day_number(self.first)

    @property
    def day_until(self) -> int:
        """The first local day after it."""
        return day_number((self.first + datetime.timedelta(days=31)).replace(day=1))

    @property
    def first_night(self) -> datetime.date:
        """The first UTC day that any zone's month may have hours in."""
        return self.first - datetime.timedelta(days=1)

    @property
    def nights(self) -> int:
        """How many UTC days there are, from first_night on."""
        return self.day_until - self.day_from + 2

    def hours(self, zone: str) -> tuple[int, int]:
        """Return which hours since first_night a zone's month has: the first and the one after its last."""
        local = local_hours(zone, self.first_night, self.nights)
        first, end = np.searchsorted(local.day, [self.day_from, self.day_until]).tolist()
        return first, end


@dataclasses.dataclass(frozen=True)
class MonthUsage:
    """The usage of n users from a month's first_night on; zero where there is no row."""

    zones: Sequence[str]
    user_id: Ints
    zone: Ints
    """[n], the place in `zones`."""
    hours: Ints
    """[n, utility's code, night, UTC hour], in the utility's unit."""
    quality: npt.NDArray[np.uint8]
    """The same shape: the letters of infra/contracts/quality.py."""
    row_checksum: npt.NDArray[np.uint64]
    """[n, utility's code, night]: of each row of usage_days."""


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of an invoice; infra/contracts/invoices.py says what its figures are. Days are since 1970."""

    utility: Utility
    component: str
    label: str
    tier_from: int
    quantity: int
    quantity_estimated: int
    price_micro: int
    day_from: int
    day_until: int
    night_from: datetime.date | None = None
    night_to: datetime.date | None = None
    rows_checksum: int | None = None

    @property
    def amount_micro(self) -> int:
        """The exact amount, in micro-cents."""
        return self.quantity * self.price_micro

    @functools.cached_property
    def amount(self) -> int:
        """The amount in the currency's minor unit."""
        return rounded(self.amount_micro)

    @property
    def unit(self) -> str:
        """What the quantity is counted in."""
        if self.component == "energy":
            return self.utility.unit
        return "day" if self.component == "standing" else "minor"


class Charge(NamedTuple):
    """A line, and what taxes are levied on it."""

    line: Line
    taxes: tuple[Price, ...]
    currency: str


@dataclasses.dataclass
class Charges:
    """One user's charges of a month, by utility; `usage` is a checksum over all usage in them."""

    lines: list[Charge] = dataclasses.field(default_factory=list)
    usage: Any = dataclasses.field(default_factory=lambda: hashlib.blake2b(digest_size=CHECKSUM_BYTES))


class _Item(NamedTuple):
    """What has a line of its own: the same price in a later row of the tariffs has another."""

    component: str
    label: str
    tier_from: int
    price_micro: int
    valid_from: int
    valid_until: int
    taxes: tuple[Price, ...]


@dataclasses.dataclass
class _Sum:
    """An item's quantities of a group of meters, and its local days."""

    quantity: Ints
    estimated: Ints
    day_from: int
    day_until: int


def charges(month: Month, usage: MonthUsage, tariffs: Tariffs, agreements: Agreements) -> list[Charges]:
    """Return what each user is to pay for energy and standing, taxes aside; no line where nothing was agreed.

    :raises NightRefused: if a zone is unknown, or a plan has no price on a day with an agreement.
    """
    found = [Charges() for _ in usage.user_id]
    for utility in UTILITIES:
        for (zone, stays), members in _alike(month, usage, utility, agreements):
            local = local_hours(usage.zones[zone], month.first_night, month.nights)
            for plan, day_from, day_until in stays:
                first, end = np.searchsorted(local.day, [day_from, day_until]).tolist()
                hours = usage.hours[members, utility.code].reshape(len(members), -1)[:, first:end]
                quality = usage.quality[members, utility.code].reshape(len(members), -1)[:, first:end]
                for member, used, letters in zip(members.tolist(), hours, quality, strict=True):
                    found[member].usage.update(used.tobytes())
                    found[member].usage.update(letters.tobytes())
                within = LocalHours(local.day[first:end], local.hour[first:end], day_from - 1)
                sums = _sums(tariffs.plans[plan], (plan, day_from, day_until), within, hours, quality)
                checksums = usage.row_checksum[members, utility.code]
                for item, total in sums.items():
                    lines = _lines(month, utility, item, total, local, checksums)
                    for at, line in lines:
                        charge = Charge(line, item.taxes, tariffs.plans[plan].currency)
                        found[members[at]].lines.append(charge)
    return found


def _alike(
    month: Month, usage: MonthUsage, utility: Utility, agreements: Agreements
) -> Iterator[tuple[tuple[int, tuple[Stay, ...]], Ints]]:
    """Yield users of the same zone with agreements by the same plans on the same days of the month."""
    code = np.full_like(usage.user_id, utility.code)
    plan, since, _ = agreements.on(usage.user_id, code, month.day_from)
    last_plan, last_since, _ = agreements.on(usage.user_id, code, month.day_until - 1)
    stayed = (plan != VACANT) & (plan == last_plan) & (since == last_since)
    groups: dict[tuple[int, tuple[Stay, ...]], list[int]] = defaultdict(list)
    known = zip(usage.user_id.tolist(), usage.zone.tolist(), plan.tolist(), stayed.tolist(), strict=True)
    for at, (user_id, zone, one_plan, whole) in enumerate(known):
        stays = (
            [(one_plan, month.day_from, month.day_until)]
            if whole
            else agreements.stays(user_id, utility.code, month.day_from, month.day_until)
        )
        groups[zone, tuple(stays)].append(at)
    for group, members in groups.items():
        yield group, np.array(members, np.int64)


def _sums(
    plan: Plan, stay: Stay, local: LocalHours, hours: Ints, quality: npt.NDArray[np.uint8]
) -> dict[_Item, _Sum]:
    """Return the quantities of one agreement's items; all arrays are of its hours only."""
    sums: dict[_Item, _Sum] = {}
    unmeasured = (quality != _MEASURED).astype(np.int64)
    after = np.cumsum(hours, axis=1)
    before = after - hours
    for version, day_from, day_until in plan.between(*stay[1:]):
        part = slice(*np.searchsorted(local.day, [day_from, day_until]).tolist())
        kind, hour = kind_of_day(local.day[part]), local.hour[part]
        beyond = hours[:, part]
        for tier in range(len(version.tiers_from)):
            units = beyond
            if tier + 1 < len(version.tiers_from):
                beyond = units_beyond(version.tiers_from[tier + 1], before[:, part], after[:, part])
                units = units - beyond
            estimated = units * unmeasured[:, part]
            index = version.price_index[tier, kind, hour]
            for place in np.unique(index).tolist():
                price = version.energy[place]
                at = (index == place).astype(np.int64)
                item = _item(price, version.taxes)
                _add(sums, item, units @ at, estimated @ at, day_from, day_until)
        for price in version.standing:
            days = np.full(len(hours), day_until - day_from, np.int64)
            _add(sums, _item(price, version.taxes), days, np.zeros_like(days), day_from, day_until)
    return sums


def _item(price: Price, taxes: tuple[Price, ...]) -> _Item:
    return _Item(
        price.component,
        price.label,
        price.tier_from,
        price.price_micro,
        price.valid_from,
        price.valid_until,
        taxes,
    )


def _add(
    sums: dict[_Item, _Sum], item: _Item, quantity: Ints, estimated: Ints, day_from: int, day_until: int
) -> None:
    total = sums.get(item)
    if total is None:
        sums[item] = _Sum(quantity, estimated, day_from, day_until)
    else:
        total.quantity = total.quantity + quantity
        total.estimated = total.estimated + estimated
        total.day_until = day_until


def _lines(
    month: Month,
    utility: Utility,
    item: _Item,
    total: _Sum,
    local: LocalHours,
    checksums: npt.NDArray[np.uint64],
) -> Iterator[tuple[int, Line]]:
    """Yield an item's line of each meter that has a quantity of it, with the meter's place in the group."""
    some = np.flatnonzero((total.quantity != 0) | (total.estimated != 0))
    trace: dict[str, Any] = {}
    rows = [None] * len(some)
    if item.component == "energy":
        first, end = np.searchsorted(local.day, [total.day_from, total.day_until]).tolist()
        nights = slice(first // HOURS_A_NIGHT, (end - 1) // HOURS_A_NIGHT + 1)
        night = day_number(month.first_night)
        trace = {"night_from": date_of(night + nights.start), "night_to": date_of(night + nights.stop - 1)}
        rows = np.bitwise_xor.reduce(checksums[some, nights], axis=1).tolist()
    figures = zip(
        some.tolist(), total.quantity[some].tolist(), total.estimated[some].tolist(), rows, strict=True
    )
    for at, quantity, estimated, checksum in figures:
        yield (
            at,
            Line(
                utility,
                item.component,
                item.label,
                item.tier_from,
                quantity,
                estimated,
                item.price_micro,
                total.day_from,
                total.day_until,
                **trace,
                rows_checksum=checksum,
            ),
        )
