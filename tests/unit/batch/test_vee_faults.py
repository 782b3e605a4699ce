"""Faults too small or too short for a plain rule, and master data that are wrong: nothing is lost to them."""

import pytest
from vee_builders import BASE, Meter, beats, edited, rules, state, used
from vee_nights import TOTAL, assert_continued, published, the_day

from infra.contracts.durations import HOUR_MS

HOURS = [used((hour + 1) * HOUR_MS) - used(hour * HOUR_MS) for hour in range(24)]


def h(hours):
    return int(hours * HOUR_MS)


def moved(some, by, since_h, until_h=24.0):
    return [(at, register + by * (h(since_h) <= at < h(until_h)), rate) for at, register, rate in some]


class TestASmallSpike:
    """One that the connection could carry: only what comes after it, or the rates, tell it from usage."""

    @pytest.mark.parametrize("amount", [400, 1_000, 9_000])
    @pytest.mark.parametrize("at_h", [0.9987, 9.9987, 22.9987])
    def test_on_an_hours_last_heartbeats_is_taken_back(self, at_h, amount):
        [row] = edited(Meter(moved(beats(), amount, at_h, at_h + 0.0013), state()))

        assert rules(row) == {"spike"}
        assert max(abs(a - b) for a, b in zip(row["used"], HOURS, strict=True)) <= 3

    @pytest.mark.parametrize("amount", [700, 1_000, 9_000])
    def test_on_a_days_last_heartbeat_is_left_to_the_next_night(self, amount):
        rows = published([the_day(-1), moved(the_day(0), amount, 23.9987), the_day(1), the_day(2)])

        assert_continued(rows)
        assert [rules(row) for row in rows] == [set(), {"spike"}, set(), set()]
        assert max(abs(a - b) for row in rows[1:] for a, b in zip(row["used"], HOURS, strict=True)) <= 3

    def test_before_a_short_loss_at_midnight_makes_no_gap_of_it(self):
        """Trusted last at 23:00 and heard last at midnight: nothing was silent for that hour."""
        rows = published([the_day(-1), moved(the_day(0), 500_000, 23.9987), the_day(1, 0.042), the_day(2)])

        assert_continued(rows)
        assert [rules(row) for row in rows] == [set(), {"spike"}, set(), set()]


class TestARegisterThatStands:
    @pytest.mark.parametrize(("since_h", "until_h"), [(9.2, 10.6), (9.2, 10.999), (8.999, 10.4)])
    def test_for_less_than_two_whole_hours_may_show_it_all_at_once(self, since_h, until_h):
        still = BASE + used(h(since_h))
        some = [
            (at, still if h(since_h) <= at < h(until_h) else register, rate) for at, register, rate in beats()
        ]

        [row] = edited(Meter(some, state()))

        assert rules(row) == set()
        assert row["usage_total"] == pytest.approx(TOTAL, abs=2)

    def test_from_a_meters_first_heartbeat_on_is_a_meter_all_the_same(self):
        stuck = [(at, BASE, rate) for at, _, rate in beats(6)]

        [row] = edited(Meter(stuck))

        assert rules(row) == {"stuck"}
        assert row["register_start"] == BASE
        assert row["open_end"] == pytest.approx(TOTAL - used(h(6)), abs=50), "as the rates say"


class TestAJumpWithinAnHour:
    def test_of_what_a_gap_can_hide_is_usage(self):
        """A quarter of an hour is lost, and the car was charged in it."""
        charged = moved(beats(), 2_500, 9.6)
        some = [beat for beat in charged if not h(9.4) <= beat[0] < h(9.65)]

        [row] = edited(Meter(some, state()))

        assert rules(row) == set()
        assert row["usage_total"] == pytest.approx(TOTAL + 2_500, abs=2)


class TestMasterDataThatAreWrong:
    def test_about_the_dial_do_not_turn_a_fall_into_a_rollover(self):
        """The register is far beyond what the dial is said to show, and falls by more than that."""
        [row] = edited(Meter(moved(beats(), -25_000, 9.4), state(), dial=10_000))

        assert rules(row) == {"negative"}
        assert min(row["used"]) >= 0
        assert row["usage_total"] == pytest.approx(TOTAL, abs=30)

    def test_about_an_exchange_that_never_was_are_found_out(self):
        wrong = (h(9.4), BASE + used(h(9.4)), 0)

        rows = published([the_day(-1), the_day(0), the_day(1)], exchange=[None, wrong, None])

        assert_continued(rows)
        assert rules(rows[2]) == set()
        assert rows[2]["register_end"] - rows[0]["register_start"] == pytest.approx(3 * TOTAL, abs=60)
