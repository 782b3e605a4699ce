"""Pipe Redis: what the stream's sink writes, the contract reads back, against the real server."""

import dataclasses
import time

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_state_builders import MINUTE_MS, START, USER, marks, records, state, tag_of

from infra.contracts.durations import HOUR_MS
from infra.contracts.live_state import MARKS_MAX, PUBLISHED_UNTIL_KEY, decode_live_state, live_key, region_key
from infra.contracts.utility import Utility
from stream import live_state_load
from stream.fold import PACKED, RECORD, fold
from stream.redis_sink import RedisSink
from tests.support.services import failed_in_one_line


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

        again = [sink.write_live(window) for window in windows]

        assert [(one.newer, one.rejected) for one in again] == [(0, 1)] * 5
        assert store.hgetall(live_key(USER)) == before

    def test_a_window_that_rests_is_written_as_one_that_does_not(self, sink, store):
        window = np.concatenate([records((1_000, user), user=USER + user) for user in range(1_000)])
        began = time.monotonic()
        written = sink.write_live(window, rest_s=0.4)
        took_s = time.monotonic() - began
        rested = {key: store.hgetall(key) for key in store.scan_iter("live:*")}
        store.flushdb()

        assert sink.write_live(window) == written
        assert {key: store.hgetall(key) for key in store.scan_iter("live:*")} == rested
        assert len(rested) == written.newer == 1_000
        assert took_s > 0.3

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
            h - 490_000: m for h, m in decode_live_state(in_order).meters[Utility.GAS].marks_by_hour().items()
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


@dataclasses.dataclass(frozen=True)
class Beat:
    user: int
    utility: int
    at: int
    register: int


def singly(beats):
    """RECORDs of one heartbeat each, ordered by user as the sink asks for, otherwise as they come."""
    rows = np.zeros(len(beats), RECORD)
    for row, beat in zip(rows, sorted(beats, key=lambda beat: beat.user), strict=True):
        row["user_id"], row["utility"], row["region"] = USER + beat.user, beat.utility, b"US-CA"
        row["rate"], row["sent_at"] = beat.register % 1_000, START + beat.at
        row["register"] = row["first_register"] = beat.register
    return rows


def folded(beats):
    """RECORDs of a group of heartbeats, as the fold makes them."""
    tags = [tag_of("US-CA", utility) for utility in sorted(Utility, key=lambda utility: utility.code)]
    rows = [(tags[b.utility], START + b.at, b.register, USER + b.user, b.register % 1_000) for b in beats]
    return fold(np.array(rows, PACKED))


@st.composite
def deliveries(draw):
    """Heartbeats of a few meters, and the calls that bring them: in any order, some twice, folded or not."""
    meters = [(user, utility) for user in range(3) for utility in range(3)]
    instants = st.integers(0, 59).map(lambda hour: hour * HOUR_MS) | st.integers(0, 60 * HOUR_MS)
    beats = []
    for user, utility in draw(st.lists(st.sampled_from(meters), min_size=1, max_size=9, unique=True)):
        register = draw(st.sampled_from([100, 2**32 - 400, 2**40]))
        for at in sorted(draw(st.lists(instants, min_size=1, max_size=8, unique=True))):
            beats.append(Beat(user, utility, at, register))
            register += draw(st.integers(0, 300))
    sent = draw(st.permutations(beats + draw(st.lists(st.sampled_from(beats), max_size=5))))
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    calls = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    return beats, [call for call in calls if call], draw(st.booleans())


def everything(store):
    """All of live state; what a utility never heard of has in its slot and marks is zeros."""
    return {key: store.hgetall(key) for key in store.scan_iter("live:*")}


