"""Rows that several nights have published: whatever is run, run again or rolled back, the last word holds."""

import contextlib
import dataclasses
from typing import Any

import hypothesis
import night_builders as nights
import pytest
from hypothesis import strategies as st
from night_builders import (
    DAYS,
    FIGURES,
    HOUR,
    NEIGHBOUR,
    NEXT,
    NIGHT,
    PUBLISHED_AT,
    USER,
    all_tables,
    empty,
    everything,
    of_regions,
    publish,
    summed_by_region,
    usage_day,
)

from batch import restatements
from batch.mysql_sink import Publication
from infra.contracts.nightly import USAGE_DAYS_COLUMNS
from infra.contracts.utility import Utility

THIRD = NEXT.next
PERIOD = (NIGHT, NEXT, THIRD)
EXAMPLES, OPERATIONS_MAX = 15, 9
GUESSED, GAP_CLOSED, LATE = (usage_day(Utility.GAS, 0, {12: used}) for used in (5, 6, 8))
OF_NEXT = usage_day(Utility.GAS, 6, {0: 1}, night=NEXT)
OTHERS = [DAYS[0], *DAYS[2:]]
ABSENT = None


@pytest.fixture(scope="module")
def settings(services):
    return nights.own_database(services)


@pytest.fixture(autouse=True)
def _nothing_published(settings):
    with nights.nothing_published_after(settings):
        yield


def figures(settings, night=None):
    """The published rows of usage, without their versions."""
    rows = everything(settings, ["usage_days"])["usage_days"]
    return sorted((row[0], str(row[1]), *row[2:FIGURES]) for row in rows if night in (None, row[1]))


def rollback(database, night, at):
    with contextlib.closing(Publication(database)) as publication:
        return publication.rollback(night, at)


def hour(number):
    return PUBLISHED_AT + number * HOUR


class TestARestatement:
    @pytest.mark.parametrize("rerun", [GUESSED, LATE, GAP_CLOSED], ids=["same", "other", "as restated"])
    def test_does_not_outlive_its_publication(self, settings, database, rerun):
        publish(database, NIGHT, [GUESSED, *OTHERS])
        publish(database, NEXT, [GAP_CLOSED, OF_NEXT], hour(1))
        # A row more makes a version of its own of this run, whatever it comes to.
        more = usage_day(Utility.GAS, 0, {1: 1}, user_id=NEIGHBOUR)
        publish(database, NIGHT, [rerun, more, *OTHERS], hour(2))

        rollback(database, NEXT, hour(3))
        without_next = figures(settings, NIGHT.day)
        rollback(database, NIGHT, hour(4))

        assert without_next == sorted([rerun, more, *OTHERS])
        assert figures(settings) == sorted([GUESSED, *OTHERS])

    def test_ends_when_its_night_no_longer_comes_to_it(self, settings, database):
        publish(database, NIGHT, [GUESSED, *OTHERS])
        publish(database, NEXT, [GAP_CLOSED, OF_NEXT], hour(1), {NIGHT.day: "gap closed"})

        switched = publish(database, NEXT, [OF_NEXT], hour(2), {NIGHT.day: "gap closed"})

        assert figures(settings, NIGHT.day) == sorted([GUESSED, *OTHERS])
        assert (switched.rows_changed, switched.rows_overtaken) == (1, 0)
        [closed, given_back] = restatements.restated(database, NEXT.day)
        assert (closed.reason, closed.usage_delta["gas"]) == ("gap closed", 1)
        assert (given_back.reason, given_back.usage_delta["gas"]) == ("recomputed", -1)

        rollback(database, NEXT, hour(3))
        assert GAP_CLOSED in figures(settings, NIGHT.day)

    def test_of_a_row_that_nobody_else_has_goes_with_it(self, settings, database):
        publish(database, NIGHT, OTHERS)
        publish(database, NEXT, [GAP_CLOSED, OF_NEXT], hour(1))

        switched = publish(database, NEXT, [OF_NEXT], hour(2))

        assert figures(settings, NIGHT.day) == sorted(OTHERS)
        assert switched.rows_removed == 1

    def test_stays_under_one_of_a_later_night_and_comes_back_after_it(self, settings, database):
        other = usage_day(Utility.GAS, 0, {12: 7})
        publish(database, NIGHT, [GUESSED, *OTHERS])
        publish(database, NEXT, [GAP_CLOSED, OF_NEXT], hour(1))
        publish(database, THIRD, [other], hour(2))
        publish(database, NEXT, [GAP_CLOSED, OF_NEXT], hour(3))
        under = figures(settings, NIGHT.day)

        rollback(database, THIRD, hour(4))

        assert other in under
        assert GAP_CLOSED in figures(settings, NIGHT.day)

    def test_that_is_taken_back_under_one_of_a_later_night_stays_gone(self, settings, database):
        publish(database, NIGHT, [GUESSED, *OTHERS])
        publish(database, NEXT, [GAP_CLOSED, OF_NEXT], hour(1))
        publish(database, THIRD, [LATE], hour(2))

        switched = publish(database, NEXT, [OF_NEXT], hour(3))
        under = figures(settings, NIGHT.day)
        publish(database, THIRD, [], hour(4))

        assert (switched.rows_changed, switched.rows_overtaken) == (0, 0)
        assert LATE in under
        assert figures(settings, NIGHT.day) == sorted([GUESSED, *OTHERS])


