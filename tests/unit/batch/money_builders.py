"""Tariffs, agreements and slow, plain arithmetic for the tests of money."""

import datetime
import fractions
import zoneinfo
from typing import Any

from batch.agreements import Agreements
from batch.tariffs import Tariffs

BEGIN = datetime.date(2020, 1, 1)
UTC = datetime.UTC


def a_price(**changes: Any) -> dict[str, Any]:
    """A row of the tariffs: by itself it covers every hour of every day from BEGIN on."""
    row = {
        "plan": "flat",
        "utility": "electricity",
        "component": "energy",
        "label": "all day",
        "days": "all",
        "hour_from": 0,
        "hour_to": 24,
        "tier_from": 0,
        "price_micro": 30_000,
        "currency": "USD",
        "valid_from": BEGIN,
        "valid_until": None,
    }
    assert not changes.keys() - row.keys()
    return row | changes


def an_agreement(**changes: Any) -> dict[str, Any]:
    """A row of the agreements, of somebody who has always been there."""
    row = {
        "user_id": 10_000_042,
        "utility": "electricity",
        "plan": "flat",
        "moved_in_on": BEGIN,
        "moved_out_on": None,
    }
    assert not changes.keys() - row.keys()
    return row | changes


def agreed(rows: list[dict[str, Any]], tariffs: Tariffs) -> Agreements:
    return Agreements.from_rows(rows, tariffs)


def a_tiered_plan(plan: str, tiers: dict[int, int], **changes: Any) -> list[dict[str, Any]]:
    """Prices by day and night, and of weekends; `tiers`: tier_from -> price of a workday by day."""
    rows = []
    for tier_from, price in tiers.items():
        common = {"plan": plan, "tier_from": tier_from, **changes}
        rows += [
            a_price(**common, label="night", days="workday", hour_to=7, price_micro=price // 3),
            a_price(**common, label="day", days="workday", hour_from=7, hour_to=22, price_micro=price),
            a_price(**common, label="night", days="workday", hour_from=22, price_micro=price // 3),
            a_price(**common, label="weekend", days="weekend", price_micro=price // 2),
        ]
    return rows


class SlowMeter:
    """One meter priced hour by hour and piece by piece from the rows themselves, as one would on paper."""

    def __init__(self, prices: list[dict[str, Any]], agreements: list[dict[str, Any]], zone: str) -> None:
        self.prices = prices
        self.agreements = agreements
        self.zone = zoneinfo.ZoneInfo(zone)
        self.month_usage = 0
        self.month_cost = 0
        self.period: tuple[Any, ...] | None = None

    def price(self, instant: datetime.datetime, usage: int) -> int:
        """Return what the hour from an instant on costs, in micro-cents."""
        clock = instant.astimezone(self.zone)
        agreement = self._agreement(clock.date())
        moved = [row["moved_out_on"] for row in self.agreements if row["moved_out_on"]]
        last_move = max((day for day in moved if day <= clock.date()), default=None)
        period = (clock.year, clock.month, agreement["moved_in_on"] if agreement else ("vacant", last_move))
        if period != self.period:
            self.period, self.month_usage, self.month_cost = period, 0, 0
        cost = 0
        if agreement:
            cost = self._cost(agreement, clock, usage)
        self.month_usage += usage
        self.month_cost += cost
        return cost

    def pays(self, instant: datetime.datetime) -> bool:
        """Whether somebody pays for the hour from an instant on."""
        return self._agreement(instant.astimezone(self.zone).date()) is not None

    def _agreement(self, day: datetime.date) -> dict[str, Any] | None:
        found = [
            row
            for row in self.agreements
            if row["moved_in_on"] <= day and (row["moved_out_on"] is None or day < row["moved_out_on"])
        ]
        assert len(found) <= 1
        return found[0] if found else None

    def _cost(self, agreement: dict[str, Any], clock: datetime.datetime, usage: int) -> int:
        kind = "weekend" if clock.isoweekday() >= 6 else "workday"
        tiers = {
            row["tier_from"]: row["price_micro"]
            for row in self.prices
            if row["plan"] == agreement["plan"]
            and row["utility"] == agreement["utility"]
            and row["component"] == "energy"
            and row["days"] in ("all", kind)
            and row["hour_from"] <= clock.hour < row["hour_to"]
            and row["valid_from"] <= clock.date()
            and (row["valid_until"] is None or clock.date() < row["valid_until"])
        }
        cost, rest, at = 0, usage, self.month_usage
        while rest:
            tier_from = max((start for start in tiers if start <= at), default=0)
            bound = min((start for start in tiers if start > at), default=at + rest)
            piece = min(rest, bound - at)
            cost += piece * tiers[tier_from]
            at, rest = at + piece, rest - piece
        return cost


def hour_instants(night: datetime.date) -> list[datetime.datetime]:
    midnight = datetime.datetime.combine(night, datetime.time(), UTC)
    return [midnight + datetime.timedelta(hours=hour) for hour in range(24)]


def half_even(amount_micro: int) -> int:
    return round(fractions.Fraction(amount_micro, 1_000_000))
