"""A lane whose meters go wrong: the same as the ledger says beat by beat, and wrong where labels say so."""

import functools
from typing import Any

import numpy as np
import pytest

from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.quality import Rule
from infra.contracts.utility import UTILITIES, Utility
from simulator.dials import DAY_SLOTS, dials_of, shown_at
from simulator.fault_days import faults_on
from simulator.faults import Fate, Faults, delay_ms
from simulator.labels import labels_of
from simulator.lane import Lane
from simulator.ledger import Run
from simulator.meter_days import askew_at, read_shown, silent_at
from simulator.meter_faults import MeterFaults
from simulator.registers import hour_use, read_at
from simulator.schedule import spans
from simulator.users import Meters, meters_of, user_ids

SEED, USERS, DAY = 21, 800, 20_777
DAY_MS = DAY_SLOTS * INTERVAL_MS
FAULTS = MeterFaults.parse(
    "gap=8%,spike=5%,negative=5%,stuck=5%,zero=5%,rate=5%,clock=5%,read=5%,"
    "leak=0.8%,rollover=5%,reset=0.8%,exchange=0.8%"
)
# From within one day to within the third, so that a run's own bounds lie inside days.
FROM_MS, TO_MS = DAY * DAY_MS + 5_000_123, (DAY + 2) * DAY_MS + 7_777
RUN = Run(SEED, USERS, FROM_MS, TO_MS, Faults(), TO_MS, finished=True, counts={}, meter_faults=FAULTS)
DAYS = range(DAY, DAY + 3)


@functools.cache
def labels() -> list[dict[str, Any]]:
    return [label for day in DAYS for label in labels_of([RUN], user_ids(USERS), day).to_pylist()]


@functools.cache
def chosen_users(utility: Utility) -> tuple[int, ...]:
    """Four users of each rule, and some more."""
    by_rule: dict[str, list[int]] = {}
    for label in labels():
        if label["utility"] == utility:
            by_rule.setdefault(label["rule"], []).append(label["user_id"])
    few = {user_id for users in by_rule.values() for user_id in users[:4]}
    return tuple(sorted(few | set(user_ids(6).tolist())))


@functools.cache
def lane_output(utility: Utility) -> dict[int, np.ndarray]:
    """Every heartbeat of the chosen users, by user, in the order in which they were sent."""
    lane = Lane(0, meters_of(SEED, utility, np.array(chosen_users(utility))), Faults(), FAULTS)
    sent = []
    # The lane asks nothing about how long spans are.
    for span in (*spans(FROM_MS, FROM_MS + 9_000, 1_000), *spans(FROM_MS + 9_000, TO_MS, 1_800_000)):
        records, counts = lane.beats(span)
        assert counts.sent == counts.delivered == len(records)
        sent.append(records.values)
    rows = np.concatenate(sent)
    return {user_id: rows[rows["user_id"] == user_id] for user_id in chosen_users(utility)}


