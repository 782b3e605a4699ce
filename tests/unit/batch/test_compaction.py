import datetime

import pytest

from batch import compaction
from batch.archived_day import ArchivedDay
from batch.compaction import CompactionRefused
from batch.night import Night
from infra.contracts.utility import Utility

NIGHT = Night(datetime.date(2026, 3, 29))


class TestCheckSame:
    DAY = ArchivedDay(Utility.GAS, str(NIGHT), None, {}, frozenset())

    def test_is_content_with_equal_sums(self) -> None:
        compaction.check_same(self.DAY, {"rows": 3, "rate": 7}, {"rows": 3, "rate": 7})

    def test_names_what_differs_in_one_line(self) -> None:
        with pytest.raises(CompactionRefused) as refused:
            compaction.check_same(self.DAY, {"rows": 3, "rate": 7}, {"rows": 3, "rate": 8})

        assert str(refused.value) == (
            "gas of 2026-03-29 as compacted differs from its archive: rate 8 not 7; "
            "the archive stays as it was"
        )


@pytest.mark.parametrize(
    ("rows", "cores", "files"),
    [
        pytest.param(0, 2, 1, id="nothing"),
        pytest.param(999_999, 2, 1, id="too-small-to-share"),
        pytest.param(4_300_000, 2, 2, id="one-a-core"),
        pytest.param(4_300_000, 16, 4, id="no-slivers"),
        pytest.param(100_000_000, 2, 13, id="no-giants"),
    ],
)
def test_files_are_few_and_keep_the_cores_at_work(rows: int, cores: int, files: int) -> None:
    assert compaction.file_count(rows, cores) == files