@dataclasses.dataclass
class Model:
    """What each standing publication says of rows, and since when; what was said last is published."""

    nights: dict[Any, list[dict[Any, Any]]] = dataclasses.field(default_factory=dict)

    def said(self, night):
        return self.nights[night][-1] if night in self.nights else {}

    def publish(self, night, rows, at):
        before = self.said(night)
        own = [row for row in before if row[0] == night]
        says = {row: self._says(night, row, rows.get(row, ABSENT), before, at) for row in {*rows, *own}}
        if night not in self.nights or says != before:
            self.nights.setdefault(night, []).append(says)

    def _says(self, night, row, figure, before, at):
        """What is said again is as old as before, unless an earlier night has spoken since."""
        old = before.get(row)
        spoken = [self.said(one)[row][1] for one in PERIOD if str(one) < str(night) and row in self.said(one)]
        again = old and old[0] == figure and max([old[1], *spoken]) == old[1]
        return old if again else (figure, at)

    def rollback(self, night):
        self.nights[night].pop()
        if not self.nights[night]:
            del self.nights[night]

    def published(self):
        found = {}
        for night in self.nights:
            for row, (figure, at) in self.said(night).items():
                found[row] = max(found.get(row, (at, figure)), (at, figure), key=lambda one: one[0])
        return {row: figure for row, (_, figure) in found.items() if figure is not ABSENT}


ROWS = st.dictionaries(
    st.tuples(st.sampled_from(PERIOD), st.sampled_from([USER, NEIGHBOUR])), st.integers(0, 2), max_size=6
)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(PERIOD), ROWS),
        st.tuples(st.just("again"), st.sampled_from(PERIOD), st.just({})),
        st.tuples(st.just("rollback"), st.just(NIGHT), st.just({})),
    ),
    max_size=OPERATIONS_MAX,
)


@hypothesis.settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@hypothesis.given(operations=OPERATIONS)
def test_whatever_happens_what_was_said_last_by_what_stands_is_published(settings, database, operations):
    empty(settings)
    model, last = Model(), {}
    for number, (what, wanted, rows) in enumerate(operations):
        newest = max(model.nights, key=str, default=None)
        night = min(wanted, newest.next if newest else NIGHT, key=str)
        if what == "rollback" and newest:
            rollback(database, newest, hour(number))
            model.rollback(newest)
        elif what == "publish":
            last[night] = {row: used for row, used in rows.items() if str(row[0]) <= str(night)}
        if what != "rollback" and night in last:
            run(database, night, last[night], hour(number))
            model.publish(night, last[night], hour(number))
        if what == "again" and night in last:
            before = all_tables(settings)
            run(database, night, last[night], hour(number) + HOUR / 2)
            assert all_tables(settings) == before
        assert published(settings) == (sorted(map(str, model.nights)), model.published())
        assert of_regions(settings) == summed_by_region(settings)


def run(database, night, rows, at):
    """Publish a night that comes to this usage of rows, each a night and a user."""
    days = [
        usage_day(Utility.GAS, 0, {one.day.day % 24: used}, night=one, user_id=user)
        for (one, user), used in rows.items()
    ]
    publish(database, night, days, at)


def published(settings):
    """Which nights stand, and the usage of each row."""
    found = everything(settings, ["nights", "usage_days"])
    total = USAGE_DAYS_COLUMNS.index("usage_total")
    by_day = {night.day: night for night in PERIOD}
    rows = {(by_day[row[1]], row[0]): row[total] for row in found["usage_days"]}
    return sorted(str(row[0]) for row in found["nights"]), rows
