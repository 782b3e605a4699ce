"""What a bench is told of a night: clipped to day and runs, each fault once, and the usage that was real."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.labels import LABELS_COLUMNS
from infra.contracts.quality import Rule
from infra.contracts.utility import UTILITIES, Utility
from simulator import labels, real_usage
from simulator.dials import DAY_SLOTS, counted_at
from simulator.faults import Faults
from simulator.ledger import Run, last_delivered
from simulator.meter_faults import NONE, MeterFaults
from simulator.users import meters_of, user_ids

SEED, USERS, DAY = 4, 300, 20_777
DAY_MS, HOUR_MS = DAY_SLOTS * INTERVAL_MS, 3_600_000
FAULTS = MeterFaults.parse("gap=60%,stuck=10%,read=10%,leak=2%,reset=1%")


def a_run(from_ms: int, to_ms: int, users: int = USERS, faults: MeterFaults = FAULTS) -> Run:
    return Run(SEED, users, from_ms, to_ms, Faults(), to_ms, True, {}, meter_faults=faults)


WHOLE = a_run(DAY * DAY_MS, (DAY + 3) * DAY_MS)


def labels_of(runs: list[Run], day: int = DAY) -> list[dict[str, Any]]:
    table = labels.labels_of(runs, user_ids(USERS), day)
    assert table.schema.names == list(LABELS_COLUMNS)
    return list(table.to_pylist())


def usage_of(runs: list[Run], day: int = DAY) -> list[dict[str, Any]]:
    return list(real_usage.usage_of(runs, user_ids(USERS), day).to_pylist())


class TestLabels:
    def test_of_a_gap_across_midnight_are_two_that_meet(self) -> None:
        first, second = ({key(label): label for label in labels_of([WHOLE], DAY + day)} for day in (0, 1))
        midnight = (DAY + 1) * DAY_MS

        ends = {name for name, label in first.items() if name[2] == Rule.GAP and label["to_ms"] == midnight}
        begins = {
            name for name, label in second.items() if name[2] == Rule.GAP and label["from_ms"] == midnight
        }
        assert len(ends) > 20
        assert ends == begins

    def test_are_clipped_to_the_day_and_to_what_a_run_has_reached(self) -> None:
        until = DAY * DAY_MS + 11 * HOUR_MS + 1_234
        run = dataclasses.replace(
            a_run(DAY * DAY_MS + 3 * HOUR_MS, (DAY + 2) * DAY_MS), acknowledged_until=until
        )

        inside = labels_of([run])

        whole = {key(label): label for label in labels_of([WHOLE])}
        assert inside
        assert not labels_of([run], DAY + 1)
        for label in inside:
            known = whole[key(label)]
            assert label["from_ms"] == max(known["from_ms"], run.from_ms)
            assert label["to_ms"] == min(known["to_ms"], until)
        missing = [label for name, label in whole.items() if name not in set(map(key, inside))]
        assert all(label["from_ms"] >= until or label["to_ms"] <= run.from_ms for label in missing)

    def test_of_runs_that_follow_or_repeat_each_other_are_each_faults_once(self) -> None:
        noon = DAY * DAY_MS + DAY_MS // 2
        halves = [a_run(WHOLE.from_ms, noon), a_run(noon, WHOLE.until_ms)]

        assert labels_of(halves) == labels_of([WHOLE]) == labels_of([WHOLE, a_run(noon, noon + 60_000)])

    def test_of_fewer_users_are_theirs(self) -> None:
        fewer = labels_of([a_run(WHOLE.from_ms, WHOLE.until_ms, users=20)])

        assert fewer == [label for label in labels_of([WHOLE]) if label["user_id"] < 10_000_020]
        assert labels_of([a_run(WHOLE.from_ms, WHOLE.until_ms, faults=NONE)]) == []

    def test_of_leaks_are_of_the_whole_day(self) -> None:
        leaks = [label for label in labels_of([WHOLE]) if label["rule"] == Rule.LEAK]

        assert leaks
        assert {(leak["from_ms"], leak["to_ms"]) for leak in leaks} == {(DAY * DAY_MS, (DAY + 1) * DAY_MS)}
        assert {leak["utility"] for leak in leaks} == {"water"}


class TestRealUsage:
    def test_is_between_the_true_registers_at_the_hours_bounds(self) -> None:
        runs = [a_run(DAY * DAY_MS - 3 * HOUR_MS, (DAY + 1) * DAY_MS)]

        rows = {(row["user_id"], row["utility"]): row for row in usage_of(runs)}

        assert len(rows) == USERS * len(UTILITIES)
        gaps = {key(label)[:2] for label in labels_of(runs) if label["rule"] == Rule.GAP}
        compared = 0
        for (user_id, utility), row in rows.items():
            if (user_id, utility) in gaps or user_id >= 10_000_040:
                continue
            for hour in (0, 7, 23):
                start, end = (
                    last_delivered(runs, user_id, Utility(utility), DAY * DAY_MS + at * HOUR_MS)
                    for at in (hour, hour + 1)
                )
                assert start is not None is not end
                assert row[f"h{hour:02}"] == end.counted - start.counted
                compared += 1
        assert compared > 60

    @pytest.mark.parametrize("utility", UTILITIES)
    def test_adds_up_from_a_runs_first_beat_to_its_last(self, utility: Utility) -> None:
        from_ms, to_ms = DAY * DAY_MS + 5 * HOUR_MS + 777, DAY * DAY_MS + 9 * HOUR_MS + 100_001
        pause_ms = from_ms + HOUR_MS
        runs = [a_run(from_ms, pause_ms), a_run(pause_ms + HOUR_MS, to_ms)]
        meters = meters_of(SEED, utility, user_ids(USERS))
        first, end = (-((meters.phase_ms - at) // INTERVAL_MS) for at in (from_ms, to_ms))

        rows = [row for row in usage_of(runs) if row["utility"] == utility]

        hours = np.array([[row[f"h{hour:02}"] for hour in range(24)] for row in rows])
        used = counted_at(meters, FAULTS, end - 1) - counted_at(meters, FAULTS, first)
        assert (hours.sum(axis=1) == used).all()
        assert (hours[:, 5:10].sum(axis=1) == used).all()
        assert usage_of(runs, DAY + 1) == []
        assert usage_of(runs, DAY - 1) == []


def key(label: dict[str, Any]) -> tuple[int, str, str]:
    return label["user_id"], label["utility"], label["rule"]
