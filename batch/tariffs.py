"""Tariffs out of master data, held to the contract before anything is priced by them: pure."""

import dataclasses
import datetime
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from batch.local_hours import OPEN_DAY, Ints, date_of, day_number
from batch.night import NightRefused
from infra.contracts import master_data
from infra.contracts.utility import UTILITIES

ROWS_NAMED_MAX = 5
HOURS_A_DAY = 24
DAY_KINDS = ("workday", "weekend")
PRICE_MICRO_MAX = 10**12  # a million minor units for one Wh or L, or a day: beyond it there is a mistake
TAX_PPM_MAX = 10**6
_CURRENCY_LETTERS = 3
_KINDS_OF = {"all": (0, 1), "workday": (0,), "weekend": (1,)}
_IS_TYPE = {
    "BIGINT": pa.types.is_integer,
    "INT": pa.types.is_integer,
    "DATE": pa.types.is_date,
    "STRING": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
}
_ARROW = {"BIGINT": pa.int64(), "INT": pa.int32(), "DATE": pa.date32(), "STRING": pa.string()}


@dataclasses.dataclass(frozen=True)
class Price:
    """One row of the tariffs; days are in days since 1970, `row` is its number in the object, from 0."""

    row: int
    component: str
    label: str
    days: str
    hour_from: int
    hour_to: int
    tier_from: int
    price_micro: int
    currency: str
    valid_from: int
    valid_until: int

    def valid_on(self, day: int) -> bool:
        """Whether the price is valid on a local day."""
        return self.valid_from <= day < self.valid_until


@dataclasses.dataclass(frozen=True)
class Version:
    """All prices of a plan on local days [valid_from, valid_until), in which none of them changes."""

    valid_from: int
    valid_until: int
    tiers_from: tuple[int, ...]
    """Where each tier of the month's usage begins, ascending from 0."""
    price_micro: Ints
    """By tier, kind of day (0 workday, 1 weekend) and local hour."""
    price_index: Ints
    """The same shape: which of `energy` it is."""
    energy: tuple[Price, ...]
    standing: tuple[Price, ...]
    taxes: tuple[Price, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """The prices of one utility under one name; its versions follow each other without a gap."""

    name: str
    utility: str
    currency: str
    versions: tuple[Version, ...]

    def __str__(self) -> str:
        return f"plan {self.name} ({self.utility})"

    def between(self, day_from: int, day_until: int) -> list[tuple[Version, int, int]]:
        """Return the versions of local days [day_from, day_until), each with the days it has of them.

        :raises NightRefused: if on one of these days the plan has no price.
        """
        first, last = self.versions[0].valid_from, self.versions[-1].valid_until
        if day_from < first or day_until > last:
            missing = day_from if day_from < first else max(day_from, last)
            raise NightRefused(
                f"{self} has no prices on {date_of(missing)}, when there are agreements by it; "
                f"mend {master_data.TARIFFS_PATH} or {master_data.AGREEMENTS_PATH}"
            )
        return [
            (version, max(version.valid_from, day_from), min(version.valid_until, day_until))
            for version in self.versions
            if version.valid_from < day_until and version.valid_until > day_from
        ]

    def on(self, day: int) -> Version:
        """Return the version of a local day.

        :raises NightRefused: if there is none.
        """
        [(version, _, _)] = self.between(day, day + 1)
        return version


class Tariffs:
    """Every plan; rows of agreements name it by its place in `plans`."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self.plans = tuple(plans)
        self._places = {(plan.name, plan.utility): place for place, plan in enumerate(self.plans)}
        prices = (version.price_micro.max() for plan in self.plans for version in plan.versions)
        self.price_micro_max = int(max(prices, default=0))

    @classmethod
    def from_rows(
        cls, rows: "pa.Table | Sequence[Mapping[str, Any]]", source: str = master_data.TARIFFS_PATH
    ) -> "Tariffs":
        """Return the tariffs of the contract's rows.

        :raises NightRefused: naming `source` and the rows that break the contract.
        """
        table = master_table(rows, master_data.TARIFFS_COLUMNS, source)
        by_plan: dict[tuple[str, str], list[Price]] = {}
        seen: dict[tuple[Any, ...], int] = {}
        for number, row in enumerate(table.to_pylist()):
            before = seen.setdefault(tuple(row.values()), number)
            if before != number:
                raise rows_refused(source, [before, number], "the same price twice")
            price = _price(row, number, source)
            by_plan.setdefault((row["plan"], row["utility"]), []).append(price)
        return cls(_plan(name, utility, by_plan[name, utility], source) for name, utility in sorted(by_plan))

    def place(self, plan: str, utility: str) -> int:
        """Return a plan's place in `plans`, -1 if there is no such plan."""
        return self._places.get((plan, utility), -1)


def kind_of_day(day: Ints) -> Ints:
    """Return 1 where a local day, in days since 1970, is a Saturday or Sunday, else 0."""
    return ((day + 3) % 7 >= 5).astype(np.int64)


def master_table(
    rows: "pa.Table | Sequence[Mapping[str, Any]]", columns: Mapping[str, str], source: str
) -> pa.Table:
    """Return rows of master data as a table of the contract's columns and types.

    :raises NightRefused: naming `source` where a column is missing, is of another type or has nulls.
    """
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()])
    try:
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist([*rows], schema)
        for name, kind in columns.items():
            if name not in table.column_names:
                raise NightRefused(f"{source} has no column {name}")
            found = table.schema.field(name).type
            if not _IS_TYPE[kind](found) and not (pa.types.is_null(found) and name in master_data.NULLABLE):
                raise NightRefused(f"{source}: column {name} is {found}, not {kind}")
        table = table.select([*columns]).cast(schema)
    except (pa.ArrowException, TypeError) as error:
        raise NightRefused(f"{source} cannot be read: {' '.join(str(error).split())}") from None
    for name in columns:
        if name not in master_data.NULLABLE and table[name].null_count:
            nulls = np.flatnonzero(table[name].is_null().to_numpy())
            raise rows_refused(source, nulls.tolist(), f"no {name}")
    return table


