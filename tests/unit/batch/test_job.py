import datetime

import pytest

from batch import job
from batch.bucket_sink import Bucket
from batch.night import Night, NightRefused
from batch.s3_source import Found
from infra.contracts.utility import UTILITIES

NIGHT = Night(datetime.date(2026, 3, 29))
BUCKET = Bucket("http://s3", "here", "key", "secret", "meters")


def found(*, archived: bool = True, previous: bool = False, previous_archive: bool = False) -> Found:
    keys = ("raw/utility=gas/day=2026-03-29",) if archived else ()
    return Found(keys, 1_000, previous, previous_archive)


class TestANightFollows:
    def test_nothing_if_it_is_the_first(self) -> None:
        job.check_follows(NIGHT, found(), published=False, earlier=False)

    def test_the_night_before_if_that_is_published_and_curated(self) -> None:
        job.check_follows(NIGHT, found(previous=True), published=True, earlier=True)
        job.check_follows(NIGHT, found(previous=True, previous_archive=True), published=True, earlier=True)

    @pytest.mark.parametrize(
        ("before", "earlier"),
        [
            pytest.param(found(previous_archive=True), False, id="it-has-an-archive"),
            pytest.param(found(), True, id="an-older-night-is-published"),
            pytest.param(found(previous=True), False, id="it-is-curated-but-broke-off"),
        ],
    )
    def test_no_night_that_is_not_published(self, before: Found, earlier: bool) -> None:
        with pytest.raises(NightRefused, match=r"run `meterbeat batch --night 2026-03-28` first$"):
            job.check_follows(NIGHT, before, published=False, earlier=earlier)

    def test_no_night_whose_rows_are_gone(self) -> None:
        with pytest.raises(NightRefused, match=r"curated/usage_days/night=2026-03-28 is not on S3; run "):
            job.check_follows(NIGHT, found(), published=True, earlier=True)


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
