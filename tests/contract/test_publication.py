"""How a night becomes the truth: whole or not at all, once, and with every version kept."""

import contextlib
import datetime
import random

import night_builders as nights
import pytest
from night_builders import (
    DAYS,
    FIGURES,
    FINDINGS,
    HOUR,
    HOUSEHOLDS,
    LATER,
    LEDGERS,
    MORE,
    NEIGHBOUR,
    NEXT,
    NIGHT,
    PUBLISHED_AT,
    RECONCILED,
    RECOUNTED,
    USER,
    all_tables,
    as_sent,
    connected,
    everything,
    figures,
    of_regions,
    publish,
    stage,
    summed_by_region,
    usage_day,
)

from batch import restatements
from batch.mysql_sink import Publication
from batch.night import Night, NightRefused
from batch.restatements import Restated
from infra.contracts import nightly
from infra.contracts.quality import Rule
from infra.contracts.utility import UTILITIES, Utility

DAY = datetime.timedelta(days=1)
MOVED = [(*HOUSEHOLDS[0][:4], "US-NY", *HOUSEHOLDS[0][5:]), *HOUSEHOLDS[1:]]
GAP_CLOSED = usage_day(Utility.GAS, 0, {12: 4, 13: 2}, quality="M" * 12 + "EE" + "M" * 10)


@pytest.fixture(scope="module")
def settings(services):
    return nights.own_database(services)


@pytest.fixture(autouse=True)
def _nothing_published(settings):
    with nights.nothing_published_after(settings):
        yield


def naive(at):
    return at.replace(tzinfo=None)


class TestAFirstPublication:
    def test_holds_what_was_sent_from_the_instant_on(self, settings, database):
        switched = publish(database, NIGHT, DAYS, **MORE)

        found = everything(settings)
        assert figures(settings) == sorted(DAYS)
        assert {row[FIGURES:] for row in found["usage_days"]} == {(naive(PUBLISHED_AT), NIGHT.day)}
        assert sorted((row[0], str(row[1]), *row[2:7]) for row in found["findings"]) == sorted(FINDINGS)
        assert sorted((row[0], str(row[1]), *row[2:9]) for row in found["reconciliations"]) == RECONCILED
        assert switched.published_at == PUBLISHED_AT
        assert (switched.rows_new, switched.rows_changed, switched.findings_changed) == (4, 0, len(Rule))
        assert restatements.fingerprints(database, [NIGHT.day, NEXT.day]) == {NIGHT.day: "as archived"}

    def test_leaves_nothing_beside_it(self, settings, database):
        publish(database, NIGHT, DAYS, **MORE)

        with connected(settings) as cursor:
            cursor.execute(f"SHOW TABLES FROM {database.staging}")
            assert cursor.fetchall() == ()
        assert [rows for rows in everything(settings, LEDGERS).values() if rows] == []


