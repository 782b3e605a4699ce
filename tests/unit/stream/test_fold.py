"""The fold against a slow and obvious reckoning in plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from infra.contracts.durations import HOUR_MS
from stream.fold import PACKED, fold, region_bytes, region_shares, sum_shares

REGIONS = ["US-CA", "US-NY", "GB-ENG"]


def tag_of(region: str, utility: int) -> int:
    """What the decoder makes of a region and a utility."""
    return int.from_bytes(region.encode().ljust(6, b"\0"), "big") << 2 | utility


heartbeats = st.lists(
    st.tuples(
        st.integers(10_000_000, 10_000_004),
        st.integers(0, 2),
        st.integers(490_000 * HOUR_MS, 490_002 * HOUR_MS),
        st.integers(0, 2**47),
        st.integers(0, 2**31 - 1),
    ),
    min_size=1,
    max_size=60,
)


def packed(beats: list[tuple[int, int, int, int, int]]) -> np.ndarray:
    rows = [
        (tag_of(REGIONS[user % 3], utility), at, register, user, rate)
        for user, utility, at, register, rate in beats
    ]
    return np.array(rows, PACKED)


class TestFold:
    @given(heartbeats)
    def test_keeps_the_newest_heartbeat_of_each_user_utility_and_hour(self, beats):
        expected = {}
        for user, utility, at, register, _ in beats:
            key = (user, utility, at // HOUR_MS)
            expected[key] = max(expected.get(key, (-1, -1)), (at, register))

        records = fold(packed(beats))

        found = {
            (int(one["user_id"]), int(one["utility"]), int(one["sent_at"]) // HOUR_MS): (
                int(one["sent_at"]),
                int(one["register"]),
            )
            for one in records
        }
        assert found == expected
        assert len(records) == len(expected)

    @given(heartbeats)
    def test_gives_the_same_for_any_order_and_any_doubling(self, beats):
        again = beats[::-1] + beats[: len(beats) // 2]

        once, twice = fold(packed(beats)), fold(packed(again))

        for name in ("user_id", "utility", "region", "sent_at", "register", "first_register"):
            assert (once[name] == twice[name]).all()

    def test_orders_records_by_user_so_that_a_user_is_written_once(self):
        records = fold(packed([(10_000_003, 1, 5, 1, 1), (10_000_001, 2, 5, 1, 1), (10_000_003, 0, 5, 1, 1)]))

        assert records["user_id"].tolist() == [10_000_001, 10_000_003, 10_000_003]
        assert records["utility"].tolist() == [2, 0, 1]

    def test_orders_what_spans_more_than_the_fast_way_can_hold(self):
        decades = [(10_000_001, 0, at, at, 1) for at in (2**40, 5, 2**41, 7)]

        assert fold(packed(decades), singly=True)["sent_at"].tolist() == [5, 7, 2**40, 2**41]

    def test_reads_a_region_back_from_its_tag(self):
        tags = np.array([tag_of(region, 2) for region in REGIONS], np.int64)

        assert region_bytes(tags).tolist() == [region.encode() for region in REGIONS]


class TestRegionShares:
    def test_sums_rates_and_meters_of_all_buckets(self):
        first = fold(packed([(10_000_000, 0, 11_000, 5, 100), (10_000_003, 0, 12_000, 5, 50)]))
        second = fold(packed([(10_000_006, 0, 13_000, 5, 7), (10_000_001, 0, 13_000, 5, 9)]))

        shares = np.concatenate([region_shares(part, 20_000) for part in (first, second)])
        sums = {int(one["tag"]): (int(one["rate"]), int(one["active_meters"])) for one in sum_shares(shares)}

        assert sums == {tag_of("US-NY", 0): (157, 3), tag_of("GB-ENG", 0): (9, 1)}
        assert set(shares["window_end"].tolist()) == {20_000}

    def test_of_nothing_is_nothing(self):
        nothing = fold(packed([(10_000_000, 0, 1, 1, 1)]))[:0]

        assert len(sum_shares(region_shares(nothing, 10_000))) == 0
