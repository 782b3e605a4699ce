import pytest
from vee_builders import NIGHT, USER, Meter, beats, edited

from batch.local_hours import OPEN_DAY, date_of, day_number
from batch.night import NightRefused

TODAY = day_number(NIGHT.day)


class TestAgreements:
    def test_one_after_the_other_are_each_paid_for(self):
        moves = ((0, TODAY, OPEN_DAY), (0, TODAY - 40, TODAY - 9), (0, TODAY - 9, TODAY))

        [row] = edited(Meter(beats(), stays=moves))

        assert row["cost"] == 15_000 * row["usage_total"]

    def test_that_overlap_are_refused_by_user_and_days(self):
        good = Meter(beats())
        bad = Meter(beats(), stays=((0, TODAY - 9, TODAY - 3), (0, TODAY - 4, OPEN_DAY)))

        with pytest.raises(NightRefused) as refused:
            edited(good, bad)

        assert str(refused.value) == (
            "master/agreements/agreements.parquet has agreements that overlap: "
            f"user {USER + 1} for electricity from {date_of(TODAY - 9)} and from {date_of(TODAY - 4)}"
        )
