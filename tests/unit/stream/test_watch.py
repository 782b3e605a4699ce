"""When to tick, and when to rebuild: only once the input has stood still, and not without end."""

from stream.watch import REBUILDS_MAX, Retries, Silence

NEWEST = 1_000_000


class TestSilence:
    def test_is_none_while_heartbeats_come(self):
        silence = Silence(quiet_ms=5_000, margin_ms=13_000)

        assert not any(silence.silent(count, NEWEST + 1_000 * count) for count in range(20))

    def test_begins_once_the_input_has_stood_still(self):
        silence = Silence(quiet_ms=5_000, margin_ms=13_000)

        found = [silence.silent(7, NEWEST + second * 1_000) for second in range(7)]

        assert found == [False] * 5 + [True] * 2

    def test_is_ended_with_a_tick_past_the_last_window(self):
        assert Silence(quiet_ms=0, margin_ms=13_000).tick_at(NEWEST) == NEWEST + 13_000

    def test_before_the_first_heartbeat_has_no_tick(self):
        assert Silence(quiet_ms=0, margin_ms=13_000).tick_at(-1) is None


class TestRetries:
    def test_starts_at_once_and_again_when_all_was_well(self):
        retries = Retries()

        assert retries.due(0)
        assert not retries.note(succeeded=True, now_s=5)
        assert retries.due(5)

    def test_waits_longer_after_each_failure_and_gives_up_after_the_last(self):
        retries, now_s, waits = Retries(), 0.0, []
        for _ in range(REBUILDS_MAX):
            last = retries.note(succeeded=False, now_s=now_s)
            waits.append(next((wait for wait in range(1_000) if retries.due(now_s + wait)), None))
            now_s += 1_000

        assert waits == [10, 20, 40, 80, None]
        assert last

    def test_a_success_by_other_hands_lets_it_start_again(self):
        retries = Retries()
        for _ in range(REBUILDS_MAX):
            retries.note(succeeded=False, now_s=0)

        retries.note(succeeded=True, now_s=0)

        assert retries.due(0)