class TestAnyOrder:
    @settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(deliveries())
    def test_any_order_doubling_and_split_gives_what_one_sorted_pass_gives(self, sink, store, delivery):
        beats, calls, published = delivery
        until = START + 30 * HOUR_MS if published else 0
        store.flushdb()
        store.set(PUBLISHED_UNTIL_KEY, until)
        for beat in sorted(beats, key=lambda beat: beat.at):
            sink.write_live(singly([beat]))
        in_order, known = everything(store), store.hgetall(region_key("US-CA"))
        store.flushdb()
        store.set(PUBLISHED_UNTIL_KEY, until)

        newer = sum(sink.write_live(singly(call)).newer for call in calls)

        assert newer <= sum(map(len, calls))
        assert everything(store) == in_order
        assert store.hgetall(region_key("US-CA")) == known

    @settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(deliveries(), st.integers(1, 40))
    def test_windows_in_order_give_what_single_heartbeats_give(self, sink, store, delivery, window_minutes):
        beats, _, _ = delivery
        store.flushdb()
        for beat in sorted(beats, key=lambda beat: beat.at):
            sink.write_live(singly([beat]))
        one_by_one = everything(store)
        store.flushdb()
        windows = {}
        for beat in beats:
            windows.setdefault(beat.at // (window_minutes * 60_000), []).append(beat)

        for _, window in sorted(windows.items()):
            sink.write_live(folded(window))

        assert everything(store) == one_by_one


STEPS = st.sampled_from([HOUR_MS // 2, 5_000, HOUR_MS, 3 * HOUR_MS, 48 * HOUR_MS])
SILENT = st.sampled_from([None, None, None, 0, 1, 2])  # the utility that is not heard of in a window


class TestCommonCase:
    """A window in which each user has one record of each utility, which the script writes as it is."""

    def window(self, users, at, register):
        return folded(
            [Beat(user, utility, at, register + user) for user in range(users) for utility in range(3)]
        )

    @settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(st.tuples(STEPS, SILENT), min_size=2, max_size=14), st.integers(0, 14), st.integers(-3, 2)
    )
    def test_is_written_as_single_heartbeats_are(self, sink, store, steps, published_at, hours):
        states = []
        for brings in (folded, singly):
            store.flushdb()
            at = 0
            for index, (step, silent) in enumerate(steps):
                at += step
                if index == published_at:
                    store.set(PUBLISHED_UNTIL_KEY, START + at + hours * HOUR_MS)
                beats = [
                    Beat(user, utility, at + utility + user * 40 * MINUTE_MS, at // 1_000)
                    for user in range(2)
                    for utility in range(3)
                    if utility != silent
                ]
                for call in [beats] if brings is folded else [[beat] for beat in beats]:
                    sink.write_live(brings(call))
            states.append(everything(store))

        assert states[0] == states[1]

    def test_turns_an_hour(self, sink, store):
        sink.write_live(self.window(5, 1_000, 100))
        sink.write_live(self.window(5, 6_000, 110))
        sink.write_live(self.window(5, HOUR_MS + 1, 120))
        written = sink.write_live(self.window(5, HOUR_MS + 5_001, 130))

        assert (written.newer, written.rejected) == (15, 0)
        for utility in Utility:
            meter = state(store).meters[utility]
            assert (meter.sent_at - START, meter.register, meter.rate) == (HOUR_MS + 5_001, 130, 130)
            assert marks(store, utility) == {-1: 100, 0: 110}

    def test_finds_a_first_heartbeat_that_came_after_a_later_one(self, sink, store):
        late_first = [Beat(0, utility, 9_000, 120) for utility in range(3)]
        sink.write_live(singly(late_first))

        group = [
            Beat(0, utility, at, register)
            for utility in range(3)
            for at, register in ((4_000, 100), (9_500, 125))
        ]
        sink.write_live(folded(group))
        sink.write_live(self.window(1, HOUR_MS, 130))

        assert [marks(store, utility) for utility in Utility] == [{-1: 100, 0: 125}] * 3

    def test_of_an_older_epoch_is_rejected(self, services, sink, store):
        RedisSink(services.settings.redis_url, epoch=2).write_live(self.window(1, 1_000, 100))

        written = sink.write_live(self.window(1, 6_000, 110))

        assert (written.newer, written.rejected) == (0, 3)
        assert state(store).meters[Utility.GAS].register == 100


class TestLoad:
    def test_makes_users_as_the_fold_would_and_refuses_to_mix_with_others(self, services, store):
        loaded = services.room("stream", "load", "--users", "2000", "--json")
        again = services.room("stream", "load", "--users", "2000")

        assert loaded.returncode == 0, loaded.stderr
        meters = decode_live_state(store.hgetall(live_key(10_001_999))).meters.values()
        assert [len(meter.marks) for meter in meters] == [live_state_load.LAST_HOUR + 1] * 3
        failed_in_one_line(again, code=1, says="holds live state already")
