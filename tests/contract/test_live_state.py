"""Pipe Redis: what the stream's sink writes, the contract reads back, against the real server."""

import numpy as np
import pytest
import redis

from infra.contracts.live_state import (
    HOUR_MS,
    MARKS_MAX,
    decode_live_state,
    decode_region,
    live_key,
    region_key,
)
from infra.contracts.utility import Utility
from stream.fold import fold, region_shares, sum_shares
from stream.redis_sink import RedisSink

USER = 10_000_001
START = 490_000 * HOUR_MS


def tag_of(region: str, utility: Utility) -> int:
    return int.from_bytes(region.encode().ljust(6, b"\0"), "big") << 2 | utility.code


def records(*beats: tuple[int, int], utility: Utility = Utility.GAS, user: int = USER):
    """RECORDs of (ms after START, register) of one meter."""
    times = np.array([START + at for at, _ in beats], np.int64)
    registers = np.array([register for _, register in beats], np.int64)
    ones = np.ones(len(beats), np.int64)
    return fold(ones * user, times, registers, ones * 7, ones * tag_of("US-CA", utility))


@pytest.fixture
def store(services):
    client = redis.Redis.from_url(services.settings.redis_url)
    client.flushdb()
    return client


@pytest.fixture
def sink(services, store):
    return RedisSink(services.settings.redis_url, epoch=1)


def state(store):
    return decode_live_state(store.hgetall(live_key(USER)))


def marks(store, utility=Utility.GAS):
    return {hour - 490_000: mark for hour, mark in state(store).meters[utility].marks.items()}


class TestLiveState:
    def test_a_user_holds_the_newest_heartbeat_of_each_utility(self, sink, store):
        sink.write_live(records((1_000, 100), (6_000, 110)))
        sink.write_live(records((2_000, 2**40), utility=Utility.WATER))

        found = state(store)

        assert found.region == "US-CA"
        assert {name: (m.sent_at - START, m.register, m.rate) for name, m in found.meters.items()} == {
            Utility.GAS: (6_000, 110, 7),
            Utility.WATER: (2_000, 2**40, 7),
        }

    def test_writing_again_changes_nothing(self, sink, store):
        windows = [records((hour * HOUR_MS + 1_000, 100 * hour)) for hour in range(5)]
        for window in windows:
            sink.write_live(window)
        before = store.hgetall(live_key(USER))

        newer = [sink.write_live(window) for window in windows]

        assert newer == [0] * 5
        assert store.hgetall(live_key(USER)) == before

    def test_marks_are_registers_as_of_the_hours_ends_and_are_carried_over_silent_hours(self, sink, store):
        sink.write_live(records((1_000, 100), (2_000, 120)))
        sink.write_live(records((HOUR_MS - 1, 150)))
        sink.write_live(records((HOUR_MS, 160)))
        sink.write_live(records((4 * HOUR_MS, 400)))

        assert marks(store) == {-1: 100, 0: 150, 1: 160, 2: 160, 3: 160}

    def test_a_late_heartbeat_raises_the_marks_that_do_not_count_it_yet(self, sink, store):
        sink.write_live(records((1_000, 100)))
        sink.write_live(records((2 * HOUR_MS, 200)))

        sink.write_live(records((HOUR_MS - 5, 180), (HOUR_MS + 5, 190)))

        assert marks(store) == {-1: 100, 0: 180, 1: 190}

    def test_a_late_first_heartbeat_lowers_where_the_meter_began(self, sink, store):
        sink.write_live(records((6_000, 105)))
        sink.write_live(records((1_000, 100)))
        sink.write_live(records((HOUR_MS + 1, 130)))

        assert marks(store) == {-1: 100, 0: 105}

    def test_any_order_of_windows_gives_the_same_marks(self, sink, store):
        beats = [(minute * 60_000, 10 * minute) for minute in range(0, 300, 7)]
        sink.write_live(records(*beats))
        in_order = store.hgetall(live_key(USER))
        store.flushdb()

        for position in np.random.default_rng(3).permutation(len(beats)):
            sink.write_live(records(beats[position]))

        assert marks(store) == {
            h - 490_000: m for h, m in decode_live_state(in_order).meters[Utility.GAS].marks.items()
        }

    def test_hours_that_come_backwards_give_the_same_marks(self, sink, store):
        for hour, register in ((2, 200), (1, 110), (0, 100)):
            sink.write_live(records((hour * HOUR_MS, register)))

        assert marks(store) == {-1: 100, 0: 100, 1: 110}

    def test_a_late_group_on_both_sides_of_what_is_known_finds_its_place(self, sink, store):
        sink.write_live(records((6_000, 105)))
        late = [records(beat)[0] for beat in ((1_000, 100), (9_000, 120))]
        sink.write_live(np.array(late))
        sink.write_live(records((HOUR_MS, 130)))

        assert marks(store) == {-1: 100, 0: 120}

    def test_keeps_no_more_marks_than_allowed(self, sink, store):
        for hour in range(MARKS_MAX + 20):
            sink.write_live(records((hour * HOUR_MS, hour)))
        sink.write_live(records((1_000 * HOUR_MS, 5_000)))

        kept = marks(store)

        assert len(kept) == MARKS_MAX
        assert max(kept) == 999

    def test_a_user_is_one_compact_entry_of_at_most_640_bytes(self, sink, store):
        rng = np.random.default_rng(5)
        for utility in Utility:
            for hour in range(26):
                sink.write_live(
                    records((hour * HOUR_MS, hour * int(rng.integers(1, 3_000))), utility=utility)
                )

        assert store.object("encoding", live_key(USER)) == b"listpack"
        assert store.memory_usage(live_key(USER)) <= 640

    def test_a_raised_epoch_rewrites_what_an_older_one_left(self, services, sink, store):
        sink.write_live(records((60_000, 900)))

        RedisSink(services.settings.redis_url, epoch=2).write_live(records((1_000, 100)))

        assert state(store).meters[Utility.GAS].register == 100


class TestRegionState:
    def test_a_region_holds_the_newest_window_only(self, sink, store):
        for at, rate_count in ((11_000, 2), (1_000, 1)):
            many = [records((at, 5), user=USER + index)[0] for index in range(rate_count)]
            sink.write_regions(sum_shares(region_shares(np.array(many), 10_000)))

        [use] = decode_region(store.hgetall(region_key("US-CA"))).values()

        assert (use.window_end - START, use.rate, use.active_meters) == (20_000, 14, 2)
        assert store.smembers("regions") == {b"US-CA"}
