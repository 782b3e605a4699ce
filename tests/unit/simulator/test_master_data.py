"""Master data against the contract, and against what the meters show."""

import datetime
import itertools
from typing import Any

import numpy as np
import pytest

from infra.contracts import master_data as contract
from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.utility import UTILITIES, Utility
from simulator.agreements import VACANT, moved_in_on
from simulator.dials import DAY_SLOTS, EXCHANGE, counted_at, role_of, shown_at
from simulator.fault_days import READ, faults_on
from simulator.master_data import master_tables
from simulator.meter_faults import NONE, MeterFaults
from simulator.meter_list import INSTALLED_AT, meters_table
from simulator.reads import reads_table
from simulator.regions import REGIONS
from simulator.users import kind_of, meters_of, region_of, user_ids

SEED, USERS, DAY = 4, 300, 20_777
DAY_MS = DAY_SLOTS * INTERVAL_MS
FAULTS = MeterFaults.parse("read=20%,gap=20%,rollover=20%,reset=0.4%,exchange=1%,leak=0.5%")
COLUMNS = {
    contract.USERS_PATH: contract.USERS_COLUMNS,
    contract.METERS_PATH: contract.METERS_COLUMNS,
    contract.REGIONS_PATH: contract.REGIONS_COLUMNS,
    contract.AGREEMENTS_PATH: contract.AGREEMENTS_COLUMNS,
    contract.TARIFFS_PATH: contract.TARIFFS_COLUMNS,
}


def test_tables_repeat_and_keep_to_the_contract() -> None:
    first, second = master_tables(SEED, USERS), master_tables(SEED, USERS)

    assert {path: table.schema.names for path, table in first.items()} == {
        path: list(columns) for path, columns in COLUMNS.items()
    }
    for path, table in first.items():
        assert table.equals(second[path])
        assert {field.name for field in table.schema if field.nullable} <= set(contract.NULLABLE)
        table.validate(full=True)
        assert all(not table.column(field.name).null_count or field.nullable for field in table.schema)
    users = first[contract.USERS_PATH]
    assert users.column("region").to_pylist() == [REGIONS[i].code for i in region_of(SEED, user_ids(USERS))]