def beats_of(user_id: int, utility: Utility) -> tuple[Meters, np.ndarray]:
    """A meter again and again, and all the slots in which it beat during the run."""
    meter = meters_of(SEED, utility, np.array([user_id]))
    phase = int(meter.phase_ms[0])
    first, end = (-((phase - at_ms) // INTERVAL_MS) for at_ms in (FROM_MS, TO_MS))
    slots = np.arange(first, end)
    return meter.take(np.zeros(len(slots), np.int64)), slots


def test_every_rule_is_labelled() -> None:
    assert {label["rule"] for label in labels()} == set(Rule) - {Rule.ROLLOVER}


@pytest.mark.parametrize("utility", UTILITIES)
def test_a_lane_sends_what_the_ledger_knows(utility: Utility) -> None:
    for user_id, rows in lane_output(utility).items():
        meter, slots = beats_of(user_id, utility)
        sent = ~silent_at(meter, FAULTS, slots)
        shown = read_shown(meter, FAULTS, slots)
        askew = askew_at(meter, FAULTS, slots)[sent]

        assert len(rows) == sent.sum()
        assert (rows["register"] == shown.register[sent]).all()
        assert (rows["rate"] == shown.rate[sent]).all()
        shift = rows["sent_at"] - (slots * INTERVAL_MS + meter.phase_ms)[sent]
        assert (shift[~askew] == 0).all()
        assert (shift[askew] % INTERVAL_MS != 0).all()


@pytest.mark.parametrize("utility", UTILITIES)
def test_a_lane_does_what_the_labels_say_and_nothing_else(utility: Utility) -> None:
    done = set()
    for user_id, rows in lane_output(utility).items():
        meter, slots = beats_of(user_id, utility)
        right = shown_at(meter, FAULTS, slots)
        rate = read_at(meter, slots)[1] + dials_of(meter, FAULTS, slots // DAY_SLOTS).flow
        register_sent, rate_sent, shift = (np.zeros(len(slots), np.int64) for _ in range(3))
        sent = np.ones(len(slots), np.bool_)
        mine = [label for label in labels() if (label["user_id"], label["utility"]) == (user_id, utility)]
        spans_of = [(label["rule"], _within(slots, meter, label)) for label in mine]
        for rule, span in spans_of:
            sent[span] &= rule != Rule.GAP
        assert sent.sum() == len(rows)
        register_sent[sent], rate_sent[sent] = rows["register"], rows["rate"]
        shift[sent] = rows["sent_at"] - (slots * INTERVAL_MS + meter.phase_ms)[sent]

        unlabelled = sent.copy()
        for rule, span in spans_of:
            if rule not in (Rule.LEAK, Rule.RESET, Rule.EXCHANGE):
                unlabelled[span] = False
        assert (register_sent[unlabelled] == right[unlabelled]).all()
        assert (rate_sent[unlabelled] == rate[unlabelled]).all()
        assert (shift[unlabelled] == 0).all()
        for rule, span in spans_of:
            done.add(rule)
            wrong = register_sent[span] - right[span]
            if rule in (Rule.GAP, Rule.LEAK, Rule.RESET, Rule.EXCHANGE):
                _check_event(rule, meter, slots, span, right)
                continue
            _check_fault(Rule(rule), meter.take(span), slots[span], right[span], wrong, shift[span])
            if rule == Rule.RATE:
                assert ((rate_sent[span] >= 2 * meter.rate_max[0]) & (wrong == 0)).all()
            else:
                assert (rate_sent[span] == (0 if rule == Rule.ZERO else rate[span])).all()
    assert done >= set(Rule) - {Rule.ROLLOVER, *(() if utility == "water" else (Rule.LEAK,))}


def test_a_wrong_clock_changes_neither_order_nor_delay() -> None:
    late, askew = Faults.parse("late=40%"), MeterFaults.parse("clock=100%")
    lane = Lane(0, meters_of(SEED, Utility.GAS, user_ids(8)), late, askew)
    noon_ms = DAY * DAY_MS + DAY_MS // 2
    parts = [lane.beats(span)[0] for span in spans(noon_ms, noon_ms + 7_200_000, 60_000)]
    rows = np.concatenate([records.values for records in parts])
    phase = {
        int(user_id): int(at) for user_id, at in zip(lane.meters.user_id, lane.meters.phase_ms, strict=True)
    }
    of_day = faults_on(lane.meters, askew, DAY)
    shift = dict(zip(lane.meters.user_id[of_day.row].tolist(), of_day.amount.tolist(), strict=True))

    leaves_ms, wrong = [], 0
    for user_id, sent_at in zip(rows["user_id"].tolist(), rows["sent_at"].tolist(), strict=True):
        by_wrong_clock = sent_at % INTERVAL_MS != phase[user_id]
        true_ms = sent_at - by_wrong_clock * shift[user_id]
        slot, own_phase = divmod(true_ms, INTERVAL_MS)
        assert own_phase == phase[user_id]
        identity = lane.meters.identity[lane.meters.user_id == user_id]
        delayed = late.fate_of(identity, slot)[0] == Fate.LATE
        leaves_ms.append(true_ms + int(delay_ms(identity, slot)[0]) * delayed)
        wrong += by_wrong_clock

    assert wrong > 500
    # A late heartbeat leaves beside those of the same moment, whichever beat by which clock.
    assert (np.diff(leaves_ms) >= 0).all()


def _within(slots: np.ndarray, meter: Meters, label: dict[str, Any]) -> np.ndarray:
    at_ms = slots * INTERVAL_MS + meter.phase_ms
    return np.flatnonzero((label["from_ms"] <= at_ms) & (at_ms < label["to_ms"]))


def _check_event(rule: str, meter: Meters, slots: np.ndarray, span: np.ndarray, right: np.ndarray) -> None:
    if rule in (Rule.RESET, Rule.EXCHANGE):
        [at] = span.tolist()
        # Right before the run's first beat nothing is known of the old dial.
        assert at == 0 or right[at - 1] > 1_000
        assert 0 <= right[at] <= (50 if rule == Rule.EXCHANGE else 0)
    if rule == Rule.LEAK:
        flow = dials_of(meter.take(span), FAULTS, slots[span] // DAY_SLOTS).flow
        assert flow.min() == flow.max() >= 40


def _check_fault(
    rule: Rule, meter: Meters, slots: np.ndarray, right: np.ndarray, wrong: np.ndarray, shift: np.ndarray
) -> None:
    """What a label promises of the beats in its span; `wrong` is the register sent less the right one."""
    figures = dials_of(meter, FAULTS, slots // DAY_SLOTS).figures
    if rule == Rule.SPIKE:
        assert 1 <= len(slots) <= 3
        assert (wrong >= 2 * meter.rate_max).all()
    elif rule == Rule.NEGATIVE:
        assert len(np.unique(wrong)) == 1
        assert wrong[0] < -2 * hour_use(meter.take([0]), slots[:1] // 720).usage[0]
    elif rule in (Rule.STUCK, Rule.ZERO):
        assert len(np.unique((right + wrong) % figures)) == 1
    elif rule == Rule.READ:
        used = (right - right[0]) % figures
        # A run that begins within the span has missed the first of it.
        assert abs((-wrong[-1] % figures[0]) - (-wrong[0] % figures[0]) - used[-1] / 2) <= 1
    elif rule == Rule.CLOCK:
        assert (wrong == 0).all()
        assert len(np.unique(shift)) == 1
        assert shift[0] != 0
