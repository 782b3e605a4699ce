"""The figures of a bench: means of phases, percentiles of buckets, fleets of a size, recorded and shown."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from infra.bench import machine, results
from infra.bench.archive_files import identities
from infra.bench.comparison import FIGURES, compare
from infra.bench.figures import counted_since, mean_between, phase_s, quantile
from infra.bench.fleet import Fleet, users_for
from infra.bench.processes import PYTHON_WORKERS, TASK_MANAGER, group_of, parse, used
from infra.bench.progress import Report
from infra.contracts.heartbeat import USER_ID_MIN
from infra.contracts.live_state import NOW_DTYPE
from infra.contracts.utility import UTILITIES, Utility
from infra.process import ServiceError

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


class TestPhases:
    def test_last_a_minute_or_a_quarter_of_a_short_run(self):
        assert (phase_s(600), phase_s(60)) == (60, 15)

    def test_mean_is_of_the_samples_inside(self):
        samples = [(0.0, 100.0), (60.0, 1.0), (119.9, 3.0), (120.0, 100.0)]

        assert mean_between(samples, 60, 120) == 2.0
        assert mean_between(samples, 200, 300) is None


class TestQuantile:
    BUCKETS = {"1.0": 0, "+Inf": 100, "4": 50, "8": 98}  # noqa: RUF012 - one and the same for all

    @pytest.mark.parametrize(
        ("share", "value", "bucket"),
        [
            pytest.param(0.5, 4.0, "1 to 4 s", id="at a bound"),
            pytest.param(0.25, 2.5, "1 to 4 s", id="within a bucket"),
            pytest.param(0.98, 8.0, "4 to 8 s", id="at the last bound"),
            pytest.param(0.99, None, "over 8 s", id="beyond all bounds"),
        ],
    )
    def test_is_interpolated_in_its_bucket(self, share, value, bucket):
        assert quantile(self.BUCKETS, share) == (value, bucket)

    def test_of_nothing_is_none(self):
        assert quantile({}, 0.5) == (None, "none")
        assert quantile({"1": 0, "+Inf": 0}, 0.5) == (None, "none")

    def test_is_of_what_was_counted_since(self):
        before, after = {"1": 50, "+Inf": 60}, {"1": 50, "2": 90, "+Inf": 160}

        assert counted_since(before, after) == {"1": 0, "2": 90, "+Inf": 100}


class TestFleet:
    def test_sends_at_least_what_is_asked_for_and_no_beat_more(self):
        fleet = Fleet.of(7, 1_000, 10_000, NOON)

        assert (fleet.beats, fleet.heartbeats) == (4, 12_000)
        assert fleet.until == NOON
        assert fleet.since == NOON - datetime.timedelta(seconds=20)

    @pytest.mark.parametrize(("rate", "users"), [(200_000, 333_334), (150_000, 250_000), (1, 2)])
    def test_has_as_many_users_as_beat_a_rate(self, rate, users):
        assert users_for(rate) == users


class TestProcesses:
    def test_a_line_of_proc_is_read_whatever_the_name(self):
        stat = "42 (a (b) c) S 1 40 41 0 -1 0 0 0 0 0 150 50 900 900 20 0 1 0 777 1 2 3"

        process = parse(stat)

        assert (process.pid, process.name, process.session, process.started_at) == (42, "a (b) c", 41, 777)
        assert process.cpu_s == 2.0

    def test_python_workers_are_told_from_the_task_manager(self):
        assert group_of(TASK_MANAGER, "java") == TASK_MANAGER
        assert group_of(TASK_MANAGER, "python3") == PYTHON_WORKERS
        assert group_of("simulator", "python3") == "simulator"

    def test_what_was_used_is_the_difference_the_greatest_first(self):
        assert list(used({"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 2.0, "c": 5.0}).items()) == [
            ("c", 5.0),
            ("a", 1.0),
        ]


class TestReport:
    def test_falls_back_to_the_watermark_for_its_age(self):
        assert Report.from_json({"watermark_ms": 90_000}, at_s=100.0).lag_s == 10.0
        assert Report.from_json({"watermark_ms": 90_000, "watermark_age_s": 9.5}, at_s=100.0).lag_s == 9.5
        assert Report.from_json({"watermark_ms": None}, at_s=100.0).lag_s is None

    @pytest.mark.parametrize(
        ("change", "settled"),
        [
            ({}, True),
            ({"lag": 1}, False),
            ({"windows_closed": False}, False),
            ({"archive_lag": 1}, False),
            ({"state": "RESTARTING"}, False),
            ({"heartbeats_produced": 0}, False),
        ],
    )
    def test_is_settled_once_all_is_folded_and_archived(self, change, settled):
        answer = {
            "state": "RUNNING",
            "heartbeats_produced": 5,
            "lag": 0,
            "windows_closed": True,
            "archive_lag": 0,
        }

        assert Report.from_json({**answer, **change}, at_s=1.0).settled is settled


class TestComparison:
    def rows(self, *sent_at):
        columns = {"user_id": [USER_ID_MIN + index for index in range(len(sent_at))]}
        for utility in UTILITIES:
            for figure, name in enumerate(FIGURES):
                columns[f"{utility}_{name}"] = [None if at is None else at + figure for at in sent_at]
        return pa.record_batch(columns, pa.schema([(name, pa.int64()) for name in columns]))

    def slots(self, sent_at, register_more=0):
        now = np.zeros(len(UTILITIES), NOW_DTYPE)
        if sent_at is not None:
            now["sent_at"], now["register"], now["rate"] = sent_at, sent_at + 1 + register_more, sent_at + 2
        return now.tobytes()

    def test_finds_nothing_where_there_is_nothing(self):
        found = compare(self.rows(1_000, None), [self.slots(1_000), self.slots(None)])

        assert (found.meters, found.differences, found.example) == (6, 0, None)

    @pytest.mark.parametrize(
        ("ledger", "redis"),
        [
            pytest.param(1_000, "a register more", id="a register that is one more"),
            pytest.param(1_000, None, id="a user that Redis does not know"),
            pytest.param(1_000, b"short", id="slots of another size"),
            pytest.param(None, 1_000, id="a user that the ledger does not know"),
            pytest.param(2_000, 1_000, id="an older heartbeat"),
        ],
    )
    def test_counts_every_meter_that_differs(self, ledger, redis):
        if redis == "a register more":
            redis = self.slots(ledger, register_more=1)
        elif isinstance(redis, int):
            redis = self.slots(redis)

        found = compare(self.rows(ledger, 5_000), [redis, self.slots(5_000)])

        assert (found.meters, found.differences) == (6, 3)
        assert f"user {USER_ID_MIN}, {Utility.ELECTRICITY}" in found.example


class TestIdentities:
    def test_tell_users_and_instants_apart(self):
        now = 1_795_000_000_000
        user_id = np.array([USER_ID_MIN, USER_ID_MIN, USER_ID_MIN + 1, USER_ID_MIN + 20_000_000])
        sent_at = np.array([now, now + 1, now, now + 86_400_000])

        assert len(np.unique(identities(user_id, sent_at))) == 4
        assert (identities(user_id, sent_at) >= 0).all()


def a_result(**figures):
    always = {
        "bench": "simulator",
        "command": "meterbeat bench simulator --record",
        "seed": 7,
        "cores": {"count": 2, "which": [0, 1]},
        "machine": {"cpu": "some", "cores": 2, "memory_mb": 24_000},
        "versions": {"python": "3.11.1"},
        "started_at": "2026-03-01T12:00:00+00:00",
        "duration_s": 60.0,
    }
    return {**always, **figures}


class TestResults:
    def test_a_variant_has_an_entry_of_its_own_and_a_repeated_one_replaces_the_first(self, tmp_path):
        path = tmp_path / "results.json"
        one_core = {"count": 1, "which": [0]}

        results.record(a_result(heartbeats_per_s=1), path)
        results.record(a_result(heartbeats_per_s=2), path)
        results.record(a_result(heartbeats_per_s=3, cores=one_core), path)
        results.record(a_result(bench="end-to-end", rate=150_000, sent=4), path)

        measured = results.load(path)["measured"]
        assert list(measured) == ["end-to-end 150000", "simulator", "simulator on 1 of 2 cores"]
        assert measured["simulator"]["heartbeats_per_s"] == 2

    def test_the_table_shows_the_figures_of_each_bench(self):
        archive = a_result(bench="archive", heartbeats_per_s={"written": 1_234}, bytes_per_heartbeat=9.5)
        simulator = a_result(heartbeats_per_s=4_000_000)
        seen = {
            "what": "a thing",
            "figure": "3 s",
            "command": "`x`",
            "machine": "2 cores",
            "date": "2026-03-01",
        }

        shown = results.table({"measured": {"a": archive, "b": simulator}, "observed": [seen]})

        assert "9.5 bytes a heartbeat as written, 1,234 heartbeats/s written | seed 7" in shown
        assert "4,000,000 heartbeats/s" in shown
        assert "| a thing | 3 s |" in shown
        assert shown.count("Measured, ") == 1

    def test_every_bench_is_shown(self):
        benches = {"simulator", "fold", "end-to-end", "live-state", "archive", "night", "vee", "serving"}
        assert set(results.SHOWN) == benches


@pytest.mark.parametrize("cores", ["x", "0,", "99999", "-1"])
def test_cores_that_are_not_there_are_named(cores):
    with pytest.raises(ServiceError, match="--cores is"):
        machine.pin(cores)
