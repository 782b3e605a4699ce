import datetime

import pytest

from batch import job
from batch.archived_day import ArchivedDay
from batch.bucket_sink import Bucket
from batch.night import Night, NightRefused
from batch.s3_source import Found
from infra.contracts.utility import UTILITIES, Utility

NIGHT = Night(datetime.date(2026, 3, 29))
BUCKET = Bucket("http://s3", "here", "key", "secret", "meters")


def found(*, archived: bool = True, previous: bool = False) -> Found:
    sizes = {"raw/utility=gas/day=2026-03-29/part-0": 1_000} if archived else {}
    day = ArchivedDay(Utility.GAS, str(NIGHT), None, sizes, frozenset(sizes))
    earlier = (NIGHT.previous,) if previous else ()
    return Found((day,), earlier, previous_archive=False, reads=False, marks=False)


def check_follows(**said: bool) -> None:
    """Ask of a night before that nothing is known of but what is said."""
    nothing = dict.fromkeys(("previous", "previous_archive", "published", "other", "earlier"), False)
    job.check_follows(NIGHT, **(nothing | said))


class TestANightFollows:
    def test_nothing_if_it_is_the_first(self) -> None:
        check_follows()

    def test_the_night_before_if_that_is_published_and_curated(self) -> None:
        check_follows(previous=True, published=True, earlier=True)
        check_follows(previous=True, previous_archive=True, published=True, earlier=True)

    @pytest.mark.parametrize(
        "said",
        [
            pytest.param({"previous_archive": True}, id="it-has-an-archive"),
            pytest.param({"earlier": True}, id="an-older-night-is-published"),
            pytest.param({"previous": True}, id="it-is-curated-but-broke-off"),
        ],
    )
    def test_no_night_that_is_not_published(self, said: dict[str, bool]) -> None:
        with pytest.raises(NightRefused, match=r"run `meterbeat batch --night 2026-03-28` first$"):
            check_follows(**said)

    def test_no_night_that_was_undone_or_broke_off(self) -> None:
        with pytest.raises(
            NightRefused, match=r"is published; run `meterbeat batch --night 2026-03-28` first$"
        ):
            check_follows(previous=True, published=True, other=True, earlier=True)

    def test_no_night_whose_rows_are_gone(self) -> None:
        with pytest.raises(NightRefused, match=r"curated/usage_days/night=2026-03-28 is not on S3; run "):
            check_follows(published=True, earlier=True)


class TestADayWithoutArchive:
    def test_is_refused(self) -> None:
        with pytest.raises(NightRefused, match=r"s3a://meters/raw/utility=\*/day=2026-03-29/$"):
            job.check_archived(NIGHT, BUCKET, found(archived=False), partial=True)

    def test_after_a_night_is_refused_unless_it_is_said_to_be_silent(self) -> None:
        silent = found(archived=False, previous=True)

        job.check_archived(NIGHT, BUCKET, silent, partial=True)
        with pytest.raises(NightRefused, match="--partial"):
            job.check_archived(NIGHT, BUCKET, silent, partial=False)


class TestAnArchive:
    WHOLE = dict.fromkeys(map(str, UTILITIES), NIGHT.end_ms - 900_000)

    def test_is_whole_if_every_utility_reaches_the_last_quarter_of_an_hour(self) -> None:
        job.check_whole(NIGHT, self.WHOLE)

    @pytest.mark.parametrize("utility", UTILITIES)
    def test_that_ends_early_is_refused_with_the_utility_and_the_instant(self, utility: str) -> None:
        with pytest.raises(NightRefused) as refused:
            job.check_whole(NIGHT, self.WHOLE | {utility: NIGHT.end_ms - 900_001})

        assert str(refused.value) == (
            f"the archive of night 2026-03-29 is not whole: of {utility} heartbeats the newest is of "
            "2026-03-29T23:44:59Z; wait for the stream (`meterbeat stream status`), or publish all the "
            "same with --partial"
        )

    @pytest.mark.parametrize("utility", UTILITIES)
    def test_that_lacks_a_utility_is_refused(self, utility: str) -> None:
        rest = {name: at for name, at in self.WHOLE.items() if name != utility}

        with pytest.raises(NightRefused, match=f"of {utility} heartbeats there is none"):
            job.check_whole(NIGHT, rest)