class TestARerun:
    def test_that_comes_to_the_same_changes_no_byte(self, settings, database):
        publish(database, NIGHT, DAYS, **MORE)
        before = all_tables(settings)

        switched = publish(
            database,
            NIGHT,
            DAYS[::-1],
            PUBLISHED_AT + 3 * DAY,
            findings=FINDINGS[::-1],
            reconciliations=RECONCILED[::-1],
        )

        assert all_tables(settings) == before
        assert switched.published_at == PUBLISHED_AT
        assert (switched.rows_new, switched.rows_changed, switched.rows_removed) == (0, 0, 0)

    def test_keeps_what_it_changes_with_reason_and_instants_and_touches_nothing_else(
        self, settings, database
    ):
        publish(database, NIGHT, DAYS, **MORE)
        before = everything(settings)

        switched = publish(database, NIGHT, RECOUNTED, LATER, {NIGHT.day: "late data"}, **MORE)

        after = all_tables(settings)
        [gone] = set(before["usage_days"]) - set(after["usage_days"])
        [came] = set(after["usage_days"]) - set(before["usage_days"])
        assert (as_sent(gone), as_sent(came)) == (DAYS[2], RECOUNTED[0])
        assert came[FIGURES:] == (naive(LATER), NIGHT.day)
        assert after["usage_days_superseded"] == [(*gone, naive(LATER), "late data", NIGHT.day)]
        assert after["findings"] == before["findings"]
        assert after["findings_superseded"] == []
        assert switched.published_at == LATER
        assert (switched.rows_new, switched.rows_changed, switched.rows_removed) == (0, 1, 0)

    def test_removes_what_it_no_longer_comes_to(self, settings, database):
        publish(database, NIGHT, DAYS, **MORE)

        switched = publish(database, NIGHT, DAYS[:3], LATER, findings=FINDINGS[1:])

        assert figures(settings) == sorted(DAYS[:3])
        [gone] = everything(settings, ["usage_days_superseded"])["usage_days_superseded"]
        assert as_sent(gone) == DAYS[3]
        assert (switched.rows_removed, switched.findings_changed, switched.reconciliations_changed) == (
            1,
            1,
            2,
        )

    def test_by_a_clock_that_went_back_is_still_known_later(self, settings, database):
        publish(database, NIGHT, DAYS)

        switched = publish(database, NIGHT, RECOUNTED, PUBLISHED_AT - DAY)

        assert switched.published_at == PUBLISHED_AT + datetime.timedelta(milliseconds=1)


class TestALaterNight:
    def test_restates_rows_of_an_earlier_one(self, settings, database):
        publish(database, NIGHT, DAYS)

        closed = [GAP_CLOSED, usage_day(Utility.GAS, 6, {0: 1}, night=NEXT)]
        switched = publish(database, NEXT, closed, LATER, {NIGHT.day: "gap closed"})

        assert figures(settings, NIGHT) == sorted([GAP_CLOSED, *(day for day in DAYS if day is not DAYS[1])])
        assert (switched.rows_new, switched.rows_changed, switched.rows_removed) == (1, 1, 0)
        assert restatements.restated(database, NEXT.day) == [
            Restated("gap closed", 1, {"electricity": 0, "gas": 1, "water": 0})
        ]

    def test_stays_as_it_is_when_both_run_again(self, settings, database):
        closed = [GAP_CLOSED, usage_day(Utility.GAS, 6, {0: 1}, night=NEXT)]
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, closed, LATER, {NIGHT.day: "gap closed"})
        before = all_tables(settings)

        earlier = publish(database, NIGHT, DAYS, LATER + HOUR)
        later = publish(database, NEXT, closed, LATER + 2 * HOUR, {NIGHT.day: "gap closed"})

        assert all_tables(settings) == before
        assert (earlier.rows_kept_restated, earlier.rows_overtaken) == (1, 0)
        assert (later.rows_kept_restated, later.rows_overtaken) == (0, 0)

    def test_keeps_a_row_that_it_alone_has_published(self, settings, database):
        publish(database, NIGHT, DAYS[2:])
        publish(database, NEXT, [GAP_CLOSED], LATER)

        again = publish(database, NIGHT, DAYS[2:], LATER + HOUR)

        assert GAP_CLOSED in figures(settings, NIGHT)
        assert again.rows_kept_restated == 1

    def test_gives_way_to_an_earlier_one_that_comes_to_something_else_and_that_is_told(
        self, settings, database
    ):
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, [GAP_CLOSED], LATER)
        late = usage_day(Utility.GAS, 0, {12: 5, 14: 3})

        switched = publish(
            database, NIGHT, [*DAYS[:1], late, *DAYS[2:]], LATER + HOUR, {NIGHT.day: "late data"}
        )

        assert late in figures(settings, NIGHT)
        assert (switched.rows_changed, switched.rows_overtaken) == (1, 1)
        assert [one.reason for one in restatements.restated(database, NIGHT.day)] == ["late data"]

    def test_is_no_difference_to_a_recount_of_the_earlier_one(self, database):
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, [GAP_CLOSED], LATER)

        with contextlib.closing(Publication(database)) as publication:
            stage(publication, database, DAYS)
            as_before = publication.differing_users(NIGHT)
            stage(publication, database, RECOUNTED)
            other = publication.differing_users(NIGHT)

        assert (as_before, other) == ((0, []), (1, [USER]))


