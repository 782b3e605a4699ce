"""What the serving bench makes of times and tries."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.bench.latencies import SHARES, highest, next_rate, summary


class TestSummary:
    def test_of_a_thousand_known_times(self):
        told = summary([number / 1_000 for number in range(1_000, 0, -1)])

        assert told == {"p50_ms": 500, "p95_ms": 950, "p99_ms": 990, "p99_9_ms": 999, "max_ms": 1_000}

    def test_of_nothing_is_none(self):
        assert set(summary([]).values()) == {None}

    @given(st.lists(st.integers(0, 10**6), min_size=1, max_size=300))
    def test_so_large_a_share_is_at_most_that(self, times_ms):
        told = summary([one / 1_000 for one in times_ms])

        for name, share in SHARES.items():
            within = sum(one <= told[name] + 0.005 for one in times_ms)
            assert within >= math.floor(share * len(times_ms))


class TestSearch:
    @given(limit=st.integers(100, 6_000), first=st.sampled_from([100, 1_000, 4_000]))
    def test_ends_within_a_step_of_the_limit(self, limit, first):
        tried = [(first, first <= limit)]
        while (rate := next_rate(tried, 1.5, 100)) is not None:
            assert rate not in [one for one, _ in tried]
            tried.append((rate, rate <= limit))
            assert len(tried) < 20

        assert highest(tried) == limit // 100 * 100

    def test_of_nothing_held_is_none(self):
        assert highest([(100, False)]) is None
        assert next_rate([(100, False)], 1.5, 100) is None

    @pytest.mark.parametrize("tried", [[(1_000, True), (1_500, False), (1_200, False), (1_300, True)]])
    def test_what_is_above_a_rate_that_was_not_held_does_not_count(self, tried):
        assert highest(tried) == 1_000
