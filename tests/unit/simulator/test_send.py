"""Runs that follow each other on one platform, over stores that only remember."""

import collections
import threading
from collections.abc import Mapping
from typing import Any, cast

import pyarrow as pa
import pytest

from infra.contracts import master_data
from infra.contracts.utility import UTILITIES
from simulator.faults import Faults
from simulator.fleet import Progress
from simulator.kafka_sink import KafkaSink
from simulator.ledger import LedgerError, Run
from simulator.meter_faults import MeterFaults
from simulator.options import Rate
from simulator.record_batch import Records
from simulator.s3_sink import S3Sink
from simulator.send import Send

SEED = 11
FROM_MS = 1_795_046_400_000
MINUTE_MS = 60_000


class RememberingS3:
    def __init__(self) -> None:
        self.tables: dict[str, pa.Table] = {}
        self.writes: collections.Counter[str] = collections.Counter()
        self.runs: dict[str, Run] = {}

    def make_bucket(self) -> None:
        pass

    def put_table(self, path: str, table: pa.Table) -> None:
        self.tables[path] = table
        self.writes[path] += 1

    def put_run(self, run: Run) -> None:
        self.runs[run.name] = run

    def read_runs(self) -> list[Run]:
        return list(self.runs.values())


class CountingKafka:
    """Takes what is sent; each batch takes a millisecond of the clock, and so does each look at it."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s
        self.partitions = dict.fromkeys(map(str, UTILITIES), 1)
        self.messages = self.batches = 0
        self.lags_s: list[float] = []
        self.taken: list[tuple[float, int]] = []
        self.acknowledged: Progress | None = None

    def send(self, records: Mapping[tuple[str, int], Records], mark: Progress | None) -> None:
        messages = sum(len(rows) for rows in records.values())
        self.taken.append((self.now_s, messages))
        self.messages += messages
        self.batches += 1
        self.now_s += 0.001
        if mark is not None:
            self.acknowledged = mark
            self.lags_s.append(self.now_s - mark.until_ms / 1_000)

    def flush(self) -> None:
        pass


class WaitingStop(threading.Event):
    """Waits on the clock of the test."""

    def __init__(self, kafka: CountingKafka) -> None:
        super().__init__()
        self.kafka = kafka
        self.waited_s = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.kafka.now_s += timeout or 0.0
        self.waited_s += timeout or 0.0
        return False


def simulate(
    s3: RememberingS3,
    *,
    from_ms: int = FROM_MS,
    to_ms: int = FROM_MS + MINUTE_MS,
    seed: int = SEED,
    users: int = 6,
    faults: str = "lost=1%",
    meter_faults: str = "",
    ends_unknown: bool = False,
    rate: str = "max",
    now_s: float = 2_000_000_000.0,
) -> tuple[Run, CountingKafka, WaitingStop]:
    kafka = CountingKafka(now_s)
    stop = WaitingStop(kafka)
    send = Send(
        seed,
        users,
        Faults.parse(faults),
        cast(S3Sink, s3),
        cast(KafkaSink[Progress], kafka),
        MeterFaults.parse(meter_faults),
    )
    send.prepare(from_ms, None if ends_unknown else to_ms)
    run = send.run(
        from_ms=from_ms,
        to_ms=to_ms,
        rate=Rate.parse(rate),
        clock=lambda: kafka.now_s,
        stop=stop,
        on_progress=lambda _: None,
        on_trouble=pytest.fail,
    )
    return run, kafka, stop


class TestASecondRun:
    def test_of_the_same_period_is_recorded_beside_the_first(self) -> None:
        s3 = RememberingS3()

        first, first_kafka, _ = simulate(s3, now_s=2_000_000_000.0)
        second, second_kafka, _ = simulate(s3, now_s=2_000_000_100.0)

        recorded = sum(counts.messages for run in s3.runs.values() for counts in run.counts.values())
        assert sorted(s3.runs) == sorted([first.name, second.name])
        assert recorded == first_kafka.messages + second_kafka.messages

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param({"seed": 12}, id="seed"),
            pytest.param({"faults": "lost=2%", "users": 9}, id="faults"),
            pytest.param({"meter_faults": "gap=2%"}, id="meter faults"),
        ],
    )
    def test_that_contradicts_the_first_writes_and_sends_nothing(
        self, other: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        s3 = RememberingS3()
        simulate(s3)
        monkeypatch.setattr(s3, "put_table", pytest.fail)
        monkeypatch.setattr(s3, "put_run", pytest.fail)
        monkeypatch.setattr(CountingKafka, "send", pytest.fail)

        with pytest.raises(LedgerError, match=f"--{next(iter(other)).replace('_', '-')} is .*`make clean`"):
            simulate(s3, **other)

    def test_with_other_faults_may_follow_the_first(self) -> None:
        s3 = RememberingS3()
        simulate(s3)

        simulate(s3, from_ms=FROM_MS + MINUTE_MS, to_ms=FROM_MS + 2 * MINUTE_MS, faults="")

        assert len(s3.runs) == 2

    @pytest.mark.parametrize(("users", "known"), [(4, 6), (9, 9)])
    def test_leaves_master_data_of_the_largest_fleet(self, users: int, known: int) -> None:
        s3 = RememberingS3()
        simulate(s3, users=6)

        simulate(s3, users=users)

        assert s3.tables[master_data.USERS_PATH].num_rows == known


class TestMasterDataOfDays:
    HOUR_MS = 60 * MINUTE_MS
    # The run's days end at +0 h and +24 h of this instant.
    MIDNIGHT_MS = FROM_MS // 86_400_000 * 86_400_000
    READS = (master_data.reads_path("2026-11-18"), master_data.reads_path("2026-11-19"))

    def run(self, s3: RememberingS3, from_h: int, to_h: int, **options: Any) -> None:
        simulate(
            s3,
            from_ms=self.MIDNIGHT_MS + from_h * self.HOUR_MS,
            to_ms=self.MIDNIGHT_MS + to_h * self.HOUR_MS,
            **options,
        )

    def reads(self, s3: RememberingS3) -> dict[str, pa.Table]:
        return {path: table for path, table in s3.tables.items() if path.startswith(master_data.READS_PREFIX)}

    @pytest.mark.parametrize("ends_unknown", [False, True])
    def test_reads_are_written_of_each_day_that_ends_in_the_run(self, ends_unknown: bool) -> None:
        s3 = RememberingS3()

        self.run(s3, -1, 24, users=12, ends_unknown=ends_unknown)

        assert sorted(self.reads(s3)) == list(self.READS)
        assert all(0 < table.num_rows < 36 for table in self.reads(s3).values())
        assert [s3.writes[path] for path in self.READS] == [1, 1]

    def test_no_day_is_read_before_it_has_ended_or_after_it_ended(self) -> None:
        s3 = RememberingS3()

        self.run(s3, 0, 23)

        assert self.reads(s3) == {}

    def test_reads_of_the_larger_of_two_fleets_stay(self) -> None:
        s3 = RememberingS3()
        self.run(s3, -1, 1, users=40)
        before = self.reads(s3)

        self.run(s3, -1, 2, users=3)

        assert self.reads(s3) == before

    def test_an_endless_runs_exchanges_become_known_as_their_days_end(self) -> None:
        known, unknown = RememberingS3(), RememberingS3()

        self.run(known, 1, 25, users=60, meter_faults="exchange=3.5%")
        self.run(unknown, 1, 23, users=60, meter_faults="exchange=3.5%", ends_unknown=True)
        before = unknown.tables[master_data.METERS_PATH]
        self.run(unknown, 23, 25, users=60, meter_faults="exchange=3.5%", ends_unknown=True)

        after = unknown.tables[master_data.METERS_PATH]
        assert before.num_rows == 180 < after.num_rows
        assert after.equals(known.tables[master_data.METERS_PATH])


class TestRealTime:
    def test_from_the_past_catches_up_and_then_keeps_to_the_wall_clock(self) -> None:
        from_s = FROM_MS / 1_000
        run, kafka, stop = simulate(
            RememberingS3(), rate="real-time", now_s=from_s + 3_600, to_ms=FROM_MS + 3_630_000
        )

        assert run.finished
        assert stop.waited_s == pytest.approx(30, abs=1)
        assert max(kafka.lags_s[-100:]) < 0.2
        assert kafka.batches < 400

    def test_from_the_future_waits_for_it(self) -> None:
        from_s = FROM_MS / 1_000
        _, kafka, stop = simulate(
            RememberingS3(), rate="real-time", now_s=from_s - 500, to_ms=FROM_MS + 5_000
        )

        assert stop.waited_s == pytest.approx(505, abs=0.2)
        assert min(kafka.lags_s) >= 0


class TestARateInHeartbeatsASecond:
    @pytest.mark.parametrize(
        ("users", "rate"),
        [
            pytest.param(250_000, "real-time", id="a fleet that beats so much"),
            pytest.param(250_000, "150000", id="the same, by its number"),
            pytest.param(100_000, "150000", id="a smaller fleet, faster than real time"),
            pytest.param(700_000, "150000", id="a larger fleet, slower than real time"),
        ],
    )
    def test_is_held_in_every_second_within_one_percent(self, users: int, rate: str) -> None:
        from_s = FROM_MS / 1_000
        event_s = 12 * 150_000 / (users * 3 / 5)
        _, kafka, _ = simulate(
            RememberingS3(),
            users=users,
            rate=rate,
            faults="",
            now_s=from_s,
            to_ms=FROM_MS + round(event_s * 1_000),
        )

        by_second = [0] * 12
        for at_s, messages in kafka.taken:
            # Spans end with the second; what a span is late by must not count for the next one.
            by_second[min(int(at_s - from_s - 0.05), 11)] += messages
        steady = by_second[1:-1]
        assert sum(by_second) == pytest.approx(12 * 150_000, rel=0.01)
        assert all(abs(count - 150_000) <= 1_500 for count in steady), by_second