class TestAsKnownAt:
    @pytest.mark.parametrize("seed", range(3))
    def test_any_instant_is_what_readers_saw_then(self, settings, database, seed):
        """Nights run, rerun, restated and rolled back at random; each state is found again by its instant."""
        chance = random.Random(seed)
        period = NIGHT.until(Night(NIGHT.day + 2 * DAY))
        users = range(USER, USER + 4)
        seen, at, newest = [], PUBLISHED_AT, -1
        for _ in range(14):
            at += HOUR
            if newest >= 0 and chance.random() < 0.3:
                with contextlib.closing(Publication(database)) as publication:
                    undone = publication.rollback(period[newest], at)
                newest -= undone.restored is None
            else:
                number = chance.randrange(min(newest + 2, len(period)))
                publish(database, period[number], any_days(chance, period[: number + 1], users), at)
                newest = max(newest, number)
            seen.append((at, figures(settings)))

        for (since, rows), (until, _) in zip(seen, [*seen[1:], (at + DAY, None)], strict=True):
            for instant in (since, until - datetime.timedelta(milliseconds=1)):
                known = restatements.rows_as_known(database, users, NIGHT.day, period[-1].day + DAY, instant)
                assert sorted(as_sent(tuple(row.values())) for row in known) == rows

    def test_asks_for_some_nights_and_users_and_says_what_came_after(self, database):
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, [usage_day(Utility.WATER, 50, {1: 1}, night=NEXT)], LATER)
        publish(database, NIGHT, RECOUNTED, LATER + HOUR, {NIGHT.day: "late data"})

        known = restatements.rows_as_known(database, [USER], NIGHT.day, NEXT.day, LATER)

        assert [row["utility"] for row in known] == ["electricity", "gas", "water"]
        assert [(row["known_until"], row["reason"]) for row in known] == [
            (None, None),
            (None, None),
            (naive(LATER + HOUR), "late data"),
        ]


class TestARollback:
    def test_puts_back_what_was_published_before(self, settings, database):
        publish(database, NIGHT, DAYS, **MORE)
        before = everything(settings)
        extra = usage_day(Utility.GAS, 0, {3: 3}, user_id=NEIGHBOUR)
        publish(database, NIGHT, [*RECOUNTED[:3], extra], LATER, findings=FINDINGS[2:])

        undone = rollback(database, NIGHT, LATER + HOUR)

        after = everything(settings)
        assert without_instants(after) == without_instants(before)
        assert after["nights"][0][2] == naive(LATER + HOUR)
        assert (undone.restored, undone.rows_restored, undone.rows_removed) == (PUBLISHED_AT, 2, 1)
        assert undone.nights == (NIGHT.day,)
        reasons = [
            row[-2] for row in everything(settings, ["usage_days_superseded"])["usage_days_superseded"]
        ]
        assert sorted(reasons) == ["recomputed", "recomputed", "rollback", "rollback"]

    def test_of_a_first_publication_takes_t_back_and_what_it_restated(self, settings, database):
        publish(database, NIGHT, DAYS)
        before = everything(settings)
        publish(database, NEXT, [GAP_CLOSED, usage_day(Utility.GAS, 6, {0: 1}, night=NEXT)], LATER)

        undone = rollback(database, NEXT, LATER + HOUR)

        assert without_instants(everything(settings)) == without_instants(before)
        assert (undone.restored, undone.nights) == (None, (NIGHT.day, NEXT.day))
        assert str(undone) == "night 2026-03-29 is no longer published: 1 rows put back, 1 removed"

    def test_goes_one_publication_further_each_time_and_a_night_may_be_run_again(self, settings, database):
        publish(database, NIGHT, DAYS)
        publish(database, NIGHT, RECOUNTED, LATER)
        publish(database, NIGHT, RECOUNTED[:2], LATER + HOUR)
        states = []
        for step in range(3):
            rollback(database, NIGHT, LATER + (2 + step) * HOUR)
            states.append(figures(settings))
        publish(database, NIGHT, DAYS, LATER + DAY)

        assert states == [sorted(RECOUNTED), sorted(DAYS), []]
        assert figures(settings) == sorted(DAYS)

    def test_leaves_alone_what_an_earlier_night_has_published_since(self, settings, database):
        late = usage_day(Utility.GAS, 0, {12: 5, 14: 3})
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, [GAP_CLOSED], LATER)
        publish(database, NIGHT, [*DAYS[:1], late, *DAYS[2:]], LATER + HOUR)

        rollback(database, NEXT, LATER + 2 * HOUR)

        assert late in figures(settings, NIGHT)

    def test_is_only_for_the_newest_night(self, settings, database):
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, [usage_day(Utility.GAS, 6, {0: 1}, night=NEXT)], LATER)
        before = all_tables(settings)

        with pytest.raises(NightRefused) as older:
            rollback(database, NIGHT, LATER + HOUR)
        with pytest.raises(NightRefused, match="night 2026-03-30 is not published"):
            rollback(database, Night(NEXT.day + DAY), LATER + HOUR)

        assert str(older.value) == (
            "night 2026-03-28 is not the newest: roll back night 2026-03-29 first, which starts from it"
        )
        assert all_tables(settings) == before


