import datetime

import pytest

from batch.night import Night, NightRefused
from infra.contracts.durations import DAY_MS

DAY = datetime.date(2026, 3, 29)
NOON_AFTER = datetime.datetime(2026, 3, 30, 12, tzinfo=datetime.UTC)


class TestNight:
    def test_spans_the_utc_day(self) -> None:
        night = Night.closed(DAY, NOON_AFTER)

        assert night.start_ms == 1_774_742_400_000
        assert night.end_ms - night.start_ms == DAY_MS
        assert night.truth_until == datetime.datetime(2026, 3, 30, tzinfo=datetime.UTC)

    def test_is_named_by_its_day(self) -> None:
        assert str(Night(DAY)) == "2026-03-29"
        assert str(Night(DAY).previous) == "2026-03-28"

    def test_is_named_as_text(self) -> None:
        just_after = datetime.datetime(2026, 3, 30, 0, 0, 1, tzinfo=datetime.UTC)

        assert Night.named("2026-03-29", just_after) == Night.named("yesterday", just_after) == Night(DAY)
        with pytest.raises(NightRefused, match="night 2026-03-30 is not over"):
            Night.named("2026-03-30", just_after)
        with pytest.raises(ValueError, match="neither a day"):
            Night.named("29.3.", just_after)

    def test_goes_on_to_a_later_one(self) -> None:
        nights = Night(datetime.date(2026, 2, 27)).until(Night(datetime.date(2026, 3, 1)))

        assert [str(night) for night in nights] == ["2026-02-27", "2026-02-28", "2026-03-01"]
        assert Night(DAY).until(Night(DAY)) == [Night(DAY)]
        assert Night(DAY).until(Night(DAY).previous) == []

    def test_closes_at_midnight_utc(self) -> None:
        midnight = datetime.datetime(2026, 3, 30, tzinfo=datetime.UTC)

        assert Night.closed(DAY, midnight) == Night(DAY)
        with pytest.raises(NightRefused, match="night 2026-03-29 is not over"):
            Night.closed(DAY, midnight - datetime.timedelta(milliseconds=1))

    def test_judges_now_in_utc_whatever_its_zone(self) -> None:
        tokyo = datetime.timezone(datetime.timedelta(hours=9))

        with pytest.raises(NightRefused, match="still 2026-03-29 in UTC"):
            Night.closed(DAY, datetime.datetime(2026, 3, 30, 8, tzinfo=tokyo))

    def test_refuses_the_future(self) -> None:
        with pytest.raises(NightRefused):
            Night.closed(datetime.date(2027, 1, 1), NOON_AFTER)
