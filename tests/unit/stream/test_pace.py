"""How long a window's writes may rest: part of the time that is left, and not once the worker is behind."""

import pytest

from stream.pace import REST_S_MAX, REST_S_MIN, SOON_MS, SPARE, Pace, calls_at_once

LATENESS_MS = 3_000
YOUNG_MS, OLD_MS = LATENESS_MS + 200, LATENESS_MS + SOON_MS
EVERY_S = 0.4


def rests(pace, work_s, windows, age_ms=YOUNG_MS, every_s=EVERY_S, since_s=0.0):
    """Have windows come as often as that, if the worker is free; return what each rests."""
    found, now_s = [], since_s
    for window in range(windows):
        now_s = max(now_s, since_s + window * every_s)
        rest_s = pace.rest_s(now_s, age_ms)
        now_s += work_s + rest_s
        pace.done(now_s)
        found.append(rest_s)
    return found


@pytest.fixture
def pace():
    return Pace(LATENESS_MS)


def test_a_worker_rests_for_part_of_the_time_that_its_windows_leave(pace):
    assert rests(pace, 0.1, 50)[-1] == pytest.approx(SPARE * (EVERY_S - 0.1))


def test_the_first_window_does_not_rest(pace):
    assert rests(pace, 0.1, 1) == [0.0]


def test_what_people_wait_for_is_bounded_however_rarely_windows_come(pace):
    assert rests(pace, 0.1, 50, every_s=5.0)[-1] == REST_S_MAX


def test_a_worker_that_has_all_it_can_do_does_not_rest(pace):
    assert max(rests(pace, EVERY_S, 50)) == 0.0


def test_a_worker_that_becomes_too_slow_stops_resting_within_a_few_windows(pace):
    before = rests(pace, 0.1, 50)[-1]

    after = rests(pace, 2 * EVERY_S, 10, since_s=50 * EVERY_S)

    assert before > 0.1
    assert after[-1] == 0.0


def test_a_window_that_is_old_already_does_not_rest_and_the_next_young_one_does(pace):
    rests(pace, 0.1, 10)

    assert max(rests(pace, 0.1, 10, age_ms=OLD_MS, since_s=10 * EVERY_S)) == 0.0
    assert rests(pace, 0.1, 2, since_s=20 * EVERY_S)[-1] > 0.0


def test_no_window_is_written_later_for_its_rests_than_soon(pace):
    rests(pace, 0.1, 50)

    assert pace.rest_s(50 * EVERY_S, OLD_MS - 50) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("calls", "rest_s", "at_once"),
    [
        pytest.param(28, 0.0, 8, id="none-all-that-may-be"),
        pytest.param(28, 0.2, 1, id="enough-for-each"),
        pytest.param(28, 9.5 * REST_S_MIN, 3, id="enough-for-every-third"),
        pytest.param(1, 0.2, 1, id="one-call"),
        pytest.param(3, 0.0, 3, id="few-calls"),
        pytest.param(0, 0.2, 1, id="no-call"),
    ],
)
def test_calls_are_handed_over_singly_only_where_the_rests_are_long_enough(calls, rest_s, at_once):
    assert calls_at_once(calls, rest_s, 8) == at_once