class TestRegions:
    def used(self, settings, night=NIGHT):
        """Users and usage by region and utility."""
        return {row[1:3]: (row[3], row[5]) for row in of_regions(settings) if row[0] == night.day}

    def test_have_used_what_their_households_did(self, settings, database):
        publish(database, NIGHT, [*DAYS, usage_day(Utility.GAS, 0, {3: 7}, user_id=NEIGHBOUR)])

        assert self.used(settings) == {
            ("US-CA", "electricity"): (1, 412 + 2**31 - 1),
            ("US-CA", "gas"): (1, 5),
            ("US-CA", "water"): (1, -850),
            ("US-NY", "gas"): (1, 7),
            ("US-NY", "water"): (1, 1),
        }
        assert of_regions(settings) == summed_by_region(settings)

    def test_follow_what_is_told_anew_and_what_is_put_back(self, settings, database):
        publish(database, NIGHT, DAYS)
        before = of_regions(settings)
        publish(database, NEXT, [GAP_CLOSED, usage_day(Utility.GAS, 6, {0: 1}, night=NEXT)], LATER)
        told = self.used(settings)
        rollback(database, NEXT, LATER + HOUR)
        put_back = of_regions(settings)
        publish(database, NIGHT, DAYS[:3], LATER + 2 * HOUR)
        without_neighbour = self.used(settings)
        rollback(database, NIGHT, LATER + 3 * HOUR)

        assert (told["US-CA", "gas"], told["US-CA", "water"]) == ((1, 6), (1, -850))
        assert ("US-NY", "water") not in without_neighbour
        assert put_back == of_regions(settings) == before

    def test_are_left_by_households_with_all_that_these_ever_used(self, settings, database):
        publish(database, NIGHT, DAYS)
        publish(database, NEXT, [usage_day(Utility.GAS, 5, {3: 4}, night=NEXT)], LATER, households=MOVED)
        moved = self.used(settings), self.used(settings, NEXT)

        publish(database, NEXT, [], LATER + HOUR, households=HOUSEHOLDS[1:])
        gone = self.used(settings), self.used(settings, NEXT)

        assert moved == (
            {
                ("US-NY", "electricity"): (1, 412 + 2**31 - 1),
                ("US-NY", "gas"): (1, 5),
                ("US-NY", "water"): (2, -849),
            },
            {("US-NY", "gas"): (1, 4)},
        )
        assert gone == ({("US-NY", "water"): (1, 1)}, {})


