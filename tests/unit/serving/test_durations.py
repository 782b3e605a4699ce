"""Durations are shown as the library's histogram shows them."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest

from serving.durations import DurationsByLabels

BOUNDS_S = (0.001, 0.5, 2.5)
SECONDS = st.sampled_from(BOUNDS_S) | st.floats(0, 5)


class TestDurations:
    @given(st.lists(st.tuples(st.sampled_from(["/a", "/b"]), SECONDS), max_size=20))
    def test_are_shown_as_by_the_library(self, observed):
        disable_created_metrics()
        ours, theirs = (CollectorRegistry(auto_describe=True) for _ in range(2))
        durations = DurationsByLabels("seconds", "How long.", ["route", "status"], BOUNDS_S, ours)
        histogram = Histogram("seconds", "How long.", ["route", "status"], buckets=BOUNDS_S, registry=theirs)

        for route, seconds in observed:
            durations.of(route, "200").observe(seconds)
            histogram.labels(route, "200").observe(seconds)

        assert generate_latest(ours) == generate_latest(theirs)
