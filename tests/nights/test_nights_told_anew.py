"""Nights once published that change: heartbeats that came late, and a silence over midnight that ended.

Every meter uses a unit each 5 s, and one uses as much again while it is silent, so that each figure is known.
"""

import datetime

import pytest

from batch import restatements
from batch.night import Night
from infra.contracts.heartbeat import USER_ID_MIN
from infra.contracts.price_steps import decode, hour_costs
from infra.contracts.utility import UTILITIES, Utility
from simulator.master_data import master_tables
from tests.support.nights import BEATS_AN_HOUR, REGISTER_FIRST, SELDOM, Stores, beats

FIRST, SECOND, THIRD = (Night(datetime.date(2026, 3, 28) + datetime.timedelta(days=day)) for day in range(3))
SILENT, LATE = USER_ID_MIN, USER_ID_MIN + 1
NEIGHBOUR = USER_ID_MIN + 2
MASTER = master_tables(7, 3)
DAY = 24 * BEATS_AN_HOUR
SILENT_HOURS = 10  # from 20 h of the first night to 6 h of the second
BESIDES = SILENT_HOURS * BEATS_AN_HOUR  # used while silent, beside what was to be expected
NO_COMPACTION = "--no-compact"


@pytest.fixture
def stores(stores_of) -> Stores:
    """Three archived days; of the first, two hours of a meter's gas are still on their way."""
    stores = stores_of(MASTER)
    for night in (FIRST, SECOND, THIRD):
        for utility in UTILITIES:
            stores.archive(night, utility, beats(FIRST, night, NEIGHBOUR, one_in=SELDOM))
            if utility is not Utility.ELECTRICITY:
                stores.archive(night, utility, beats(FIRST, night, SILENT, one_in=SELDOM))
            if utility is not Utility.GAS:
                stores.archive(night, utility, beats(FIRST, night, LATE, one_in=SELDOM))
    stores.archive(FIRST, Utility.ELECTRICITY, beats(FIRST, FIRST, SILENT, range(20)))
    stores.archive(SECOND, Utility.ELECTRICITY, beats(FIRST, SECOND, SILENT, range(6, 24), BESIDES))
    stores.archive(THIRD, Utility.ELECTRICITY, beats(FIRST, THIRD, SILENT, extra=BESIDES))
    stores.archive(FIRST, Utility.GAS, beats(FIRST, FIRST, LATE, [*range(10), *range(12, 24)]))
    for night in (SECOND, THIRD):
        stores.archive(night, Utility.GAS, beats(FIRST, night, LATE))
    return stores


def run(stores, night):
    """Run a night and return which nights that ran."""
    return [done["night"] for done in stores.ask("run", "--night", str(night), NO_COMPACTION)]


def row_of(stores, night, user_id=SILENT, utility=Utility.ELECTRICITY):
    [row] = stores.rows(
        "SELECT * FROM usage_days WHERE user_id = %s AND night = %s AND utility = %s",
        user_id,
        night.day,
        str(utility),
    )
    return row


def hours(row, since=0, until=24):
    return [row[f"h{hour:02}"] for hour in range(since, until)]


def superseded(stores):
    """Return what has a successor: user, night, utility, reason."""
    rows = stores.rows("SELECT * FROM usage_days_superseded ORDER BY known_until, user_id, night, utility")
    return [(row["user_id"], str(row["night"]), row["utility"], row["reason"]) for row in rows]


def figures(stores):
    """Return what is published, without when, by which run, and what it took the place of."""
    versions = ("known_from", "published_by", "published_at", "restores")
    return {
        table: sorted(
            repr({name: value for name, value in row.items() if name not in versions})
            for row in stores.rows(f"SELECT * FROM {table}")
        )
        for table in ("nights", "usage_days", "findings", "reconciliations", "households", "regions")
    }