class TestANightThatFails:
    @pytest.mark.parametrize(
        ("spoil", "says"),
        [
            pytest.param(
                f"DELETE FROM usage_days WHERE user_id = {NEIGHBOUR}",
                "usage_days as staged differs from what was sent: 3 of 4 rows",
                id="a-row-is-missing",
            ),
            pytest.param(
                f"UPDATE usage_days SET h01 = h01 + 1 WHERE user_id = {NEIGHBOUR}",
                "usage_days as staged differs from what was sent: 4 of 4 rows, checksum",
                id="a-figure-differs-by-one",
            ),
            pytest.param(
                "UPDATE usage_days SET first_sent_at = NULL",
                "usage_days as staged differs from what was sent: 4 of 4 rows, checksum",
                id="a-figure-is-unknown",
            ),
            pytest.param(
                f"UPDATE households SET name = 'Zoe' WHERE user_id = {USER}",
                "households as staged differs from what was sent: 2 of 2 rows, checksum",
                id="a-name-differs",
            ),
        ],
    )
    def test_its_check_leaves_the_night_before_it(self, settings, database, spoil, says):
        publish(database, NIGHT, DAYS)
        before = all_tables(settings)

        with contextlib.closing(Publication(database)) as publication:
            stage(publication, database, RECOUNTED)
            with connected(settings) as cursor:
                cursor.execute(f"USE {database.staging}")
                cursor.execute(spoil)
            with pytest.raises(NightRefused) as refused:
                for table, rows in (("usage_days", RECOUNTED), ("households", HOUSEHOLDS)):
                    publication.verify(table, len(rows), nights.checksum(table, rows))

        assert str(refused.value).startswith(says)
        assert "\n" not in str(refused.value)
        assert all_tables(settings) == before

    @pytest.mark.parametrize(
        "figure", [{"hours": {3: 2**31}}, {"hours": {}, "quality": "M" * 25}], ids=["hour", "quality"]
    )
    def test_a_figure_too_large_for_its_column_is_not_cut_to_fit(self, database, figure):
        day = usage_day(Utility.WATER, 0, **figure)

        with contextlib.closing(Publication(database)) as publication, pytest.raises(NightRefused):
            stage(publication, database, [day])


def test_the_tables_know_every_word_of_the_contracts(settings):
    with connected(settings) as cursor:
        words = {}
        for table, column in (("findings", "rule"), ("reconciliations", "winner"), ("usage_days", "utility")):
            cursor.execute(f"SHOW COLUMNS FROM {table} LIKE '{column}'")
            words[column] = cursor.fetchall()[0][1].removeprefix("enum(").removesuffix(")").split(",")

    assert words["rule"] == [f"'{rule}'" for rule in Rule]
    assert words["winner"] == [f"'{winner}'" for winner in nightly.WINNERS]
    assert words["utility"] == [f"'{utility}'" for utility in UTILITIES]


def rollback(database, night, at):
    with contextlib.closing(Publication(database)) as publication:
        return publication.rollback(night, at)


def without_instants(found):
    """Tables without when their rows were published, and what they repeat."""
    versions = {"nights": (2, -1), "usage_days": (-2,), "findings": (-2,), "reconciliations": (-2,)}
    return {
        table: sorted(
            repr([value for at, value in enumerate(row) if at not in places and at - len(row) not in places])
            for row in found[table]
        )
        for table, places in versions.items()
    }


def any_days(chance, period, users):
    """Rows of the last night of a period for most users, and sometimes of one before; figures often recur."""
    rows = [
        usage_day(utility, 0, {1: chance.randrange(2)}, night=period[-1], user_id=user)
        for user in users
        for utility in (Utility.GAS, Utility.WATER)
        if chance.random() < 0.8
    ]
    earlier = [
        usage_day(Utility.GAS, 0, {2: chance.randrange(3)}, night=night, user_id=user)
        for night in period[:-1]
        for user in users
        if chance.random() < 0.3
    ]
    return rows + earlier
