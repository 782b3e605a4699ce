"""What goes over midnight: silences of nights, faults on a day's last beat, registers that stay away."""

import pytest
from vee_builders import BASE, PHASE, Meter, edited, rules, state, used, without
from vee_nights import TOTAL, assert_continued, published, the_day

from infra.contracts.durations import HOUR_MS

HOUR = [used((hour + 1) * HOUR_MS) - used(hour * HOUR_MS) for hour in range(24)]


def h(hours):
    return int(hours * HOUR_MS)


def moved(beats, by, since_h=0.0, until_h=24.0):
    """Return heartbeats with the register moved within a span of hours."""
    return [(at, register + by * (h(since_h) <= at < h(until_h)), rate) for at, register, rate in beats]


def after_a_plain_day(days, **meter):
    """Return what is published of days that the steady meter's own day came before."""
    fields = {name: [None, *value] if isinstance(value, list) else value for name, value in meter.items()}
    return published([the_day(-1), *days], **fields)[1:]


def used_between(rows):
    return rows[-1]["register_end"] - rows[0]["register_start"]


class TestASilence:
    @pytest.mark.parametrize("silent_nights", [0, 1, 2])
    @pytest.mark.parametrize("known_past", [1, 3])
    def test_over_nights_is_spread_and_sums_to_what_the_register_moved(self, silent_nights, known_past):
        """The meter is heard until 19:42 and again from 3:18; before, there are days to go by, or one."""
        days = [
            *(the_day(number) for number in range(known_past)),
            the_day(known_past, 0, 19.7),
            *([] for _ in range(silent_nights)),
            the_day(known_past + silent_nights + 1, 3.3),
        ]

        rows = published(days)

        assert_continued(rows)
        assert used_between(rows) == pytest.approx(len(days) * TOTAL, abs=2)
        hours = [hour for row in rows[known_past:] for hour in row["used"]]
        silent = hours[19 : 24 + 24 * silent_nights + 4]
        letters = "".join(row["quality"] for row in rows[known_past:])[20 : 24 + 24 * silent_nights + 3]
        assert min(silent) > min(HOUR) // 3, "nothing of it is zero"
        assert max(silent) < 2 * max(HOUR), "nor dumped into one hour"
        assert set(letters) <= {"E", "I"}, "and none is projected any more"
        assert all(row["open_end"] == 0 for row in rows)
        assert all(abs(a - b) < 80 for a, b in zip(silent, (HOUR * 4)[19:], strict=False))

    def test_is_projected_until_it_ends_and_is_never_zero(self):
        rows = published([the_day(0), the_day(1, 0, 19.7), [], []])

        assert_continued(rows)
        assert [row["quality"] for row in rows[2:]] == ["P" * 24] * 2
        assert rows[1]["open_end"] < rows[2]["open_end"] < rows[3]["open_end"]
        assert min(rows[2]["used"] + rows[3]["used"]) > 0
        assert rules(rows[3]) == {"gap"}
        assert all(row["trusted_at"] == rows[1]["trusted_at"] for row in rows[2:])

    def test_that_nothing_was_known_of_is_spread_evenly(self):
        """A meter beats for a minute and is gone: nothing tells what to expect of it."""
        rows = published([the_day(0, 21, 21.0167), [], the_day(2, 2)])

        assert_continued(rows)
        assert used_between(rows) == pytest.approx(used(2 * 24 * HOUR_MS + h(22)) - used(h(21)), abs=TOTAL)
        silent = [*rows[0]["used"][22:], *rows[1]["used"], *rows[2]["used"][:1]]
        assert min(silent) > 0.8 * max(silent)

    def test_of_a_meters_first_night_is_priced_from_the_months_start(self):
        rows = published([the_day(0, 5, 20), the_day(1, 4)])

        assert_continued(rows)
        assert rows[0]["month_usage"] == rows[0]["usage_total"]
        assert rows[0]["first_sent_at"] is not None

    def test_ended_by_the_utilitys_read_starts_the_next_night_from_it(self):
        read = BASE + TOTAL
        rows = after_a_plain_day([the_day(0, 0, 18.5), the_day(1)], read=[read, None])

        assert_continued(rows)
        assert (rows[0]["open_end"], rows[0]["register_end"]) == (0, read)
        assert (rules(rows[1]), rows[1]["quality"]) == (set(), "M" * 24)

    def test_filled_by_late_heartbeats_is_as_if_it_had_not_been(self):
        start = state()

        [rerun] = edited(Meter(without(the_day(0), 9, 23.9) + without(the_day(0), 0, 9), start))
        [before] = edited(Meter(without(the_day(0), 9, 23.9), start))
        [plain] = edited(Meter(the_day(0), start))

        assert rules(before) == {"gap"}
        assert {**rerun, "heartbeats_read": 0} == {**plain, "heartbeats_read": 0}


