"""The ledger against a brute-force replay of every message a fleet put out."""

import dataclasses
from collections.abc import Mapping, Sequence

import pytest

from infra.contracts.heartbeat import INTERVAL_MS, MalformedHeartbeatError, decode
from infra.contracts.utility import UTILITIES, Utility
from simulator.dials import DAY_SLOTS
from simulator.faults import Faults
from simulator.fleet import Pace, Progress, run
from simulator.lane import lanes_of
from simulator.ledger import (
    LedgerError,
    Run,
    check_fates,
    check_joins,
    check_one_fleet,
    counts_of,
    first_delivered,
    last_delivered,
)
from simulator.meter_faults import NONE, MeterFaults
from simulator.record_batch import ROWS_MAX, Records
from simulator.schedule import spans, step_ms
from simulator.users import meters_of, user_ids

SEED, USERS = 11, 12
HOUR_AT = 1_795_046_400_000
FROM_MS, MIDDLE_MS, TO_MS = HOUR_AT - 1_234_567, HOUR_AT + 301_111, HOUR_AT + 1_500_999
ALL_FAULTS = Faults.parse("late=4%,doubled=3%,lost=5%,malformed=2%")
METER_FAULTS = MeterFaults.parse(
    "gap=20%,spike=5%,negative=5%,stuck=5%,zero=5%,rate=5%,clock=45%,read=10%,rollover=50%,reset=1%"
)
Message = tuple[str, int, bytes | None, bytes | None, int]


class CollectingSink:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.marks: list[tuple[Progress, int]] = []

    def send(self, records: Mapping[tuple[str, int], Records], mark: Progress | None) -> None:
        for (topic, partition), rows in records.items():
            assert 0 < len(rows) <= ROWS_MAX
            self.messages += [(topic, partition, *message) for message in rows.messages()]
        if mark is not None:
            self.marks.append((mark, len(self.messages)))

    def flush(self) -> None:
        pass


def fleet_run(
    from_ms: int,
    to_ms: int,
    *,
    users: int = USERS,
    faults: Faults = ALL_FAULTS,
    meter_faults: MeterFaults = NONE,
    speed: float | None = None,
) -> tuple[CollectingSink, Run]:
    sink = CollectingSink()
    lanes = lanes_of(SEED, users, dict.fromkeys(UTILITIES, 3), faults, meter_faults)
    pace = Pace(from_ms, 0.0, speed, lambda: 0.0, lambda seconds: False)
    step = step_ms(users / 3, speed)
    *_, done = run(lanes, spans(from_ms, to_ms, step), sink, pace, Progress(from_ms, {}))
    record = Run(
        SEED, users, from_ms, to_ms, faults, done.until_ms, True, done.counts, meter_faults=meter_faults
    )
    return sink, record


def delivered(messages: list[Message]) -> dict[tuple[str, int], dict[int, tuple[int, int]]]:
    """(topic, user) -> sent_at -> (register, rate) of what a reader of the topics accepts."""
    seen: dict[tuple[str, int], dict[int, tuple[int, int]]] = {}
    for topic, _, key, value, timestamp in messages:
        try:
            beat = decode(topic, key, value, timestamp)
        except MalformedHeartbeatError:
            continue
        at = seen.setdefault((topic, int(beat["user_id"])), {})
        reading = (int(beat["register"]), int(beat["rate"]))
        assert at.setdefault(timestamp, reading) == reading
    return seen


INSTANTS = (None, FROM_MS, FROM_MS + 3_000, HOUR_AT, HOUR_AT + 1, MIDDLE_MS, MIDDLE_MS + 7_003, TO_MS - 1)


def assert_ledger_equals(
    runs: list[Run], messages: list[Message], instants: Sequence[int | None] = INSTANTS
) -> None:
    seen = delivered(messages)
    for utility in UTILITIES:
        for user_id in range(10_000_000, 10_000_000 + USERS):
            beats = seen.get((utility, user_id), {})
            for at_ms in instants:
                before = [sent_at for sent_at in beats if at_ms is None or sent_at < at_ms]
                last = last_delivered(runs, user_id, utility, at_ms)
                first = first_delivered(runs, user_id, utility, at_ms)
                if not before:
                    assert last is None is first
                    continue
                assert last is not None is not first
                assert (last.sent_at, first.sent_at) == (max(before), min(before))
                assert (last.register, last.rate) == beats[last.sent_at]
                assert (first.register, first.rate) == beats[first.sent_at]


def test_a_finished_run_is_in_the_ledger_to_the_unit() -> None:
    sink, record = fleet_run(FROM_MS, TO_MS)

    assert_ledger_equals([record], sink.messages)
    assert counts_of(record) == record.counts


