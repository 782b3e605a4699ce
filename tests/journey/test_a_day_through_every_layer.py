"""The demo's story at small scale, with faults and every kill: every total equals the ledger's.

One fleet's last hours of yesterday and first of today go through the real broker, Flink, Redis, S3, Spark,
MySQL and the API, while all that runs is killed once, one after the other.
"""

import contextlib
import datetime
import itertools
import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator

import duckdb
import httpx
import numpy as np
import pymysql
import pymysql.cursors
import pytest
import redis

from infra.contracts import stream_marks
from infra.contracts.heartbeat import USER_ID_MIN
from infra.contracts.live_state import NOW_DTYPE, NOW_FIELD
from infra.contracts.utility import UTILITIES, Utility
from infra.settings import CHECKOUT
from tests.support import faults
from tests.support.archive import day_files, days, heartbeats
from tests.support.services import Platform, failed_in_one_line, running_platform

USERS = 30
FAULTS = "late=1%,doubled=1%,lost=1%,malformed=0.1%"
SETTLE_S_MAX = 300
COMPACTED_BYTES_MAX = 4  # a heartbeat
PORT_BASE = 31_000
RATE = 500  # a second while there are faults: minutes of them, though no more than UNDER_LOAD of event time
UNDER_LOAD = datetime.timedelta(hours=3)
OFTEN = {  # so that there is something to resume
    "stream_buckets": 2,
    "checkpoint_interval_s": 2,
    "archive_checkpoint_interval_s": 5,
}
NOW = datetime.datetime.now(datetime.UTC)
TODAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
NIGHT = (TODAY - datetime.timedelta(days=1)).date().isoformat()
SINCE = TODAY - datetime.timedelta(hours=5)
UNTIL = min(TODAY + datetime.timedelta(hours=2), NOW)


def wait_for_checkpoints(platform: Platform) -> None:
    """Wait until both jobs have something to resume from."""
    deadline = time.monotonic() + SETTLE_S_MAX
    while True:
        report = faults.stream_report(platform)
        if report.get("checkpoints_completed") and report.get("archive_checkpoints_completed"):
            return
        assert time.monotonic() < deadline, report
        time.sleep(0.5)


def wait_until_behind(platform: Platform) -> None:
    """Wait until messages are under way that no checkpoint covers."""
    deadline = time.monotonic() + SETTLE_S_MAX
    while not (report := faults.stream_report(platform)).get("lag"):
        assert time.monotonic() < deadline, report


def published(platform: Platform) -> str:
    """Return what is published of the night and all its users, as JSON."""
    users = json.dumps(list(range(USER_ID_MIN, USER_ID_MIN + USERS)))
    return platform.room("batch", "published", "--night", NIGHT, "--json", stdin=users).stdout


@contextlib.contextmanager
def cursor_of(platform: Platform) -> Iterator[pymysql.cursors.Cursor]:
    """Yield a cursor on what is published, of the user that may change it."""
    settings = platform.settings
    database = pymysql.connect(
        host=settings.mysql_host,
        port=settings.mysql_port,
        user=settings.mysql_batch_user,
        password=settings.mysql_batch_password,
        database=settings.mysql_database,
        autocommit=True,
    )
    with contextlib.closing(database), database.cursor() as cursor:
        yield cursor


def recounted(files: list[str], utility: Utility) -> dict[tuple[int, str], tuple[int, list[int]]]:
    """Count a day again in DuckDB: by user the distinct heartbeats, and the register at 25 hours' bounds.

    A bound's reading is that of the last heartbeat before it, however long before; at first, the first one's.
    """
    begin = f"epoch_ms(TIMESTAMP '{NIGHT} 00:00:00')"
    found = duckdb.sql(
        f"""
        WITH beats AS (
            SELECT user_id, sent_at, max(register) AS register FROM read_parquet({files}) GROUP BY ALL
        ), readings AS (
            SELECT user_id, bound, max_by(register, sent_at) AS reading
            FROM beats, range(25) AS bounds(bound) WHERE sent_at < {begin} + 3600000 * bound GROUP BY ALL
        ), counts AS (
            SELECT user_id, count(*) AS beats, min_by(register, sent_at) AS first FROM beats GROUP BY user_id
        )
        SELECT user_id, any_value(beats), list(coalesce(reading, first) ORDER BY bound)
        FROM counts CROSS JOIN range(25) AS bounds(bound) LEFT JOIN readings USING (user_id, bound)
        GROUP BY user_id
        """
    ).fetchall()
    return {(user_id, str(utility)): (beats, readings) for user_id, beats, readings in found}


