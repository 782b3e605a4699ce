"""Pipe Redis: a region's newest window, the meters it ever heard, and its course over a day."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_state_builders import MINUTE_MS, START, USER, records, tag_of

from infra.contracts.live_state import (
    LOAD_DTYPE,
    LOAD_SLOT_MS,
    LOAD_SLOTS,
    decode_load,
    decode_region,
    load_key,
    region_key,
)
from infra.contracts.utility import Utility
from stream.fold import REGION_SHARE, region_shares, sum_shares
from stream.redis_sink import Occupancy, RedisSink

pytestmark = pytest.mark.usefixtures("no_stream")


class TestRegionState:
    def test_a_region_holds_the_newest_window_only(self, sink, store):
        for at, rate_count in ((11_000, 2), (1_000, 1)):
            many = [records((at, 5), user=USER + index)[0] for index in range(rate_count)]
            window_end = START + (at // 10_000 + 1) * 10_000
            sink.write_regions(sum_shares(region_shares(np.array(many), window_end)))

        [use] = decode_region(store.hgetall(region_key("US-CA"))).values()

        assert (use.window_end - START, use.rate, use.active_meters) == (20_000, 14, 2)
        assert store.smembers("regions") == {b"US-CA"}

    def test_counts_each_meter_once_among_the_known_ones(self, services, sink, store):
        for _ in range(2):
            for user in range(3):
                sink.write_live(records((1_000, 5), user=USER + user))
        sink.write_live(records((11_000, 5)))
        RedisSink(services.settings.redis_url, epoch=2).write_live(records((12_000, 5)))

        sink.write_regions(sum_shares(region_shares(records((11_000, 5)), START + 20_000)))

        [use] = decode_region(store.hgetall(region_key("US-CA"))).values()
        assert (use.active_meters, use.known_meters, use.silent_meters) == (1, 3, 2)


def share(at, rate, utility=Utility.GAS, region="US-CA"):
    """REGION_SHAREs of one region and utility: the window that ends so many ms after START."""
    rows = np.zeros(1, REGION_SHARE)
    rows["tag"], rows["window_end"], rows["rate"] = tag_of(region, utility), START + at, rate
    return rows


def course(store, utility=Utility.GAS):
    packed = store.get(load_key("US-CA"))
    return [(begin - START, rate) for begin, rate in decode_load(packed)[utility]]


class TestARegionsCourse:
    DAY_MS = LOAD_SLOTS * LOAD_SLOT_MS

    def test_is_the_newest_window_of_each_5_minutes(self, sink, store):
        for at, rate in ((10_000, 7), (295_000, 14), (300_000, 2**40), (615_000, -3)):
            sink.write_regions(share(at, rate))

        assert course(store) == [(0, 14), (300_000, 2**40), (600_000, -3)]

    def test_is_each_utilitys_and_each_regions_own(self, sink, store):
        several = [share(10_000, 10 + utility.code, utility) for utility in Utility]
        sink.write_regions(np.concatenate([*several, share(10_000, 99, region="US-NY")]))

        assert [course(store, utility) for utility in Utility] == [[(0, 10)], [(0, 11)], [(0, 12)]]

    def test_gives_way_after_a_day_and_takes_no_more_room(self, sink, store):
        for slot in range(LOAD_SLOTS + 3):
            sink.write_regions(share(slot * LOAD_SLOT_MS + 5_000, slot, Utility.WATER))

        rates = [rate for _, rate in course(store, Utility.WATER)]
        assert rates == [*range(3, LOAD_SLOTS + 3)]
        assert store.strlen(load_key("US-CA")) == len(Utility) * LOAD_SLOTS * LOAD_DTYPE.itemsize

    def test_tells_nothing_of_an_earlier_day_once_a_stream_goes_on(self, sink, store):
        sink.write_regions(share(10_000, 1))
        sink.write_regions(share(600_000, 2))
        sink.write_regions(share(5_000, 1, Utility.WATER))

        sink.write_regions(share(self.DAY_MS + 300_000, 3))

        assert course(store) == [(600_000, 2), (self.DAY_MS + 300_000, 3)]
        assert course(store, Utility.WATER) == []

    @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 1_000)), min_size=1, max_size=30))
    def test_is_rewritten_by_no_replay(self, sink, store, windows):
        store.flushdb()
        newest, told = -1, {}
        for minute, rate in windows:
            if minute > newest:
                newest, told[minute // 5 * LOAD_SLOT_MS] = minute, rate
            sink.write_regions(share(minute * MINUTE_MS, rate))
        once = store.get(load_key("US-CA"))
        for minute, rate in sorted(windows):
            sink.write_regions(share(minute * MINUTE_MS, rate + 1) if minute < newest else share(0, 0))

        assert dict(course(store)) == told
        assert store.get(load_key("US-CA")) == once

    def test_follows_a_raised_epoch(self, services, sink, store):
        sink.write_regions(share(600_000, 5))

        RedisSink(services.settings.redis_url, epoch=2).write_regions(share(10_000, 6))

        assert course(store) == [(0, 6), (600_000, 5)]

    def test_is_no_user(self, services, sink, store):
        sink.write_live(records((1_000, 5)))
        sink.write_regions(np.concatenate([share(10_000, 1), share(10_000, 1, region="US-NY")]))

        assert Occupancy(services.settings.redis_url).use().users == 1
