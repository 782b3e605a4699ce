"""What validation makes of meters' days: each fault found by its name and no other, no unit lost."""

import datetime

import numpy as np
import pytest
import vee_builders as made
from vee_builders import BASE, NIGHT, Meter, beats, edited, rules, state, used, without

from batch.night import Night
from batch.restate import scaled
from batch.vee.history import NIGHTS, typical
from infra.contracts.durations import HOUR_MS

FULL = beats()
REAL = [used((hour + 1) * HOUR_MS) - used(hour * HOUR_MS) for hour in range(24)]
TOTAL = used(24 * HOUR_MS)


def h(hours):
    return int(hours * HOUR_MS)


def shown(change):
    """Return the day's heartbeats with another register where `change` gives one."""
    return [(at, change(at, register), rate) for at, register, rate in FULL]


def off(row):
    """Return by how much each hour is off what was used."""
    return [found - real for found, real in zip(row["used"], REAL, strict=True)]


def assert_sums(row):
    assert min(row["used"]) >= 0
    assert sum(row["used"]) == row["usage_total"] == row["register_end"] - row["register_start"]
    moved = row["raw_end"] - row["raw_start"] + row["turned"] + row["reset"] + row["exchanged"]
    estimated = row["open_end"] - row["open_start"] - row["restated"]
    assert row["usage_total"] == moved - row["quarantined"] + estimated


def spiked(at_h, count, amount=500_000):
    first = next(place for place, beat in enumerate(FULL) if beat[0] >= h(at_h))
    return [
        (at, register + amount * (first <= place < first + count), rate)
        for place, (at, register, rate) in enumerate(FULL)
    ]


FROZEN, RESTING = BASE + used(h(9.4)), BASE + used(h(2.4))
FOUND = {
    "nothing": (Meter(FULL, state()), set()),
    "gap": (Meter(without(FULL, 9.7, 14.7), state()), {"gap"}),
    "spike": (Meter(spiked(9.5, 1), state()), {"spike"}),
    "spike at an hour's end": (Meter(spiked(9.9987, 2), state()), {"spike"}),
    "spike at an hour's start": (Meter(spiked(10.0, 2), state()), {"spike"}),
    "negative": (
        Meter(shown(lambda at, reg: reg - 3_000 * (h(9.4) <= at < h(12.6))), state()),
        {"negative"},
    ),
    "negative that crawls past where it was": (
        Meter(shown(lambda at, reg: reg - 1_900 * (h(9.4) <= at < h(15.6))), state()),
        {"negative"},
    ),
    "stuck": (
        Meter(shown(lambda at, reg: FROZEN if h(9.4) <= at < h(14.6) else reg), state()),
        {"stuck"},
    ),
    "zero": (
        Meter(
            [(at, RESTING, 0) if h(2.4) <= at < h(16.6) else (at, reg, rate) for at, reg, rate in FULL],
            state(),
        ),
        {"zero"},
    ),
    "rate": (
        Meter([(at, reg, 200_000 if h(9.4) <= at < h(9.6) else rate) for at, reg, rate in FULL], state()),
        {"rate"},
    ),
    "clock": (
        Meter([(at - 7_201_111 * (h(9.4) <= at < h(10.6)), reg, rate) for at, reg, rate in FULL], state()),
        {"clock"},
    ),
    "reset": (Meter(shown(lambda at, reg: reg - FROZEN * (at >= h(9.4))), state()), {"reset"}),
    "exchange": (
        Meter(
            shown(lambda at, reg: reg - (FROZEN - 17) * (at >= h(9.4))),
            state(),
            exchange=(h(9.4), FROZEN, 17),
        ),
        {"exchange"},
    ),
}


class TestFindings:
    @pytest.mark.parametrize("name", FOUND)
    def test_are_what_is_wrong_and_nothing_else_and_no_unit_is_lost(self, name):
        meter, expected = FOUND[name]

        [row] = edited(meter)

        assert rules(row) == expected
        assert_sums(row)
        assert abs(row["usage_total"] - TOTAL) <= 1  # the day's bounds lie between two heartbeats

    @pytest.mark.parametrize("name", ["spike", "negative", "stuck", "reset", "exchange", "rate"])
    def test_leave_every_hour_right_where_the_rates_tell_it(self, name):
        [row] = edited(FOUND[name][0])

        assert max(map(abs, off(row))) <= 3

    def test_leak_is_water_that_never_rests(self):
        rests = [(at, register, 0 if at < 60_000 else rate) for at, register, rate in FULL]

        leaks, stops, gas = edited(
            Meter(FULL, state(), utility=2), Meter(rests, state(), utility=2), Meter(FULL, state(), utility=1)
        )

        assert (rules(leaks), rules(stops), rules(gas)) == ({"leak"}, set(), set())

    def test_zero_where_nobody_lives_is_none(self):
        meter = Meter(FOUND["zero"][0].beats, state(), vacant=True)

        [row] = edited(meter)

        assert "zero" not in rules(row)
        assert abs(row["usage_total"] - TOTAL) <= 1

    def test_order_doubling_and_loss_change_nothing(self):
        rng = np.random.default_rng(7)
        kept = [beat for place, beat in enumerate(FULL) if place % 97]
        shuffled = [kept[place] for place in rng.permutation(len(kept))] + kept[:500]

        [row, same] = edited(Meter(kept, state()), Meter(shuffled, state()))

        assert same["heartbeats"] == row["heartbeats"] == len(kept)
        assert same["heartbeats_read"] == len(kept) + 500
        assert same["used"] == row["used"]