class TestAFaultAtMidnight:
    @pytest.mark.parametrize("beats", [1, 2, 40])
    @pytest.mark.parametrize("amount", [9_000, 500_000])
    def test_spike_at_the_days_end_leaves_the_next_night_calm(self, beats, amount):
        first = moved(the_day(0), amount, 24 - beats * 5_000 / HOUR_MS)

        rows = after_a_plain_day([first, the_day(1), the_day(2)])

        assert_continued(rows)
        assert [rules(row) for row in rows] == [{"spike"}, set(), set()]
        assert used_between(rows) == pytest.approx(3 * TOTAL, abs=2)
        assert max(abs(a - b) for row in rows for a, b in zip(row["used"], HOUR, strict=True)) <= 3

    def test_spike_on_the_first_beat_of_a_day_and_of_a_meter(self):
        [later] = edited(
            Meter([(at, reg + 500_000 * (at == PHASE), w) for at, reg, w in the_day(0)], state())
        )
        [new] = edited(Meter([(at, reg + 500_000 * (at == PHASE), w) for at, reg, w in the_day(0)]))

        assert rules(later) == rules(new) == {"spike"}
        assert later["usage_total"] == pytest.approx(TOTAL, abs=2)
        assert new["usage_total"] == pytest.approx(TOTAL, abs=5)

    def test_fall_that_lasts_over_midnight_is_made_good_when_it_returns(self):
        rows = after_a_plain_day(
            [moved(the_day(0), -4_000, 18.9), moved(the_day(1), -4_000, 0, 7.1), the_day(2)]
        )

        assert_continued(rows)
        assert "negative" in rules(rows[0])
        assert rules(rows[2]) == set()
        assert used_between(rows) == pytest.approx(3 * TOTAL, abs=40)
        assert sum(row["quarantined"] for row in rows) == pytest.approx(0, abs=40)


class TestARegisterThatStaysAway:
    @pytest.mark.parametrize("since_h", [0.0, 9.0, 9.4, 20.2])
    @pytest.mark.parametrize(("by", "rule"), [(-3_000, "negative"), (900_000, "rate")])
    def test_is_counted_on_from_where_it_is_and_the_next_night_is_calm(self, since_h, by, rule):
        days = [moved(the_day(0), by, since_h), *(moved(the_day(number), by) for number in (1, 2))]

        rows = after_a_plain_day(days)

        assert_continued(rows)
        assert rule in rules(rows[0])
        assert [rules(row) for row in rows[1:]] == [set(), set()]
        assert rows[0]["quarantined"] == pytest.approx(by, abs=60)
        assert used_between(rows) == pytest.approx(3 * TOTAL, abs=60)

    def test_and_begins_anew_before_it_stands_still_is_not_counted_on_from_where_it_was(self):
        """What was trusted last is the first heartbeat of an hour whose last one tells nothing."""
        high = moved(the_day(0), 900_000, 3)
        reset = moved(high, -(BASE + 900_000 + used(h(10))), 10)
        stands = [(at, 7 if at >= h(10.01) else register, rate) for at, register, rate in reset]

        rows = after_a_plain_day([stands])

        assert_continued(rows)
        assert {"reset", "stuck"} <= rules(rows[0])
        assert rows[0]["raw_end"] < 100

    def test_since_the_last_hours_of_a_day_is_settled_by_the_next_night(self):
        days = [moved(the_day(0), -3_000, 22.3), *(moved(the_day(number), -3_000) for number in (1, 2))]

        rows = after_a_plain_day(days)

        assert_continued(rows)
        assert rules(rows[2]) == set()
        assert used_between(rows) == pytest.approx(3 * TOTAL, abs=120)


class TestADialThatBeginsAnew:
    def test_twice_a_day_and_every_day(self):
        days = [[(at, reg % 10_000, rate) for at, reg, rate in the_day(number)] for number in range(4)]

        rows = published(days, dial=10_000)

        assert_continued(rows)
        assert [rules(row) for row in rows] == [{"rollover"}] * 4
        assert used_between(rows) == pytest.approx(4 * TOTAL, abs=2)
        assert all(0 <= row["raw_end"] < 10_000 for row in rows)

    def test_by_an_exchange_that_nobody_heard_of_until_the_next_day(self):
        """The meter falls silent at 15:30, is replaced at 18:00; the new one beats from the next day on."""
        final = BASE + used(h(18))
        days = [the_day(0, 0, 15.5), moved(the_day(1, 3), 17 - final), moved(the_day(2), 17 - final)]

        rows = after_a_plain_day(days, exchange=[(h(18), final, 17), None, None])

        assert_continued(rows)
        assert "exchange" in rules(rows[0])
        assert [rules(row) & {"reset", "negative", "spike", "rate"} for row in rows] == [set()] * 3
        assert used_between(rows) == pytest.approx(3 * TOTAL, abs=2)
        # The fitter's read bounds the silence before the exchange.
        assert sum(rows[0]["used"][:18]) == pytest.approx(used(h(18)), abs=2)

    @pytest.mark.parametrize("wrong", [-4_000, 5_000_000])
    def test_by_an_exchange_whose_last_read_cannot_be(self, wrong):
        final = BASE + used(h(18))
        days = [the_day(0, 0, 15.5), moved(the_day(1, 3), 17 - final), moved(the_day(2), 17 - final)]

        rows = after_a_plain_day(days, exchange=[(h(18), final + wrong, 17), None, None])

        assert_continued(rows)
        assert 2 * TOTAL < used_between(rows) < 3 * TOTAL
        assert rules(rows[2]) == set()

    def test_by_an_exchange_to_a_meter_of_another_phase(self):
        final = BASE + used(h(9.4))
        new = moved(the_day(0, 9.5), 17 - final)
        renewed = the_day(0, 0, 9.4) + [(at + 777, register, rate) for at, register, rate in new]

        [row] = edited(Meter(renewed, state(), exchange=(h(9.4), final, 17)))

        assert rules(row) == {"exchange"}
        assert row["usage_total"] == pytest.approx(TOTAL, abs=2)

    def test_by_a_reset_in_the_hour_of_a_silence(self):
        shown = BASE + used(h(9.6))
        [row] = edited(Meter(without(moved(the_day(0), -shown, 9.6), 9.2, 10.3), state()))

        assert rules(row) == {"gap", "reset"}
        # What was used before the reset within the silence no dial shows any more.
        lost = used(h(9.6)) - used(h(9.2))
        assert row["usage_total"] == pytest.approx(TOTAL - lost, abs=3)
