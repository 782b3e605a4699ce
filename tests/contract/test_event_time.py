"""Event time with a real job: what a partition, a topic or a clock does wrong holds nobody else back."""

import time

import pytest

from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.utility import Utility
from tests.contract.meters import USER, WAIT_S_MAX, Meters

OTHER = USER + 1
SILENT_USERS = range(10_777_800, 10_777_816)  # so many that every partition has some
AHEAD_MS = 3_600_000
BEATS = 24


@pytest.fixture(scope="module")
def meters(services):
    services.ask("stream", "run")
    return Meters(services.settings)


def out_of_order(start):
    """Return (sent_at, register) of beats that rise, each pair swapped and some doubled."""
    beats = [(start + index * 1_000, 1_000 + index) for index in range(BEATS)]
    swapped = [beat for pair in zip(beats[1::2], beats[::2], strict=True) for beat in pair]
    return swapped + swapped[-4:]


def test_a_clock_far_ahead_moves_neither_the_watermark_nor_the_fence(services, meters):
    """The topics gas and water are silent meanwhile, and one partition of gas gets nothing but garbage."""
    before = len(services.ask("stream", "dead-letters"))
    start = int(time.time() * 1000) - BEATS * 1_000
    meters.send(Utility.ELECTRICITY, start + AHEAD_MS, 999_999)
    for sent_at, register in out_of_order(start):
        meters.send(Utility.ELECTRICITY, sent_at, register)
        meters.send_malformed(Utility.GAS)
    meters.flush()

    meter = meters.wait_for(Utility.ELECTRICITY, start + (BEATS - 1) * 1_000)

    letters = services.ask("stream", "dead-letters")
    assert (meter.sent_at, meter.register) == (start + (BEATS - 1) * 1_000, 1_000 + BEATS - 1)
    assert len(letters) == before + 1 + len(out_of_order(start))
    assert "sent_at is more than 120 s ahead of the broker's clock" in [one["reason"] for one in letters]
    assert services.ask("stream", "status")["watermark_ms"] < start + AHEAD_MS / 2


def test_a_topic_that_wakes_up_is_on_time_again(services, meters):
    late = services.ask("stream", "status")["late"]
    start = int(time.time() * 1000)
    for beat in range(3):
        meters.send(Utility.WATER, start + beat * 100, 500 + beat, OTHER)
        meters.flush()

    meter = meters.wait_for(Utility.WATER, start + 200, OTHER)

    assert meter.register == 502
    assert services.ask("stream", "status")["late"] == late


def test_a_late_heartbeat_is_counted_and_steps_nothing_back(services, meters):
    late = services.ask("stream", "status")["late"]
    newest = int(time.time() * 1000)
    meters.send(Utility.GAS, newest, 900)
    meters.flush()
    meters.wait_for(Utility.GAS, newest)

    meters.send(Utility.GAS, newest - 20 * INTERVAL_MS, 800)
    meters.flush()

    deadline = time.monotonic() + WAIT_S_MAX
    while services.ask("stream", "status")["late"] == late:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    meter = meters.meter(Utility.GAS)
    assert (meter.sent_at, meter.register) == (newest, 900)


def test_the_last_heartbeats_show_though_their_windows_ended_and_nothing_follows(services, meters):
    """A tick ends the windows of all, though only one reader reads it: to the others nobody is late."""
    newest = int(time.time() * 1000)
    meters.send(Utility.GAS, newest, 1_000)
    meters.flush()
    meters.wait_for(Utility.GAS, newest)
    deadline = time.monotonic() + WAIT_S_MAX
    while not services.ask("stream", "status")["windows_closed"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    late = services.ask("stream", "status")["late"]

    for user_id in SILENT_USERS:
        for utility in Utility:
            meters.send(utility, newest, user_id, user_id)
    meters.flush()

    for user_id in SILENT_USERS:
        for utility in Utility:
            assert meters.wait_for(utility, newest, user_id).register == user_id
    while services.ask("stream", "status")["late"] < late + len(SILENT_USERS) * len(Utility):
        assert time.monotonic() < deadline
        time.sleep(0.5)