class TestASilenceOverMidnight:
    def test_is_projected_and_then_told_anew_as_it_was(self, stores):
        run(stores, FIRST)
        projected = row_of(stores, FIRST)
        before = figures(stores)

        # 20 hours were heard. What follows is as the day was so far, and nobody has confirmed it.
        assert projected["quality"] == "M" * 20 + "P" * 4
        assert hours(projected, 1, 20) == [BEATS_AN_HOUR] * 19
        assert projected["usage_total"] == sum(hours(projected))
        assert projected["usage_estimated"] == sum(hours(projected, 20))
        assert abs(projected["usage_estimated"] - 4 * BEATS_AN_HOUR) <= 4

        run(stores, SECOND)
        told, second = row_of(stores, FIRST), row_of(stores, SECOND)

        # Both nights together are what the dial moved, and no unit is in neither or in both.
        register = REGISTER_FIRST + DAY - 1
        assert told["register_start"] == REGISTER_FIRST
        assert told["register_end"] == second["register_start"]
        assert second["register_end"] == register + DAY + BESIDES
        assert told["usage_total"] + second["usage_total"] == 2 * DAY - 1 + BESIDES
        # Where the hour began in which the meter was heard again, nobody knows to the unit.
        silence = hours(told, 20) + hours(second, 0, 7)
        assert sum(silence) == (SILENT_HOURS + 1) * BEATS_AN_HOUR + BESIDES
        assert min(silence[:-1]) > 3 * max(silence) // 4
        assert hours(told, 0, 20) == hours(projected, 0, 20)
        assert hours(second, 7) == [BEATS_AN_HOUR] * 17
        assert (told["quality"][:20], set(told["quality"][20:])) == ("M" * 20, {"E"})
        # Of the hour in which the meter was first heard, its past has only a part: that says nothing.
        assert (set(second["quality"][:7]), second["quality"][7:]) == ({"E", "I"}, "M" * 17)
        assert superseded(stores) == [(SILENT, str(FIRST), "electricity", "gap closed")]

        # The money follows: the second night's month goes on from what the first now costs.
        assert told["cost"] > projected["cost"]
        for row in (projected, told, second):
            assert row["cost"] == sum(hour_costs(decode(row["price_steps"]), hours(row)))
        assert second["month_cost"] == told["month_cost"] + second["cost"]

        self.rerun_of_the_first_leaves_it(stores)
        self.rollback_takes_it_back(stores, before)

    def rerun_of_the_first_leaves_it(self, stores):
        before = stores.everything()

        run(stores, FIRST)
        run(stores, SECOND)

        assert stores.everything() == before
        assert stores.ask("verify", "--night", str(FIRST))[0]["users_differing"] == 0
        self.recount_finds_what_it_did_not_come_to(stores)

    def recount_finds_what_it_did_not_come_to(self, stores):
        """One figure of a meter that was heard throughout; the others are as the recount has them."""
        change = (
            "UPDATE usage_days SET h05 = h05 + %s WHERE user_id = %s AND night = %s AND utility = 'water'"
        )
        stores.rows(change, 1, NEIGHBOUR, SECOND.day)
        try:
            done = stores.batch("verify", "--night", str(SECOND), "--json")
        finally:
            stores.rows(change, -1, NEIGHBOUR, SECOND.day)

        assert done.code == 1, done.said
        [found] = done.lines
        assert (found["rows"], found["users_differing"], found["user_ids"]) == (9, 1, [NEIGHBOUR])

    def rollback_takes_it_back(self, stores, before):
        both = figures(stores)

        [undone] = stores.ask("rollback", "--night", str(SECOND))

        assert figures(stores) == before
        assert (undone["restored"], undone["nights"]) == (None, [str(FIRST), str(SECOND)])
        self.night_is_refused_after_one_that_was_undone(stores)
        run(stores, SECOND)
        assert figures(stores) == both

    def night_is_refused_after_one_that_was_undone(self, stores):
        """As a rollback to what an earlier run came to leaves it: what is on S3 is of another run."""
        change = "UPDATE nights SET rows_checksum = rows_checksum ^ 1 WHERE night = %s"
        stores.rows(change, FIRST.day)
        try:
            done = stores.batch("run", "--night", str(SECOND), NO_COMPACTION)
        finally:
            stores.rows(change, FIRST.day)

        assert done.refusal.endswith(f"run `meterbeat batch --night {FIRST}` first")


class TestLateHeartbeats:
    def test_change_their_night_and_those_that_start_from_it(self, stores):
        run(stores, FIRST)
        run(stores, SECOND)
        guessed = row_of(stores, FIRST, LATE, Utility.GAS)
        assert guessed["quality"][9:14] == "MIIIM"
        then = max(row["known_from"] for row in stores.rows("SELECT known_from FROM usage_days"))
        known = superseded(stores)

        # They only fill a silence whose sum was known: what the night hands on is the same.
        stores.archive(FIRST, Utility.GAS, beats(FIRST, FIRST, LATE, range(10, 12)))
        assert run(stores, THIRD) == [str(FIRST), str(THIRD)]

        measured = row_of(stores, FIRST, LATE, Utility.GAS)
        assert (measured["quality"], measured["usage_estimated"]) == ("M" * 24, 0)
        assert hours(measured, 1) == [BEATS_AN_HOUR] * 23
        assert superseded(stores) == [*known, (LATE, str(FIRST), "gas", "late data")]
        self.both_are_known(stores, then, guessed, measured)

        # They shorten the silence over midnight: the second night starts from another register. It ends with
        # the same one, and at a weekend's one price with the same money, so that the third is as it was.
        stores.archive(FIRST, Utility.ELECTRICITY, beats(FIRST, FIRST, SILENT, range(20, 22)))
        assert run(stores, FIRST) == [str(FIRST), str(SECOND)]

        first, second = row_of(stores, FIRST), row_of(stores, SECOND)
        assert (first["quality"][:22], set(first["quality"][22:])) == ("M" * 22, {"E"})
        assert first["register_end"] == second["register_start"]
        assert hours(first, 20, 22) == [BEATS_AN_HOUR] * 2
        assert first["usage_total"] + second["usage_total"] == 2 * DAY - 1 + BESIDES
        before = stores.everything()
        assert run(stores, THIRD) == [str(THIRD)]
        assert stores.everything() == before

    def both_are_known(self, stores, then, guessed, measured):
        """What was known at an instant is a query."""
        instants = (then, measured["known_from"])
        answers = [
            restatements.rows_as_known(
                stores.database, [LATE], FIRST.day, SECOND.day, at.replace(tzinfo=datetime.UTC)
            )
            for at in instants
        ]
        as_guessed, as_measured = (
            next(row for row in answer if row["utility"] == "gas") for answer in answers
        )
        assert hours(as_guessed) == hours(guessed)
        assert (as_guessed["known_until"], as_guessed["reason"]) == (measured["known_from"], "late data")
        assert hours(as_measured) == hours(measured)
        assert (as_measured["known_until"], as_measured["reason"]) == (None, None)
