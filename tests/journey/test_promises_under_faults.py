"""Promises under faults: whatever is killed under load, ledger, Redis and archive agree to the last unit.

Every fault three times; the journey of a day has each kill once.
"""

import dataclasses
import datetime
import json
import signal
import urllib.parse

import pytest

from infra.bench.archive_files import ArchiveFiles
from infra.bench.comparison import compare_all
from infra.contracts.utility import UTILITIES
from tests.support import faults
from tests.support.services import Platform, running_platform

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3_600)]
PORT_BASE = 24_500
USERS, SEED, RATE = 1_000, 23, 5_000
FAULTS = "late=1%,doubled=1%,lost=1%,malformed=0.1%"
TIMES = 3
KILLS = (faults.kill_task_process, faults.kill_python_worker, faults.kill_broker, faults.kill_redis)
SETTLE_S_MAX = 300
HOURS = 24  # of the fleet's time: more than is sent before the last fault


def resumed_with(platform: Platform, parallelism: int) -> Platform:
    """Stop with savepoints and go on from them with another parallelism."""
    stopped = platform.ask("stream", "stop")
    changed = Platform(dataclasses.replace(platform.settings, stream_parallelism=parallelism))
    resumed = changed.ask("stream", "run")
    for restored, savepoint in (
        ("restored_from", "savepoint"),
        ("archive_restored_from", "archive_savepoint"),
    ):
        # One of the two writes file:/ and the other file:///.
        assert urllib.parse.urlsplit(resumed[restored]).path == urllib.parse.urlsplit(stopped[savepoint]).path
    return changed


@pytest.fixture(scope="module")
def survived(tmp_path_factory):
    """The platform at rest after every fault, each TIMES times while a fleet beat on."""
    home = tmp_path_factory.mktemp("faults")
    changes = {"flink_task_slots": 6, "archive_checkpoint_interval_s": 5}
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=HOURS)
    fleet = ["--users", str(USERS), "--seed", str(SEED), "--rate", str(RATE), "--faults", FAULTS]
    with running_platform(home, port_base=PORT_BASE, **changes) as platform:
        platform.ask("stream", "run")
        sender = platform.start("simulate", *fleet, "--from", start.isoformat())
        for _ in range(TIMES):
            for kill in KILLS:
                faults.wait_until_it_goes_on(platform, sender)
                kill(platform)
            for parallelism in (4, 2):
                faults.wait_until_it_goes_on(platform, sender)
                platform = resumed_with(platform, parallelism)  # noqa: PLW2901 - from here on, this one
        faults.wait_until_it_goes_on(platform, sender)
        sender.send_signal(signal.SIGINT)  # as a person would; it records what it sent
        sender.wait(timeout=60)
        platform.ask("stream", "settle", "--within-s", str(SETTLE_S_MAX))
        yield platform, platform_topics(platform)


def platform_topics(platform: Platform) -> dict[str, dict[str, int]]:
    """Return what the ledger says was sent, by topic."""
    topics: dict[str, dict[str, int]] = json.loads(
        platform.room("simulator", "ledger", "--summary", "--json").stdout
    )["topics"]
    return topics


class TestAfterEveryFault:
    def test_redis_shows_the_ledgers_newest_heartbeat_of_every_meter(self, survived, tmp_path):
        platform, _ = survived
        newest = tmp_path / "newest.parquet"
        done = platform.room("simulator", "newest", "--to", str(newest))
        assert done.returncode == 0, done.stderr

        found = compare_all(newest, platform.settings.redis_url)

        assert (found.meters, found.differences) == (USERS * len(UTILITIES), 0), found.example

    def test_the_archive_holds_every_message_once_and_no_heartbeat_is_lost(self, survived):
        platform, topics = survived
        files = ArchiveFiles(platform.settings)
        days = files.days()

        distinct = {utility: files.distinct(utility, days) for utility in UTILITIES}
        rows = files.stock(days).rows
        letters = platform.ask("stream", "dead-letters")
        produced = platform.ask("stream", "status")["heartbeats_produced"]

        assert distinct == {utility: topics[utility]["delivered"] for utility in UTILITIES}
        # A broker that is killed may have got a batch whose acknowledgement was lost: it is sent again.
        assert rows == produced - len(letters)

    def test_every_malformed_message_is_a_dead_letter(self, survived):
        platform, topics = survived

        letters = platform.ask("stream", "dead-letters")

        assert len(letters) >= sum(made["malformed"] for made in topics.values()) > 0