def test_a_run_whose_meters_go_wrong_is_in_the_ledger_too() -> None:
    noon_ms = FROM_MS // (DAY_SLOTS * INTERVAL_MS) * DAY_SLOTS * INTERVAL_MS + 43_200_000
    sink, record = fleet_run(noon_ms, noon_ms + 3_000_000, meter_faults=METER_FAULTS)
    phases = {utility: meters_of(SEED, utility, user_ids(USERS)).phase_ms for utility in UTILITIES}

    def by_right_clock(message: Message) -> bool:
        topic, _, _, value, timestamp = message
        return value is None or timestamp % INTERVAL_MS in phases[Utility(topic)]

    right = [message for message in sink.messages if by_right_clock(message)]
    instants = [None, noon_ms + 1_000_000, noon_ms + 2_999_999]
    assert_ledger_equals([record], right, instants)
    assert counts_of(record) == record.counts
    assert len(right) < len(sink.messages)
    beats = USERS * len(UTILITIES) * 3_000_000 // INTERVAL_MS
    assert sum(counts.sent for counts in record.counts.values()) < beats
    assert Run.from_json(record.to_json()) == record


def test_two_runs_on_end_are_one_story() -> None:
    first_sink, first = fleet_run(FROM_MS, MIDDLE_MS)
    second_sink, second = fleet_run(MIDDLE_MS, TO_MS)

    assert_ledger_equals([first, second], first_sink.messages + second_sink.messages)


def test_a_period_sent_again_by_fewer_users_changes_no_answer() -> None:
    sink, whole = fleet_run(FROM_MS, TO_MS)
    again_sink, again = fleet_run(FROM_MS, TO_MS)
    fewer_sink, fewer = fleet_run(MIDDLE_MS, TO_MS + 60_000, users=USERS // 2)

    assert_ledger_equals([whole, again], sink.messages + again_sink.messages)
    assert_ledger_equals([whole, fewer], sink.messages + fewer_sink.messages)
    assert_ledger_equals([fewer, whole], fewer_sink.messages + sink.messages)


def test_a_run_that_broke_off_counts_what_was_acknowledged() -> None:
    sink, record = fleet_run(FROM_MS, TO_MS, speed=500.0)
    mark, messages = sink.marks[len(sink.marks) // 2]
    broken = dataclasses.replace(record, finished=False, acknowledged_until=mark.until_ms, counts=mark.counts)

    assert FROM_MS < mark.until_ms < TO_MS
    assert_ledger_equals([broken], sink.messages[:messages])
    assert counts_of(broken) == mark.counts


def test_counts_are_those_of_the_messages() -> None:
    sink, record = fleet_run(FROM_MS, TO_MS)
    readings = delivered(sink.messages)

    for utility in UTILITIES:
        counts = record.counts[utility]
        on_topic = [message for message in sink.messages if message[0] == utility]
        seen = sum(map(len, (beats for meter, beats in readings.items() if meter[0] == utility)))
        assert (counts.messages, counts.delivered) == (len(on_topic), seen)
        assert counts.sent == counts.delivered + counts.lost + counts.malformed
        assert min(counts.late, counts.doubled, counts.lost, counts.malformed) > 0


@pytest.mark.parametrize("speed", [35.0, 900.0])
def test_the_pace_changes_no_byte(speed: float) -> None:
    by_pace = [
        fleet_run(HOUR_AT - 60_000, HOUR_AT + 60_000, speed=pace)[0].messages for pace in (None, speed)
    ]
    lanes = [[message for message in messages if message[:2] == ("gas", 1)] for messages in by_pace]

    assert lanes[0] == lanes[1]


def test_lanes_stay_in_time_order_and_late_ones_come_when_due() -> None:
    sink, _ = fleet_run(FROM_MS, MIDDLE_MS, faults=Faults.parse("late=5%"))
    newest: dict[tuple[str, int], int] = {}
    lags = []
    mark, before_the_rest = sink.marks[-2]

    for topic, partition, _, _, timestamp in sink.messages[:before_the_rest]:
        lags.append(newest.get((topic, partition), timestamp) - timestamp)
        newest[topic, partition] = max(newest.get((topic, partition), 0), timestamp)

    late = [lag for lag in lags if lag > 0]
    assert mark.until_ms == MIDDLE_MS
    assert late
    assert min(late) > 20_000 - 5_000
    assert max(late) <= 600_000


def test_a_stop_ends_between_spans_and_still_sends_what_is_late() -> None:
    sink = CollectingSink()
    lanes = lanes_of(SEED, USERS, dict.fromkeys(UTILITIES, 3), ALL_FAULTS)
    answers = iter([False] * 40 + [True])
    pace = Pace(FROM_MS, 0.0, 10.0, lambda: 0.0, lambda seconds: next(answers))

    *_, done = run(lanes, spans(FROM_MS, None, 1_000), sink, pace, Progress(FROM_MS, {}))

    record = Run(SEED, USERS, FROM_MS, done.until_ms, ALL_FAULTS, done.until_ms, True, done.counts)
    assert counts_of(record) == done.counts
    assert sum(len(beats) for beats in delivered(sink.messages).values()) == sum(
        counts.delivered for counts in done.counts.values()
    )


def test_a_run_survives_its_own_record() -> None:
    _, record = fleet_run(FROM_MS, FROM_MS + 60_000)

    assert Run.from_json(record.to_json()) == record


def test_runs_of_one_period_have_names_of_their_own() -> None:
    _, record = fleet_run(FROM_MS, FROM_MS + 5_000)
    again = dataclasses.replace(record, started_at=record.started_at + 1)

    assert record.name != again.name
    assert dataclasses.replace(again, finished=False).name == again.name


def test_a_fleet_of_another_seed_may_not_join() -> None:
    _, record = fleet_run(FROM_MS, FROM_MS + 5_000)

    check_joins([], 12)
    check_joins([record], SEED)
    with pytest.raises(LedgerError, match=r"--seed is 12, but runs of seed 11 are recorded.*`make clean`"):
        check_joins([record], 12)


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "recorded_to_ms", "overlaps"),
    [
        (FROM_MS, TO_MS, TO_MS, True),
        (MIDDLE_MS, None, TO_MS, True),
        (TO_MS + 1, None, None, True),
        (FROM_MS - 5_000, FROM_MS + 1, None, True),
        (TO_MS, None, TO_MS, False),
        (FROM_MS - 5_000, FROM_MS, None, False),
        (FROM_MS - 5_000, TO_MS, FROM_MS, False),
    ],
)
def test_other_faults_are_refused_where_periods_overlap(
    from_ms: int, to_ms: int | None, recorded_to_ms: int | None, overlaps: bool
) -> None:
    record = Run(SEED, USERS, FROM_MS, recorded_to_ms, ALL_FAULTS, FROM_MS, finished=False, counts={})

    check_fates([record], ALL_FAULTS, from_ms, to_ms)
    if not overlaps:
        check_fates([record], Faults(), from_ms, to_ms)
        return
    with pytest.raises(LedgerError, match=r"--faults is none, but the run from .* had late=4%,doubled=3%,"):
        check_fates([record], Faults(), from_ms, to_ms)


