"""The newest heartbeat of each user and hour, whatever order the archive gives them in."""

import numpy as np

from infra.contracts.durations import HOUR_MS
from infra.contracts.utility import Utility
from stream.hour_ends import HourEnds

FIRST_HOUR = 490_000
START = FIRST_HOUR * HOUR_MS
USER = 10_000_001


def gather(*beats: tuple[int, int, int], hours: int = 4) -> HourEnds:
    """Hour ends of (user, ms after START, register), handed over as one group of columns."""
    ends = HourEnds(Utility.GAS, FIRST_HOUR, hours)
    add(ends, *beats)
    return ends


def add(ends: HourEnds, *beats: tuple[int, int, int]) -> None:
    user_id, at, register = (np.array(column, np.int64) for column in zip(*beats, strict=True))
    ends.add(user_id, START + at, register, register % 1_000, np.full(len(at), b"US-CA", "S6"))


def told(ends: HourEnds) -> dict[int, tuple[tuple[int, int], dict[int, int]]]:
    """User -> ms after START and register of the newest, and register by hour; the first is the beginning."""
    found = {}
    newest, marks = ends.take(ends.changed_users())
    by_user = {int(row["user_id"]): row for row in marks}
    for one in newest:
        row, registers = by_user.get(int(one["user_id"])), {}
        if row is not None:
            lows = row["lows"][: row["count"]].tolist()
            registers = dict(enumerate(lows, int(row["first_hour"]) - FIRST_HOUR))
        found[int(one["user_id"])] = (int(one["sent_at"]) - START, int(one["register"])), registers
    return found


class TestHourEnds:
    def test_keeps_the_newest_of_each_hour(self):
        ends = gather(
            (USER, HOUR_MS + 5, 110),
            (USER, 2 * HOUR_MS + 9, 130),
            (USER, HOUR_MS + 8, 120),
            (USER, HOUR_MS, 100),
        )

        assert told(ends) == {USER: ((2 * HOUR_MS + 9, 130), {0: 100, 1: 120, 2: 130})}

    def test_a_silent_hour_ends_as_the_one_before(self):
        ends = gather((USER, HOUR_MS, 100), (USER, HOUR_MS + 1, 110), (USER, 3 * HOUR_MS, 150))

        _, marks = ends.take(ends.changed_users())
        assert marks["lows"][0, :4].tolist() == [100, 110, 110, 150]
        assert marks["heard"].tolist() == [0b1010]

    def test_any_order_and_doubling_gives_the_same(self):
        rng = np.random.default_rng(11)
        beats = [
            (USER + u, int(at), 10 * int(at)) for u in range(50) for at in rng.integers(0, 4 * HOUR_MS, 40)
        ]
        at_once = told(gather(*beats))
        ends = HourEnds(Utility.GAS, FIRST_HOUR, 4)

        shuffled = rng.permutation(np.r_[np.arange(len(beats)), rng.integers(0, len(beats), 500)])
        for part in np.array_split(shuffled, 17):
            add(ends, *(beats[index] for index in part))

        assert told(ends) == at_once
        assert len(at_once) == 50

    def test_the_hour_before_the_range_tells_where_the_range_begins(self):
        ends = gather((USER, HOUR_MS - 1, 90), (USER, HOUR_MS + 1, 100), (USER, 2 * HOUR_MS, 120))

        _, marks = ends.take(ends.changed_users())

        assert marks["older"].tolist() == [1]
        assert marks["first_hour"].tolist() == [FIRST_HOUR]
        assert marks["lows"][0, :3].tolist() == [90, 100, 120]

    def test_a_meter_silent_since_before_the_range_has_a_state_and_no_marks(self):
        assert told(gather((USER, HOUR_MS - 1, 90))) == {USER: ((HOUR_MS - 1, 90), {})}

    def test_a_register_that_fell_within_an_hour_is_the_newest_all_the_same(self):
        ends = gather((USER, HOUR_MS + 1, 900), (USER, HOUR_MS + 2, 3), (USER, 2 * HOUR_MS, 5))

        assert told(ends) == {USER: ((2 * HOUR_MS, 5), {0: 900, 1: 3, 2: 5})}

    def test_marks_are_the_low_bits_of_a_register(self):
        ends = gather((USER, HOUR_MS, 2**40 - 1), (USER, 2 * HOUR_MS, 2**40 + 7))

        assert told(ends) == {USER: ((2 * HOUR_MS, 2**40 + 7), {0: 2**32 - 1, 1: 2**32 - 1, 2: 7})}

    def test_of_two_registers_at_one_instant_the_greater_counts_with_its_rate(self):
        ends = gather((USER, HOUR_MS + 1, 107), (USER, HOUR_MS + 1, 103))

        [record], _ = ends.take(ends.changed_users())

        assert (record["register"], record["rate"], record["region"]) == (107, 107, b"US-CA")

    def test_tells_only_what_changed_since_it_was_asked(self):
        ends = gather((USER, HOUR_MS, 100), (USER + 1, HOUR_MS, 200))
        told(ends)

        add(ends, (USER, HOUR_MS, 100), (USER + 1, HOUR_MS + 7, 210))

        assert list(told(ends)) == [USER + 1]
        assert told(ends) == {}

    def test_holds_more_meters_than_it_has_room_for_at_first(self):
        ends = gather((USER + 5_000, HOUR_MS, 7))
        add(ends, *((USER + index, HOUR_MS + index, index) for index in range(3_000)))

        found = told(ends)

        assert ends.meters == len(found) == 3_001
        assert found.pop(USER + 5_000)[0] == (HOUR_MS, 7)
        assert all(
            at == HOUR_MS + register == HOUR_MS + user - USER for user, ((at, register), _) in found.items()
        )
