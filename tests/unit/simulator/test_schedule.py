import hypothesis
import hypothesis.strategies as st
import pytest

from simulator.schedule import PACED_SPAN_MS, Span, spans, step_ms

FROM_MS = 1_795_000_000_000


@hypothesis.settings(deadline=None)
@hypothesis.given(
    start=st.integers(0, 4_000_000),
    length=st.integers(1, 400_000),
    step=st.sampled_from([70, 100, 5_000, 60_000]),
)
def test_spans_cover_the_period_once_and_keep_within_an_hour(start: int, length: int, step: int) -> None:
    covered: list[Span] = list(spans(FROM_MS + start, FROM_MS + start + length, step))

    at = FROM_MS + start
    for span in covered:
        assert span.first_slot * 5_000 + span.phase_from_ms == at
        assert span.first_slot // 720 == (span.first_slot + span.slots - 1) // 720
        assert span.slots == 1 or (span.phase_from_ms, span.phase_to_ms) == (0, 5_000)
        at = span.until_ms
    assert at == FROM_MS + start + length


@pytest.mark.parametrize(
    ("users_per_partition", "speed", "step"),
    [
        pytest.param(250_000, 1.0, PACED_SPAN_MS, id="real time goes in tenths of a second"),
        pytest.param(250_000, None, 294, id="a big fleet fills a batch with part of a slot"),
        pytest.param(40, None, 1_840_000, id="a small fleet fills a batch with many slots"),
        pytest.param(1, None, 3_600_000, id="never more than an hour"),
        pytest.param(40, 600.0, 60_000, id="a fast clock stays flat"),
        pytest.param(2_000_000, 0.001, 1, id="a slow clock still ticks"),
    ],
)
def test_a_span_is_as_long_as_batches_and_pace_allow(
    users_per_partition: float, speed: float | None, step: int
) -> None:
    assert step_ms(users_per_partition, speed) == step
