"""Pipe Redis: hours that are dropped once they are published, and the snapshot that batch is left of them."""

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from live_state_builders import START, USER, marks, records, state

from infra.contracts.durations import HOUR_MS
from infra.contracts.live_state import PUBLISHED_UNTIL_KEY, live_key
from infra.contracts.utility import Utility
from stream.archive_source import s3_files
from stream.expire import expire
from tests.support.services import failed_in_one_line

pytestmark = pytest.mark.usefixtures("no_stream")


class TestExpiry:
    def test_drops_the_hours_that_end_before_what_batch_published(self, services, sink, store):
        for hour in range(6):
            sink.write_live(records((hour * HOUR_MS, 100 * hour)))

        done = expire(services.settings.redis_url, START + 3 * HOUR_MS)

        assert (done.until_ms, done.users, done.users_changed) == (START + 3 * HOUR_MS, 1, 1)
        assert marks(store) == {2: 200, 3: 300, 4: 400}
        assert state(store).meters[Utility.GAS].marks_dropped

    def test_never_steps_back_and_changes_nothing_when_repeated(self, services, sink, store):
        for hour in range(6):
            sink.write_live(records((hour * HOUR_MS, 100 * hour)))
        expire(services.settings.redis_url, START + 3 * HOUR_MS)
        before = store.hgetall(live_key(USER))

        again = [expire(services.settings.redis_url, START + hours * HOUR_MS) for hours in (3, 1)]

        assert [(one.until_ms - START, one.users_changed) for one in again] == [(3 * HOUR_MS, 0)] * 2
        assert store.hgetall(live_key(USER)) == before

    def test_leaves_a_meter_that_was_silent_since_able_to_go_on(self, services, sink, store):
        sink.write_live(records((1_000, 100)))
        sink.write_live(records((HOUR_MS, 150)))

        expire(services.settings.redis_url, START + 24 * HOUR_MS)
        emptied = marks(store)
        sink.write_live(records((25 * HOUR_MS, 400)))

        assert emptied == {}
        assert marks(store) == {23: 150, 24: 150}

    def test_holds_for_heartbeats_that_come_afterwards(self, services, sink, store):
        expire(services.settings.redis_url, START + 3 * HOUR_MS)

        for hour in range(6):
            sink.write_live(records((hour * HOUR_MS, 100 * hour)))

        assert marks(store) == {2: 200, 3: 300, 4: 400}

    def test_by_command_names_an_instant_that_cannot_be(self, services, store):
        answer = services.room("stream", "expire", "--until", "2026-03-30T00:00Z", "--json")
        refused = [
            services.room("stream", "expire", "--until", at) for at in ("2999-01-01T00:00Z", "tomorrow")
        ]

        assert answer.returncode == 0, answer.stderr
        assert store.get(PUBLISHED_UNTIL_KEY) == b"1774828800000"
        assert [one.returncode for one in refused] == [2, 2]


class TestSnapshot:
    NIGHT, NIGHT_START = "2025-11-24", 489_984 * HOUR_MS - START  # of the day that START is in

    def hours(self, sink, users=1):
        """Every hour from the one before the day to the one after it, all three utilities."""
        for hour in range(-1, 26):
            for utility in Utility:
                beats = [
                    records((self.NIGHT_START + hour * HOUR_MS, 100 * hour + 200), utility=utility, user=user)
                    for user in range(USER, USER + users)
                ]
                sink.write_live(np.concatenate(beats))

    def rows(self, services, done):
        settings = services.settings
        keys = settings.s3_endpoint, settings.s3_region, settings.s3_access_key, settings.s3_secret_key
        return pq.read_table(f"{settings.s3_bucket}/{done['object']}", filesystem=s3_files(*keys)).to_pylist()

    def test_holds_each_meters_registers_of_the_day(self, services, sink, store):
        self.hours(sink, users=1_200)
        sink.write_live(records((self.NIGHT_START + 5_000, 7), user=USER + 5_000))
        store.hset(live_key(USER + 6_000), mapping={"n": b"short", "h": b"shorter"})

        answer = services.room("stream", "snapshot", "--night", self.NIGHT, "--json")

        assert answer.returncode == 0, answer.stderr
        done = json.loads(answer.stdout)
        assert (done["written"], done["users"], done["meters"]) == (True, 1_201, 3_600)
        assert done["users_broken"] == 1
        rows = self.rows(services, done)
        assert {(row["user_id"], row["utility"]) for row in rows} == {
            (user, utility.value) for user in range(USER, USER + 1_200) for utility in Utility
        }
        assert {(row["register_start"], row["register_end"]) for row in rows} == {(100, 2_500)}

    def test_stays_as_it_is_once_the_days_hours_are_dropped(self, services, sink, store):
        self.hours(sink)
        first = json.loads(services.room("stream", "snapshot", "--night", self.NIGHT, "--json").stdout)
        expire(services.settings.redis_url, START + self.NIGHT_START + 24 * HOUR_MS)

        again = json.loads(services.room("stream", "snapshot", "--night", self.NIGHT, "--json").stdout)

        assert (first["meters"], again["written"]) == (3, False)
        assert len(self.rows(services, first)) == 3

    def test_of_the_next_night_knows_what_the_expired_one_ended_with(self, services, sink, store):
        self.hours(sink)
        expire(services.settings.redis_url, START + self.NIGHT_START)

        done = json.loads(services.room("stream", "snapshot", "--night", self.NIGHT, "--json").stdout)

        assert [(row["register_start"], row["register_end"]) for row in self.rows(services, done)] == [
            (100, 2_500)
        ] * 3

    @pytest.mark.parametrize(
        "away", [{"redis_url": "redis://127.0.0.1:9/0"}, {"s3_endpoint": "http://127.0.0.1:9"}]
    )
    def test_says_in_one_line_which_store_is_away(self, services, away):
        elsewhere = dataclasses.replace(services, settings=dataclasses.replace(services.settings, **away))

        answer = elsewhere.room("stream", "snapshot", "--night", self.NIGHT)

        failed_in_one_line(answer, code=1, says="start it with `meterbeat up`")

    def test_refuses_a_night_that_is_not_over(self, services):
        answer = services.room("stream", "snapshot", "--night", "2999-01-01")

        failed_in_one_line(answer, code=2, says="--night is 2999-01-01, which is not over")
