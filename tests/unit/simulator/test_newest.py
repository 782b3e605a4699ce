"""The newest heartbeats in columns are those that the ledger names one by one."""

import dataclasses

import pytest

from infra.contracts.heartbeat import USER_ID_MIN
from infra.contracts.utility import UTILITIES
from simulator import newest
from simulator.faults import Faults
from simulator.ledger import LedgerError, Run, last_delivered
from simulator.meter_faults import MeterFaults
from simulator.users import user_ids

SEED = 9
FROM_MS = 1_795_046_400_123
FAULTS = Faults.parse("late=30%,lost=30%,doubled=10%,malformed=20%")


def a_run(users: int, from_ms: int, length_ms: int, *, finished: bool = True) -> Run:
    until = from_ms + length_ms
    return Run(SEED, users, from_ms, until, FAULTS, until, finished=finished, counts={})


@pytest.mark.parametrize(
    "runs",
    [
        pytest.param([a_run(60, FROM_MS, 61_000)], id="one"),
        pytest.param([a_run(60, FROM_MS, 61_000, finished=False)], id="not finished"),
        pytest.param(
            [a_run(60, FROM_MS, 30_000), a_run(20, FROM_MS + 90_000, 17_000)], id="a smaller one later"
        ),
        pytest.param([a_run(60, FROM_MS, 3_000)], id="shorter than a beat"),
    ],
)
def test_columns_are_what_the_ledger_names(runs: list[Run]) -> None:
    table = newest.table_of(runs, user_ids(60)).to_pylist()

    found = 0
    for row in table:
        for utility in UTILITIES:
            last = last_delivered(runs, row["user_id"], utility, None)
            expected = (None,) * 3 if last is None else (last.sent_at, last.register, last.rate)
            assert tuple(row[f"{utility}_{name}"] for name in newest.FIGURES) == expected
            found += last is not None
    assert found > 0
    assert table[-1]["user_id"] == USER_ID_MIN + 59


def test_runs_whose_meters_go_wrong_are_refused() -> None:
    newest.check_meters_right([a_run(60, FROM_MS, 61_000)])
    wrong = dataclasses.replace(a_run(60, FROM_MS, 61_000), meter_faults=MeterFaults(gap_ppm=10_000))
    with pytest.raises(LedgerError, match="--meter-faults gap=1%"):
        newest.check_meters_right([wrong])
