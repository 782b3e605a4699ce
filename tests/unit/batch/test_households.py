import datetime

import money_builders as builders
import pyarrow as pa
import pytest
from batch_builders import a_table

from batch.households import households_of
from batch.meters import MasterFrames
from batch.night import Night, NightRefused
from batch.tariffs import Tariffs
from infra.contracts.master_data import USERS_COLUMNS

NIGHT = Night(datetime.date(2026, 3, 28))
MOVED = datetime.date(2026, 3, 1)
BERLINER, NEW_YORKER, NOBODY = 10_000_001, 10_000_002, 10_000_003
EURO = builders.a_price(plan="haus", currency="EUR")
DOLLAR = builders.a_price(plan="home")
USERS = dict.fromkeys(USERS_COLUMNS, pa.string()) | {"user_id": pa.int64()}
AGREEMENTS = {
    "user_id": pa.int64(),
    "utility": pa.string(),
    "plan": pa.string(),
    "moved_in_on": pa.date32(),
    "moved_out_on": pa.date32(),
}


@pytest.fixture
def currencies(spark):
    """What households' costs are in, by prices and agreements."""

    def ask(prices, agreements):
        told = ("home", "Klein", "2 Oak Lane", "US-NY", "UTC")
        users = [(user, *told) for user in (BERLINER, NEW_YORKER, NOBODY)]
        frame = a_table(spark, USERS, users)
        master = MasterFrames(frame, frame, frame, a_table(spark, AGREEMENTS, agreements), frame)
        rows = households_of(spark, master, Tariffs.from_rows(prices), NIGHT).collect()
        return {row["user_id"]: row["currency"] for row in rows}

    return ask


def test_all_pay_in_the_only_currency_there_is(currencies):
    assert currencies([DOLLAR], []) == dict.fromkeys((BERLINER, NEW_YORKER, NOBODY), "USD")


def test_each_pays_in_that_of_the_newest_agreement(currencies):
    agreements = [
        (BERLINER, "electricity", "home", builders.BEGIN, MOVED),
        (BERLINER, "electricity", "haus", MOVED, None),
        (NEW_YORKER, "electricity", "home", MOVED, NIGHT.day),
    ]

    assert currencies([EURO, DOLLAR], agreements) == {BERLINER: "EUR", NEW_YORKER: "USD", NOBODY: None}


def test_nobody_pays_in_two_at_once(currencies):
    water = builders.a_price(plan="home", utility="water")
    agreements = [(BERLINER, "electricity", "haus", MOVED, None), (BERLINER, "water", "home", MOVED, None)]

    with pytest.raises(NightRefused, match=f"two currencies on {NIGHT} of users {BERLINER}; "):
        currencies([EURO, DOLLAR, water], agreements)