class TestMeters:
    def test_without_faults_are_one_a_user_and_utility_for_ever(self) -> None:
        rows = master_tables(SEED, USERS)[contract.METERS_PATH].to_pylist()

        assert [(row["utility"], row["user_id"]) for row in rows] == [
            (str(utility), user_id) for utility in UTILITIES for user_id in user_ids(USERS).tolist()
        ]
        assert len({row["meter_id"] for row in rows}) == len(rows)
        for row in rows:
            assert row["installed_at"] == INSTALLED_AT
            assert row["removed_at"] is None is row["register_final"]
            assert row["register_max"] == 99_999_999_999

    @pytest.mark.parametrize("utility", UTILITIES)
    def test_that_are_exchanged_show_what_the_fitter_read(self, utility: Utility) -> None:
        from_ms, until_ms = DAY * DAY_MS, (DAY + 60) * DAY_MS
        meters = meters_of(SEED, utility, user_ids(USERS))
        listed = meters_table(SEED, user_ids(USERS), FAULTS, from_ms, until_ms).to_pylist()
        by_user: dict[int, list[dict[str, Any]]] = {}
        for row in listed:
            if row["utility"] == utility:
                by_user.setdefault(row["user_id"], []).append(row)

        exchanged = 0
        for index, rows in enumerate(by_user[user_id] for user_id in user_ids(USERS).tolist()):
            meter = meters.take(np.array([index]))
            if role_of(meter, FAULTS)[0] != EXCHANGE:
                assert len(rows) == 1
                continue
            exchanged += 1
            assert 3 <= len(rows) <= 4
            assert rows[0]["installed_at"] <= from_ms < rows[0]["removed_at"]
            assert rows[-1]["removed_at"] is None is rows[-1]["register_final"]
            for old, new in itertools.pairwise(rows):
                assert old["removed_at"] == new["installed_at"]
                slot = np.array([old["removed_at"] // INTERVAL_MS])
                before, after = (int(shown_at(meter, FAULTS, at)[0]) for at in (slot - 1, slot))
                used = int((counted_at(meter, FAULTS, slot) - counted_at(meter, FAULTS, slot - 1))[0])
                assert old["register_final"] == before + used
                assert new["register_initial"] == after <= 50
        assert exchanged > 50
        assert len({row["meter_id"] for row in listed}) == len(listed)

    def test_that_will_be_exchanged_are_not_known_yet(self) -> None:
        from_ms = DAY * DAY_MS
        later, sooner = (
            meters_table(SEED, user_ids(USERS), FAULTS, from_ms, from_ms + days * DAY_MS).to_pylist()
            for days in (10, 3)
        )

        known = {row["meter_id"]: row for row in later}
        assert len(sooner) < len(later)
        for row in sooner:
            whole = known[row["meter_id"]]
            assert row == whole or (row["removed_at"] is None and whole["removed_at"] >= from_ms + 3 * DAY_MS)

    def test_of_small_dials_never_show_more_than_they_can(self) -> None:
        meters = {
            (row["utility"], row["user_id"]): row
            for row in master_tables(SEED, USERS, FAULTS)[contract.METERS_PATH].to_pylist()
        }

        small = 0
        for utility in UTILITIES:
            shown = shown_at(
                meters_of(SEED, utility, user_ids(USERS)), FAULTS, np.full(USERS, DAY * DAY_SLOTS)
            )
            for user_id, register in zip(user_ids(USERS).tolist(), shown.tolist(), strict=True):
                row = meters[utility, user_id]
                assert max(register, row["register_initial"]) <= row["register_max"]
                small += row["register_max"] < 99_999_999_999
        assert small > 100


class TestAgreements:
    def test_are_nearly_everybodys_and_few_moved_in_later_or_never(self) -> None:
        user_id = user_ids(100_000)
        since, kind = moved_in_on(SEED, user_id), kind_of(SEED, user_id)
        later = (since != VACANT) & (since != since.min())
        moved = since[later].astype("datetime64[D]")

        assert 0.004 < (since == VACANT)[kind == 0].mean() < 0.006
        assert not (since == VACANT)[kind == 1].any()
        assert 0.009 < later.mean() < 0.011
        assert set(moved.astype("datetime64[Y]").astype(str).tolist()) == {"2026"}
        assert set((moved - moved.astype("datetime64[M]")).astype(int).tolist()) == set(range(7, 22))

    def test_are_by_the_users_kind_and_for_all_utilities(self) -> None:
        tables = master_tables(SEED, 2_000)
        kinds = {row["user_id"]: row["kind"] for row in tables[contract.USERS_PATH].to_pylist()}
        rows = tables[contract.AGREEMENTS_PATH].to_pylist()

        assert all(row["plan"] == kinds[row["user_id"]] for row in rows)
        assert all(row["moved_in_on"] >= datetime.date(2024, 1, 1) for row in rows)
        utilities: dict[int, set[str]] = {}
        for row in rows:
            utilities.setdefault(row["user_id"], set()).add(row["utility"])
        assert set(map(len, utilities.values())) == {3}
        assert len(rows) == 3 * len(utilities)


class TestTariffs:
    def test_cover_each_hour_of_each_kind_of_day_once_a_tier(self) -> None:
        rows = master_tables(SEED, 1)[contract.TARIFFS_PATH].to_pylist()
        days = [datetime.date(2024, 1, 1), datetime.date(2026, 9, 30), datetime.date(2026, 10, 1)]

        for plan, utility, day in itertools.product(contract.KINDS, UTILITIES, days):
            valid = [
                row for row in rows if (row["plan"], row["utility"]) == (plan, utility) and holds(row, day)
            ]
            energy = [row for row in valid if row["component"] == "energy"]
            tiers = sorted({row["tier_from"] for row in energy})
            assert tiers[0] == 0
            assert len(tiers) == {"gas": 2, "electricity": 2, "water": 3 if plan == "home" else 1}[utility]
            for tier, kind, hour in itertools.product(tiers, ("workday", "weekend"), range(24)):
                assert (
                    sum(
                        row["tier_from"] == tier
                        and row["days"] in ("all", kind)
                        and row["hour_from"] <= hour < row["hour_to"]
                        for row in energy
                    )
                    == 1
                )
            assert sorted(row["component"] for row in valid if row not in energy) == ["standing", "tax"]
            assert {row["currency"] for row in valid} == {"USD"}

    def test_change_their_prices_once(self) -> None:
        rows = master_tables(SEED, 1)[contract.TARIFFS_PATH].to_pylist()
        change = datetime.date(2026, 10, 1)
        name = ("plan", "utility", "component", "label", "days", "hour_from", "tier_from")
        before, after = (
            {
                tuple(row[key] for key in name): row["price_micro"]
                for row in rows
                if row["valid_from"] == since
            }
            for since in (datetime.date(2024, 1, 1), change)
        )

        assert before.keys() == after.keys()
        assert len(before) + len(after) == len(rows)
        assert {row["valid_until"] for row in rows} == {change, None}
        assert all(after[key] > price for key, price in before.items() if key[2] != "tax")


def holds(row: dict[str, Any], day: datetime.date) -> bool:
    return bool(row["valid_from"] <= day and (row["valid_until"] is None or day < row["valid_until"]))


class TestReads:
    def test_are_of_a_quarter_of_all_meters_each_once_in_four_nights(self) -> None:
        nights = [reads_table(SEED, USERS, NONE, DAY + night).to_pylist() for night in range(4)]

        read = [(row["user_id"], row["utility"]) for night in nights for row in night]
        assert len(read) == len(set(read)) == USERS * len(UTILITIES)
        assert all(0.2 < len(night) / len(read) < 0.3 for night in nights)

    def test_are_what_a_right_dial_shows_and_name_all_that_miscount(self) -> None:
        rows = {
            (row["utility"], row["user_id"]): row["register"]
            for row in reads_table(SEED, USERS, FAULTS, DAY).to_pylist()
        }

        miscounting = 0
        for utility in UTILITIES:
            meters = meters_of(SEED, utility, user_ids(USERS))
            found = faults_on(meters, FAULTS, DAY)
            shown = shown_at(meters, FAULTS, np.full(USERS, (DAY + 1) * DAY_SLOTS - 1)).tolist()
            for user_id, register in zip(user_ids(USERS).tolist(), shown, strict=True):
                assert rows.get((utility, user_id), register) == register
            for user_id in meters.user_id[found.row[found.rule == READ]].tolist():
                assert (utility, user_id) in rows
                miscounting += 1
        assert miscounting > 100
        assert len(rows) < USERS * len(UTILITIES) / 2

    def test_of_fewer_users_are_theirs(self) -> None:
        whole, fewer = (reads_table(SEED, users, FAULTS, DAY).to_pylist() for users in (USERS, 17))

        assert fewer == [row for row in whole if row["user_id"] < 10_000_017]