def as_cron_does(platform: Platform, night: str, log: pathlib.Path) -> "subprocess.CompletedProcess[str]":
    """Run the command of infra/nightly.cron for a night, which need not be yesterday's, and its log."""
    lines = (CHECKOUT / "infra" / "nightly.cron").read_text().splitlines()
    [command] = [line.split(maxsplit=5)[5] for line in lines if line.endswith("}")]
    return subprocess.run(
        ["sh", "-c", command.replace(".meterbeat/logs/nightly.log", str(log)).replace("yesterday", night)],
        env={**os.environ, **platform.settings.to_env(), "METERBEAT": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        start_new_session=True,  # as cron starts it: the priority that it sets is its session's
    )


def max_rate(since: datetime.datetime, until: datetime.datetime) -> list[str]:
    """Return the options of a run as fast as possible."""
    return ["--rate", "max", "--from", since.isoformat(), "--to", until.isoformat()]


def first_kills(
    platform: Platform, home: pathlib.Path, fleet: list[str], since: datetime.datetime
) -> datetime.datetime:
    """Kill what needs no person to go on while the fleet beats; return how far the fleet came."""
    pace = ["--rate", str(RATE), "--from", since.isoformat(), "--to", UNTIL.isoformat(), "--json"]
    told = home / "simulate.log"
    with told.open("wb") as output:
        sender = platform.start("simulate", *fleet, *pace, output=output)
    for kill in (faults.kill_python_worker, faults.kill_broker, faults.kill_redis):
        faults.wait_until_it_goes_on(platform, sender)
        kill(platform)
    faults.wait_until_it_goes_on(platform, sender)
    sender.send_signal(signal.SIGINT)
    assert sender.wait(timeout=60) == 0, told.read_text()
    [report] = [json.loads(line) for line in told.read_text().splitlines() if line.startswith("{")]
    return datetime.datetime.fromtimestamp(report["to"] / 1_000, datetime.UTC)


@pytest.fixture(scope="module")
def journey(tmp_path_factory):
    """The platform after the whole story; its own, so that no other test's messages are on the topics."""
    home = tmp_path_factory.mktemp("journey")
    with running_platform(home, port_base=PORT_BASE, **OFTEN) as platform:
        fleet = ["--users", str(USERS), "--seed", "11", "--faults", FAULTS]
        first = UNTIL - UNDER_LOAD
        platform.ask("simulate", *fleet, *max_rate(SINCE, first))
        platform.ask("stream", "run")
        faults.kill_task_process(platform)
        wait_for_checkpoints(platform)
        second = first_kills(platform, home, fleet, first)
        sender = platform.start("simulate", *fleet, *max_rate(second, UNTIL))
        wait_until_behind(platform)
        platform.kill("flink-jobmanager")
        assert sender.wait(timeout=SETTLE_S_MAX) == 0
        resumed = platform.ask("stream", "run")
        assert resumed["restored_from"], "the fold began anew instead of resuming"
        assert resumed["archive_restored_from"], "the archive began anew instead of resuming"
        platform.ask("stream", "settle", "--within-s", str(SETTLE_S_MAX))
        night = platform.ask("batch", "--night", NIGHT)
        serving = platform.start("serve", "--processes", "1")
        try:
            yield platform, night
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(serving.pid, signal.SIGTERM)
            serving.wait(timeout=20)


class TestADayThroughEveryLayer:
    def test_ledger_redis_mysql_and_api_agree_to_the_unit(self, journey):
        platform, _ = journey

        done = platform.meterbeat("verify", "--night", NIGHT, "--users", str(USERS))

        assert done.returncode == 0, done.stdout[-4_000:] + done.stderr
        assert "no differences" in done.stdout
        assert "the fleet at rest" in done.stdout

    def test_verify_finds_a_difference_of_a_single_unit(self, journey):
        """A comparison that cannot fail proves nothing."""
        platform, _ = journey
        store = redis.Redis.from_url(platform.settings.redis_url)
        key = sorted(store.scan_iter("live:*"))[0]
        original = store.hget(key, NOW_FIELD)
        forged = np.frombuffer(original, NOW_DTYPE).copy()
        forged["register"][0] += 1
        store.hset(key, NOW_FIELD, forged.tobytes())
        try:
            done = platform.meterbeat("verify", "--night", NIGHT, "--users", str(USERS), "--json")
        finally:
            store.hset(key, NOW_FIELD, original)

        assert done.returncode == 1
        assert '"difference": 1' in done.stdout

    def test_the_archive_holds_every_message_once_and_no_heartbeat_is_lost(self, journey):
        platform, _ = journey
        ledger = platform.room("simulator", "ledger", "--summary", "--json")
        topics = json.loads(ledger.stdout)["topics"]
        archived = {}

        for utility in UTILITIES:
            found = days(platform.settings, utility)
            files = [file for day in found for file in day_files(platform.settings, utility, day)]
            [(archived[utility], distinct)] = duckdb.sql(
                f"SELECT count(*), count(DISTINCT (user_id, sent_at)) FROM read_parquet({files})"
            ).fetchall()
            assert distinct == topics[utility]["delivered"]

        # A broker that is killed may have got a batch whose acknowledgement was lost: it is sent again.
        produced = platform.ask("stream", "status")["heartbeats_produced"]
        assert sum(archived.values()) == produced - len(platform.ask("stream", "dead-letters"))
        assert produced >= sum(made["messages"] for made in topics.values())

    def test_the_night_left_its_day_of_the_archive_sorted_and_small(self, journey):
        platform, night = journey
        compacted = night["compaction"]

        assert compacted["rows"] == sum(night[name] for name in ("heartbeats", "doubled", "set_aside"))
        assert compacted["bytes_per_heartbeat_after"] <= COMPACTED_BYTES_MAX
        for utility in UTILITIES:
            files = day_files(platform.settings, utility, NIGHT)
            assert len(files) == compacted["utilities"][utility]["objects_after"]
            rows = heartbeats(files).select(["user_id", "sent_at"]).to_pandas()
            assert rows.equals(rows.sort_values(["user_id", "sent_at"], kind="stable", ignore_index=True))

    def test_every_malformed_message_is_a_dead_letter(self, journey):
        platform, _ = journey
        topics = json.loads(platform.room("simulator", "ledger", "--summary", "--json").stdout)["topics"]

        letters = platform.ask("stream", "dead-letters")

        sent_again = platform.ask("stream", "status")["heartbeats_produced"] - sum(
            made["messages"] for made in topics.values()
        )
        assert 0 <= len(letters) - sum(made["malformed"] for made in topics.values()) <= sent_again
        assert all(letter["reason"] for letter in letters)

    def test_the_night_is_what_another_engine_counts_in_other_words(self, journey):
        platform, _ = journey
        rows = json.loads(published(platform))["rows"]
        assert len(rows) == USERS * len(UTILITIES)

        counted = {}
        for utility in UTILITIES:
            counted |= recounted(day_files(platform.settings, utility, NIGHT), utility)

        for row in rows:
            beats, readings = counted[row["user_id"], row["utility"]]
            hours = [row[f"h{hour:02}"] for hour in range(24)]
            assert row["heartbeats"] == beats, row
            assert [row["register_start"], row["register_end"]] == [readings[0], readings[-1]], row
            assert hours == [after - before for before, after in itertools.pairwise(readings)], row
            assert row["usage_total"] == readings[-1] - readings[0], row
            # No meter was silent for longer than late and lost heartbeats explain.
            assert (row["quality"], row["usage_estimated"], row["register_offset"]) == ("M" * 24, 0, 0), row

    def test_the_stream_held_of_the_night_what_batch_came_to_so_nothing_was_left_to_reconcile(self, journey):
        platform, night = journey
        bucket = platform.settings.home / "s3" / "data" / platform.settings.s3_bucket
        marks = duckdb.sql(f"SELECT * FROM read_parquet('{bucket / stream_marks.marks_path(NIGHT)}')")

        held = {
            (row["user_id"], row["utility"]): row["register_end"] - row["register_start"]
            for row in marks.to_arrow_table().to_pylist()
        }

        rows = json.loads(published(platform))["rows"]
        assert held == {(row["user_id"], row["utility"]): row["usage_total"] for row in rows}
        assert night["adjusted"] == []
        with cursor_of(platform) as cursor:
            cursor.execute("SELECT * FROM reconciliations")
            assert cursor.fetchall() == ()

    def test_the_line_for_cron_runs_the_night_again_and_changes_no_row(self, journey, tmp_path):
        """From the compacted archive."""
        platform, night = journey
        before = published(platform)
        log = tmp_path / "nightly.log"

        done = as_cron_does(platform, NIGHT, log)

        assert (done.returncode, done.stdout) == (0, ""), log.read_text() + done.stdout + done.stderr
        assert f"night {NIGHT}, published" in log.read_text()
        assert published(platform) == before
        files = [file for utility in UTILITIES for file in day_files(platform.settings, utility, NIGHT)]
        assert sum(pathlib.Path(file).stat().st_size for file in files) == night["compaction"]["bytes_after"]

    def test_the_line_for_cron_says_why_a_night_failed(self, journey, tmp_path):
        platform, _ = journey
        done = as_cron_does(platform, "2025-06-01", tmp_path / "nightly.log")

        assert done.returncode == 1
        assert "2025-06-01" in done.stdout

    def test_an_unknown_user_is_a_problem_with_status_404(self, journey):
        platform, _ = journey

        token = platform.ask("token", "--role", "operator")["token"]

        answer = httpx.get(
            f"{platform.settings.serving_url}/api/v1/households/99999999",
            headers={"Authorization": f"Bearer {token}"},
        )

        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("application/problem+json")


class TestANightThatCannotBe:
    def test_of_the_future_is_refused_in_one_line(self, journey):
        done = journey[0].meterbeat("batch", "--night", "2099-01-01")

        failed_in_one_line(done, code=1, says="2099-01-01")

    def test_without_an_archive_is_refused_in_one_line(self, journey):
        done = journey[0].meterbeat("batch", "--night", "2025-06-01")

        failed_in_one_line(done, code=1, says="2025-06-01")

    def test_while_mysql_is_away_publishes_nothing_and_says_so(self, journey):
        platform, _ = journey
        mysql = platform.service("mysql")
        mysql.stop()
        try:
            done = platform.meterbeat("batch", "--night", NIGHT)
        finally:
            mysql.start()
            mysql.wait()

        failed_in_one_line(done, code=1, says="meterbeat up")

    def test_of_no_date_is_a_usage_error(self, journey):
        assert journey[0].meterbeat("batch", "--night", "soon").returncode == 2
