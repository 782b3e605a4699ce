"""When to tick: only once the input has stood still for long enough, and never ahead of the broker."""

from stream.kafka_source import InputProgress
from stream.watch import AHEAD_MS_MAX, Silence

NEWEST = 1_000_000


def progress(produced: int, newest_event_ms: int = NEWEST) -> InputProgress:
    return InputProgress(produced=produced, checkpointed=0, newest_event_ms=newest_event_ms)


class TestSilence:
    def test_does_not_tick_while_heartbeats_come(self):
        silence = Silence(quiet_ms=5_000, margin_ms=13_000)

        ticks = [silence.tick_at(progress(count), NEWEST + 1_000 * count) for count in range(20)]

        assert ticks == [None] * 20

    def test_ticks_past_the_last_window_once_the_input_is_quiet(self):
        silence = Silence(quiet_ms=5_000, margin_ms=13_000)

        ticks = [silence.tick_at(progress(7), NEWEST + second * 1_000) for second in range(7)]

        assert ticks == [None] * 5 + [NEWEST + 13_000] * 2

    def test_does_not_tick_before_the_first_heartbeat(self):
        silence = Silence(quiet_ms=0, margin_ms=13_000)

        assert silence.tick_at(progress(0, newest_event_ms=-1), NEWEST) is None

    def test_stays_within_what_the_broker_accepts(self):
        silence = Silence(quiet_ms=0, margin_ms=500_000)
        silence.tick_at(progress(1), NEWEST)

        assert silence.tick_at(progress(1), NEWEST) == NEWEST + AHEAD_MS_MAX