def rows_refused(source: str, rows: Sequence[int], what: str) -> NightRefused:
    """Return a refusal that names the first few rows of an object; and `what` is wrong."""
    named = ", ".join(str(row) for row in rows[:ROWS_NAMED_MAX])
    more = f" and {len(rows) - ROWS_NAMED_MAX} more" if len(rows) > ROWS_NAMED_MAX else ""
    return NightRefused(f"{source}, row{'s' * (len(rows) != 1)} {named}{more}: {what} (the first row is 0)")


def _price(row: Mapping[str, Any], number: int, source: str) -> Price:
    """Return one row on its own, its words and figures held to what they may be."""
    energy = row["component"] == "energy"
    limit = TAX_PPM_MAX if row["component"] == "tax" else PRICE_MICRO_MAX
    currency = row["currency"]
    until = row["valid_until"]
    wrong = {
        f"unknown utility {row['utility']!r}": row["utility"] not in UTILITIES,
        f"unknown component {row['component']!r}": row["component"] not in master_data.COMPONENTS,
        f"unknown days {row['days']!r}": row["days"] not in master_data.TARIFF_DAYS,
        f"unknown currency {currency!r}": not _is_currency(currency),
        f"price_micro {row['price_micro']}, not 0 to {limit}": not 0 <= row["price_micro"] <= limit,
        f"hours {row['hour_from']} to {row['hour_to']}, not within a day's 0 to {HOURS_A_DAY}": energy
        and not 0 <= row["hour_from"] < row["hour_to"] <= HOURS_A_DAY,
        f"tier_from {row['tier_from']}, below 0": row["tier_from"] < 0,
        f"valid from {row['valid_from']} until {until}, never": until is not None
        and until <= row["valid_from"],
    }
    for what, is_so in wrong.items():
        if is_so:
            raise rows_refused(source, [number], what)
    values = {field.name: row[field.name] for field in dataclasses.fields(Price) if field.name in row}
    return Price(
        **values | {"row": number, "valid_from": _day(row["valid_from"]), "valid_until": _day(until)}
    )


def _is_currency(text: str) -> bool:
    return len(text) == _CURRENCY_LETTERS and text.isascii() and text.isalpha() and text.isupper()


def _day(day: datetime.date | None) -> int:
    return OPEN_DAY if day is None else day_number(day)


def _plan(name: str, utility: str, prices: Sequence[Price], source: str) -> Plan:
    """Return a plan whose prices cover every hour once."""
    what = f"plan {name} ({utility})"
    currencies = {price.currency: price.row for price in reversed(prices)}
    if len(currencies) > 1:
        raise rows_refused(
            source, sorted(currencies.values()), f"{what} is priced in {' and '.join(sorted(currencies))}"
        )
    energy = [price for price in prices if price.component == "energy"]
    if not energy:
        raise rows_refused(source, [price.row for price in prices], f"{what} has no price of energy")
    first, last = (min(one.valid_from for one in energy), max(one.valid_until for one in energy))
    bounds = {day for price in prices for day in (price.valid_from, price.valid_until) if first < day < last}
    versions = [
        _version(what, prices, day_from, day_until, source)
        for day_from, day_until in itertools.pairwise([first, *sorted(bounds), last])
    ]
    return Plan(name, utility, energy[0].currency, tuple(versions))


def _version(what: str, prices: Sequence[Price], day_from: int, day_until: int, source: str) -> Version:
    """Return the prices of days in which none changes; refuse a gap or an overlap in them."""
    valid = [price for price in prices if price.valid_on(day_from)]
    energy = tuple(price for price in valid if price.component == "energy")
    since = f"from {date_of(day_from)}"
    if not energy:
        around = [price.row for price in prices if day_from in (price.valid_from, price.valid_until)]
        raise rows_refused(source, around, f"{what} has no price of energy {since}")
    tiers = sorted({0, *(price.tier_from for price in energy)})
    index = np.full((len(tiers), len(DAY_KINDS), HOURS_A_DAY), -1, np.int64)
    for place, price in enumerate(energy):
        for kind in _KINDS_OF[price.days]:
            hours = index[tiers.index(price.tier_from), kind, price.hour_from : price.hour_to]
            for taken in hours[hours >= 0][:1].tolist():
                both = [energy[taken].row, price.row]
                raise rows_refused(
                    source, both, f"overlap in {what} {since}, {DAY_KINDS[kind]}, tier from {price.tier_from}"
                )
            hours[:] = place
    for tier, kind, hour in np.argwhere(index < 0)[:1].tolist():
        raise rows_refused(
            source,
            [price.row for price in energy],
            f"gap in {what} {since}, {DAY_KINDS[kind]}, hour {hour}, tier from {tiers[tier]}",
        )
    once = Counter((price.component, price.label) for price in valid if price.component != "energy")
    for (component, label), times in once.items():
        if times > 1:
            rows = [price.row for price in valid if (price.component, price.label) == (component, label)]
            raise rows_refused(source, rows, f"overlap in {what} {since}, {component} {label!r}")
    return Version(
        valid_from=day_from,
        valid_until=day_until,
        tiers_from=tuple(tiers),
        price_micro=np.array([price.price_micro for price in energy], np.int64)[index],
        price_index=index,
        energy=energy,
        standing=tuple(price for price in valid if price.component == "standing"),
        taxes=tuple(price for price in valid if price.component == "tax"),
    )