class TestDials:
    def test_roll_over_without_a_trace_in_the_usage(self):
        meter = Meter(
            [(at, register % 10_000, rate) for at, register, rate in FULL],
            state(raw=(BASE + used(-5_000 + made.PHASE)) % 10_000),
            dial=10_000,
        )

        [row] = edited(meter)

        assert rules(row) == {"rollover"}
        assert row["turned"] == 30_000
        assert row["raw_end"] + row["register_offset"] == row["register_end"]
        assert abs(row["usage_total"] - TOTAL) <= 1
        assert_sums(row)

    def test_that_jump_for_good_are_counted_on_and_the_jump_is_set_aside(self):
        [row] = edited(Meter(shown(lambda at, reg: reg + 900_000 * (at >= h(9.4))), state()))

        assert "rate" in rules(row)
        assert row["quarantined"] > 800_000
        assert row["usage_total"] < TOTAL + 100
        assert_sums(row)


LAG = BASE + used(h(8))
HALF = shown(lambda at, reg: LAG + (reg - LAG) // 2 if at >= h(8) else reg)


class TestReads:
    def test_win_over_the_meter_and_start_the_next_night(self):
        [row] = edited(Meter(HALF, state(), read=BASE + TOTAL))

        assert rules(row) == {"read"}
        assert row["quality"] == "C" * 24
        assert row["raw_end"] == BASE + TOTAL
        assert abs(row["usage_total"] - TOTAL) <= 2
        assert_sums(row)

    def test_that_agree_change_nothing(self):
        [row] = edited(Meter(FULL, state(), read=BASE + TOTAL))

        assert (rules(row), row["quality"]) == (set(), "M" * 24)

    def test_below_the_days_start_are_refused(self):
        [row] = edited(Meter(FULL, state(), read=BASE - 5_000))

        assert rules(row) == {"read"}
        assert row["quality"] == "M" * 24

    def test_bound_a_meter_that_fell_silent(self):
        [row] = edited(Meter(without(FULL, 18.5, 24), state(), read=BASE + TOTAL))

        assert (row["open_end"], row["usage_total"]) == (0, row["register_end"] - row["register_start"])
        assert abs(row["usage_total"] - TOTAL) <= 2
        assert "P" not in row["quality"]


class TestASilenceOverMidnight:
    TOMORROW = Night(NIGHT.day + datetime.timedelta(days=1))

    def test_is_projected_and_told_anew_once_the_meter_is_heard(self):
        [today] = edited(Meter(without(FULL, 20.7, 24), state()))
        again = [(at, register + TOTAL, rate) for at, register, rate in beats(3.3)]

        [next_day] = edited(Meter(again, made.after(today)), night=self.TOMORROW)

        assert today["quality"].endswith("PPPP")
        assert min(today["used"][20:]) > 0
        bounds = today["register_start"] + np.cumsum([0, *today["used"]])
        anchor = today["register_end"] - today["open_end"]
        known = next_day["open_start"] + next_day["restated"]
        told = scaled(bounds[None, :], *(np.array([n]) for n in (anchor, today["open_end"], known)))
        assert told[0, -1] == anchor + known == next_day["register_start"]
        assert (np.diff(told[0]) >= 0).all()
        both = next_day["register_end"] - today["register_start"]
        assert abs(both - 2 * TOTAL) <= 1
        assert_sums(next_day)

    def test_of_a_whole_day_is_not_zero(self):
        [today] = edited(Meter(without(FULL, 20.7, 24), state()))

        [silent] = edited(Meter([], made.after(today), past=[made.measured(REAL, 0)]), night=self.TOMORROW)

        assert silent["quality"] == "P" * 24
        assert silent["used"] == [*REAL]
        assert_sums(silent)


class TestThePast:
    def test_is_of_the_same_class_of_day_and_wall_clock_hour(self):
        """Of three weeks before Monday 2026-03-30 in Berlin, where clocks were put forward on Sunday."""
        night = datetime.date(2026, 3, 30)
        usage = np.zeros((1, NIGHTS, 24), np.int64)
        for ago in range(NIGHTS):
            day = night - datetime.timedelta(days=ago + 1)
            for hour in range(24):
                ahead = 2 if day >= datetime.date(2026, 3, 29) else 1
                local_hour, weekday = (hour + ahead) % 24, (day.weekday() + (hour + ahead) // 24) % 7
                usage[0, ago, hour] = local_hour * 10 + max(0, weekday - 4)

        [expected] = typical(usage, np.ones_like(usage, bool), np.array(["Europe/Berlin"]), night)

        assert expected.tolist() == [(hour + 2) % 24 * 10 for hour in range(24)]

    def test_that_was_not_measured_says_nothing(self):
        usage = np.ones((1, NIGHTS, 24), np.int64)

        [expected] = typical(usage, np.zeros_like(usage, bool), np.array(["UTC"]), NIGHT.day)

        assert set(expected.tolist()) == {-1}

    def test_tells_the_hours_of_a_long_silence(self):
        past = [made.measured(REAL, ago) for ago in range(14)]

        [row] = edited(Meter(without(FULL, 9.0, 15.0), state(), past=past))

        assert row["quality"][9:15] == "E" * 6
        assert max(map(abs, off(row))) <= 5


def test_a_vacant_place_at_rest_is_measured():
    still = [(at, BASE, 0) for at, _, _ in FULL]

    vacant, lived_in = edited(Meter(still, state(raw=BASE), vacant=True), Meter(still, state(raw=BASE)))

    assert (vacant["usage_total"], vacant["quality"], rules(vacant)) == (0, "M" * 24, set())
    assert rules(lived_in) == {"zero"}
