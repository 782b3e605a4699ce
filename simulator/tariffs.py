"""What energy, the connection and the state cost: two plans, three utilities, one change of prices. Pure."""

import datetime
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from infra.contracts.master_data import TARIFFS_COLUMNS
from infra.contracts.utility import Utility
from simulator.tables import table_of

CURRENCY = "USD"
_BEGIN, _CHANGE = datetime.date(2024, 1, 1), datetime.date(2026, 10, 1)
# valid_from, valid_until and what prices are of those at the beginning, in per mille.
_PERIODS = ((_BEGIN, _CHANGE, 1_000), (_CHANGE, None, 1_060))
_ALL_DAY = (("all", 0, 24),)
_OFF_PEAK = (("workday", 0, 14), ("workday", 20, 24))
_PEAK = (("workday", 14, 20),)
_WEEKEND = (("weekend", 0, 24),)
# (plan, utility) -> for each tier: from which usage of the month on, and each label's hours and price a
# unit in micro-cents. 15,000 micro-cents a Wh are 15 cents a kWh.
_Tier = tuple[int, tuple[tuple[str, tuple[tuple[str, int, int], ...], int], ...]]
_ENERGY: dict[tuple[str, Utility], tuple[_Tier, ...]] = {
    ("home", Utility.ELECTRICITY): (
        (0, (("off-peak", _OFF_PEAK, 13_200), ("peak", _PEAK, 24_800), ("weekend", _WEEKEND, 14_100))),
        (
            600_000,
            (
                ("off-peak above 600 kWh", _OFF_PEAK, 15_700),
                ("peak above 600 kWh", _PEAK, 28_900),
                ("weekend above 600 kWh", _WEEKEND, 16_600),
            ),
        ),
    ),
    ("business", Utility.ELECTRICITY): (
        (0, (("off-peak", _OFF_PEAK, 11_400), ("peak", _PEAK, 21_300), ("weekend", _WEEKEND, 10_900))),
        (
            10_000_000,
            (
                ("off-peak above 10 MWh", _OFF_PEAK, 10_100),
                ("peak above 10 MWh", _PEAK, 19_700),
                ("weekend above 10 MWh", _WEEKEND, 9_600),
            ),
        ),
    ),
    ("home", Utility.GAS): (
        (0, (("flat", _ALL_DAY, 46_500),)),
        (100_000, (("flat above 100 m3", _ALL_DAY, 52_300),)),
    ),
    ("business", Utility.GAS): (
        (0, (("flat", _ALL_DAY, 41_200),)),
        (1_000_000, (("flat above 1,000 m3", _ALL_DAY, 37_800),)),
    ),
    ("home", Utility.WATER): (
        (0, (("flat", _ALL_DAY, 198_000),)),
        (15_000, (("flat above 15 m3", _ALL_DAY, 264_000),)),
        (40_000, (("flat above 40 m3", _ALL_DAY, 371_000),)),
    ),
    ("business", Utility.WATER): ((0, (("flat", _ALL_DAY, 243_000),)),),
}
# A day's standing charge in micro-cents, and the tax in parts per million.
_STANDING = {
    ("home", Utility.ELECTRICITY): 39_500_000,
    ("business", Utility.ELECTRICITY): 118_000_000,
    ("home", Utility.GAS): 42_000_000,
    ("business", Utility.GAS): 96_000_000,
    ("home", Utility.WATER): 31_000_000,
    ("business", Utility.WATER): 74_500_000,
}
_TAX_PPM = {Utility.ELECTRICITY: 72_500, Utility.GAS: 66_250, Utility.WATER: 0}


def tariffs_table() -> Any:
    """Return a row a component of each plan and period."""
    rows = list(_rows())
    columns = {name: pa.array([row[name] for row in rows]) for name in TARIFFS_COLUMNS}
    return table_of(columns, TARIFFS_COLUMNS)


def _rows() -> Iterator[dict[str, Any]]:
    for (plan, utility), tiers in _ENERGY.items():
        for valid_from, valid_until, permille in _PERIODS:
            period = {
                "plan": plan,
                "utility": str(utility),
                "currency": CURRENCY,
                "valid_from": valid_from,
                "valid_until": valid_until,
            }
            for tier_from, prices in tiers:
                for label, hours, price in prices:
                    for span in hours:
                        yield period | _component("energy", label, span, tier_from, price * permille // 1_000)
            standing = _STANDING[plan, utility] * permille // 1_000
            yield period | _component("standing", "standing charge", *_ALL_DAY, 0, standing)
            yield period | _component("tax", "tax", *_ALL_DAY, 0, _TAX_PPM[utility])


def _component(
    component: str, label: str, hours: tuple[str, int, int], tier_from: int, price_micro: int
) -> dict[str, Any]:
    days, hour_from, hour_to = hours
    return {
        "component": component,
        "label": label,
        "days": days,
        "hour_from": hour_from,
        "hour_to": hour_to,
        "tier_from": tier_from,
        "price_micro": price_micro,
    }
