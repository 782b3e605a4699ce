"""What a rebuild reads, decided from times alone."""

import datetime

import pytest

from infra.contracts.durations import HOUR_MS
from infra.contracts.live_state import MARKS_MAX
from stream.archive_source import ArchiveFile, RowGroup
from stream.rebuild import (
    BEGINNING_MS,
    NEAR_MS,
    NEWEST_MS,
    REACH_MS,
    Rebuild,
    RebuildRefused,
    hour_ends,
    near,
    since_ms_of,
)

START = 490_000 * HOUR_MS
WHOLE = (START, START + 3 * HOUR_MS)  # an hour before the range, then two


def group(first_ms: int, last_ms: int) -> RowGroup:
    return RowGroup("part", 0, 1, START + first_ms, START + last_ms)


class TestHourEnds:
    def test_reads_each_hours_end_the_beginning_and_the_newest(self):
        last = 2 * HOUR_MS + HOUR_MS // 2

        stretches = [(a - START, b - START) for a, b in hour_ends(WHOLE, [group(0, last)])]

        assert stretches == [
            (HOUR_MS - REACH_MS, HOUR_MS),
            (2 * HOUR_MS - REACH_MS, 2 * HOUR_MS),
            (3 * HOUR_MS - REACH_MS, 3 * HOUR_MS),
            (HOUR_MS, HOUR_MS + BEGINNING_MS),
            (last - NEWEST_MS, 3 * HOUR_MS),
        ]

    def test_an_archive_that_begins_within_the_range_is_read_from_its_beginning(self):
        first = HOUR_MS + 1_234_567

        stretches = hour_ends(WHOLE, [group(first, 2 * HOUR_MS)])

        assert (START + first, START + first + BEGINNING_MS) in stretches

    def test_an_archive_without_anything_of_the_range_is_not_read(self):
        assert hour_ends(WHOLE, [group(-HOUR_MS, -1)]) == []


class TestNear:
    def test_takes_what_was_written_soon_after_an_hours_end_and_the_ends_of_the_archive(self):
        minutes = range(-90, 150)
        files = [ArchiveFile(str(minute), "", START + HOUR_MS + minute * 60_000) for minute in minutes]

        chosen = {int(file.path) for file in near(files, WHOLE)}

        soon = {m for m in minutes if m >= -60 and m % 60 <= NEAR_MS // 60_000}
        ends = {-90, -89, -88} | set(range(150 - 1 - NEAR_MS // 60_000, 150))
        assert chosen == soon | ends

    def test_leaves_out_what_compaction_made(self):
        assert near([ArchiveFile("compacted", "", 0)], WHOLE) == []


class TestRange:
    def test_of_more_hours_than_redis_keeps_is_refused(self):
        with pytest.raises(RebuildRefused, match="give a later instant"):
            Rebuild(None, None, None, START - MARKS_MAX * HOUR_MS, START)

    def test_ahead_is_refused(self):
        with pytest.raises(RebuildRefused, match="ahead"):
            Rebuild(None, None, None, START + 1, START)

    @pytest.mark.parametrize("text", ["soon", "2026-03-29", "2026-03-29T00:00"])
    def test_since_needs_an_instant(self, text):
        with pytest.raises(RebuildRefused, match="--since"):
            since_ms_of(text)

    def test_since_is_read_in_its_own_zone(self):
        moment = datetime.datetime(2026, 3, 29, 1, tzinfo=datetime.UTC)

        assert since_ms_of("2026-03-29T03:00+02:00") == moment.timestamp() * 1000