def test_other_meter_faults_may_follow_unless_dials_would_contradict_each_other() -> None:
    gaps, resets, both = (MeterFaults.parse(text) for text in ("gap=1%", "reset=1%", "gap=1%,reset=1%"))
    record = Run(SEED, USERS, FROM_MS, TO_MS, Faults(), FROM_MS, False, {}, meter_faults=both)

    check_fates([record], Faults(), MIDDLE_MS, None, both)
    check_fates([record], Faults(), TO_MS, None, resets)
    with pytest.raises(LedgerError, match=r"--meter-faults is reset=1%, but .* had gap=1%,reset=1%. Use"):
        check_fates([record], Faults(), MIDDLE_MS, None, resets)
    for other in (gaps, NONE):
        with pytest.raises(LedgerError, match=r"same --meter-faults in rollover, reset, exchange, leak, or"):
            check_fates([record], Faults(), TO_MS, None, other)


def test_records_without_meter_faults_had_none() -> None:
    _, record = fleet_run(FROM_MS, FROM_MS + 5_000)
    older = {key: value for key, value in record.to_json().items() if key != "meter_faults"}

    assert Run.from_json(older) == record


def test_runs_of_two_fleets_are_refused() -> None:
    _, record = fleet_run(FROM_MS, FROM_MS + 5_000)

    check_one_fleet([record, record])
    with pytest.raises(LedgerError, match="no run is recorded"):
        check_one_fleet([])
    with pytest.raises(LedgerError, match=r"seeds \[11, 12\]"):
        check_one_fleet([record, dataclasses.replace(record, seed=12)])


def test_strangers_have_no_reading() -> None:
    _, record = fleet_run(FROM_MS, FROM_MS + 60_000)

    assert last_delivered([record], 10_000_000 + USERS, UTILITIES[0], None) is None
