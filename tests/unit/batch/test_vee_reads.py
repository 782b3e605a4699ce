"""The utility's own read against the meter: when it wins, what it bounds, and when it cannot be."""

import pytest
from vee_builders import BASE, PHASE, RATE_MAX, Meter, after, beats, edited, rules, state, used, without
from vee_nights import TOTAL, assert_continued, published, the_day

from batch.edited_rows import READ_AGREES, READ_REFUSED, READ_WINS
from infra.contracts.durations import HOUR_MS

LAG_SINCE_H = 8
LAG = BASE + used(LAG_SINCE_H * HOUR_MS)


def half_counted(number=0):
    """Return a day whose register moves half as far as it should from 8:00 on."""
    lag = LAG + number * TOTAL
    return [
        (at, lag + (register - lag) // 2 if at >= LAG_SINCE_H * HOUR_MS else register, rate)
        for at, register, rate in the_day(number)
    ]


class TestAReadThatWins:
    def test_stands_for_the_register_and_leaves_the_next_night_calm(self):
        rows = published([the_day(-1), half_counted(), the_day(1)], read=[None, BASE + TOTAL, None])

        assert_continued(rows)
        assert [rules(row) for row in rows] == [set(), {"read"}, set()]
        assert rows[1]["read_rank"] == READ_WINS
        assert rows[1]["usage_meter"] < rows[1]["usage_read"] == rows[1]["usage_total"]
        # The rates explain it, so that each hour is what they say.
        hours = [used((hour + 1) * HOUR_MS) - used(hour * HOUR_MS) for hour in range(24)]
        assert max(abs(a - b) for a, b in zip(rows[1]["used"], hours, strict=True)) <= 3

    def test_that_no_rate_explains_keeps_the_meters_own_proportions(self):
        [row] = edited(Meter(beats(), state(), read=BASE + 3 * TOTAL))

        assert rules(row) == {"read"}
        assert row["usage_total"] == pytest.approx(3 * TOTAL, abs=2)
        assert [hour // 3 for hour in row["used"]] == pytest.approx([600 + 30 * h for h in range(24)], abs=3)

    def test_after_a_day_without_any_movement_is_spread_evenly(self):
        still = [(at, BASE, 0) for at, _, _ in beats()]

        [row] = edited(Meter(still, state(raw=BASE), read=BASE + 2_400, vacant=True))

        assert row["used"] == [100] * 24

    def test_of_a_large_business_does_not_overflow(self):
        base, a_day = 90_000_000_000, 7_000_000_000
        some = beats(register=lambda at: base + at * a_day // (24 * HOUR_MS))
        meter = Meter(some, state(raw=base), home=False, rate_max=10**9, read=base + 20_000_000_000)

        [row] = edited(meter)

        assert row["usage_total"] == row["register_end"] - base == 20_000_000_000
        assert min(row["used"]) > 0


class TestAReadThatIsRefused:
    @pytest.mark.parametrize(
        "read",
        [
            pytest.param(BASE - 5_000, id="below the day's start"),
            pytest.param(BASE + 26 * RATE_MAX, id="more than the connection carries"),
            pytest.param(10 * (BASE + TOTAL), id="a digit too many"),
        ],
    )
    def test_leaves_the_meter_as_it_is_and_is_found(self, read):
        [plain, row] = edited(Meter(beats(), state()), Meter(beats(), state(), read=read))

        assert rules(row) == {"read"}
        assert row["read_rank"] == READ_REFUSED
        assert (row["used"], row["quality"], row["raw_end"]) == (
            plain["used"],
            plain["quality"],
            plain["raw_end"],
        )

    def test_of_a_silent_meter_below_what_it_showed_last(self):
        some = without(beats(), 20.5, 24)
        low = BASE + used(12 * HOUR_MS)

        [plain, row] = edited(Meter(some, state()), Meter(some, state(), read=low))

        assert rules(row) == {"gap", "read"}
        assert row["read_rank"] == READ_REFUSED
        assert (row["used"], row["open_end"]) == (plain["used"], plain["open_end"])


class TestAReadThatAgrees:
    @pytest.mark.parametrize("off", [-20, 0, 20])
    def test_changes_nothing(self, off):
        [row] = edited(Meter(beats(), state(), read=BASE + TOTAL + off))

        assert (rules(row), row["quality"], row["read_rank"]) == (set(), "M" * 24, READ_AGREES)


class TestAReadOfASilentMeter:
    def test_bounds_it_though_nothing_was_expected(self):
        """A new meter beats once and is gone: nothing is projected, but the read says what was used."""
        [row] = edited(Meter(beats(10, 10.001), read=BASE + TOTAL))

        assert (row["open_end"], row["register_end"]) == (0, BASE + TOTAL)
        assert rules(row) == {"gap"}
        assert "P" not in row["quality"]
        assert min(row["used"][11:]) > 0

    def test_after_its_dial_rolled_over_unheard_is_counted_on(self):
        dial = 10_000
        shown = [(at, (BASE - 3_000 + used(at)) % dial, rate) for at, _, rate in beats()]
        start = state(raw=(BASE - 3_000 + used(-5_000 + PHASE)) % dial)
        silent_before_a_turn = without(shown, 2, 24)
        read = (BASE - 3_000 + used(7 * HOUR_MS)) % dial

        [row] = edited(Meter(silent_before_a_turn, start, dial=dial, read=read))

        assert row["raw_end"] == read
        assert row["turned"] == row["register_offset"] == dial
        assert row["usage_total"] == pytest.approx(used(7 * HOUR_MS), abs=2)
        assert after(row)["raw_end"] + row["register_offset"] == row["register_end"]

    def test_over_nights_tells_them_anew(self):
        rows = published(
            [the_day(-1), the_day(0, 0, 18.5), [], the_day(2)],
            read=[None, None, BASE + 2 * TOTAL, None],
        )

        assert_continued(rows)
        assert rows[2]["register_end"] == BASE + 2 * TOTAL
        assert all("P" not in row["quality"] for row in rows)
        assert rows[1]["usage_total"] == pytest.approx(TOTAL, abs=400)
