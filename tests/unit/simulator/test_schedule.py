import itertools

import hypothesis
import hypothesis.strategies as st
import pytest

from simulator.schedule import BEHIND_MS_MAX, PACED_SPAN_MS, Span, live_spans, paced_spans, spans, step_ms

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


@hypothesis.settings(deadline=None)
@hypothesis.given(
    start=st.integers(0, 20_000),
    length=st.integers(1, 60_000),
    longest=st.integers(1, 4_999),
    speed=st.floats(0.01, 40),
)
def test_paced_spans_cover_the_period_once_and_end_with_every_second(
    start: int, length: int, longest: int, speed: float
) -> None:
    begin = FROM_MS + start
    covered = list(paced_spans(begin, begin + length, longest, speed))

    ends = [span.until_ms for span in covered]
    assert [span.first_slot * 5_000 + span.phase_from_ms for span in covered] == [begin, *ends[:-1]]
    assert ends[-1] == begin + length
    assert max(b - a for a, b in itertools.pairwise([begin, *ends])) <= longest + 1
    seconds = range(1, int(length / (1_000 * speed)) + 1)
    assert {begin + int(1_000 * speed * second) for second in seconds} <= {begin, *ends}


@pytest.mark.parametrize(
    ("users_per_partition", "speed", "step"),
    [
        pytest.param(250_000, 1.0, PACED_SPAN_MS, id="real time goes in fifths of a second"),
        pytest.param(250_000, None, 294, id="a big fleet fills a batch with part of a slot"),
        pytest.param(40, None, 1_840_000, id="a small fleet fills a batch with many slots"),
        pytest.param(1, None, 3_600_000, id="never more than an hour"),
        pytest.param(40, 600.0, 120_000, id="a fast clock stays flat"),
        pytest.param(2_000_000, 0.001, 1, id="a slow clock still ticks"),
    ],
)
def test_a_span_is_as_long_as_batches_and_pace_allow(
    users_per_partition: float, speed: float | None, step: int
) -> None:
    assert step_ms(users_per_partition, speed) == step


def test_a_live_fleet_makes_up_for_a_day_in_few_spans_and_then_keeps_pace() -> None:
    now_ms = FROM_MS + 86_400_000
    taken: list[Span] = []
    # Each span takes 7 ms of the clock, so that making up is itself behind at first.
    for span in live_spans(
        FROM_MS, now_ms + 10_000, PACED_SPAN_MS, 3_600_000, lambda: now_ms + 7 * len(taken)
    ):
        taken.append(span)

    lengths = [after.until_ms - before.until_ms for before, after in itertools.pairwise(taken)]
    long = sum(length > PACED_SPAN_MS for length in lengths)
    assert 24 <= long <= 30
    assert all(length <= PACED_SPAN_MS for length in lengths[long:])
    assert taken[-1].until_ms == now_ms + 10_000


def test_a_live_fleet_that_falls_behind_later_makes_up_for_it() -> None:
    clock_ms = [FROM_MS]
    taken = live_spans(FROM_MS, None, PACED_SPAN_MS, 3_600_000, lambda: clock_ms[0])
    paced = [next(taken) for _ in range(BEHIND_MS_MAX // PACED_SPAN_MS)]

    clock_ms[0] += 600_000
    made_up = list(itertools.takewhile(lambda span: span.until_ms < clock_ms[0], taken))

    assert paced[-1].until_ms == FROM_MS + BEHIND_MS_MAX
    assert len(made_up) <= 3


def test_a_live_fleet_of_the_future_goes_in_short_spans() -> None:
    taken = list(live_spans(FROM_MS, FROM_MS + 5_000, PACED_SPAN_MS, 3_600_000, lambda: FROM_MS - 9_000_000))

    assert len(taken) == 5_000 // PACED_SPAN_MS
