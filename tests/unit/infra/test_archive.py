import dataclasses
import datetime
import json

import pytest

from infra.contracts import archive
from infra.contracts.archive import Manifest, ManifestError
from infra.contracts.utility import Utility

DAY = "2026-03-29"
RAW = archive.day_path(Utility.GAS, DAY)
FILE = f"{archive.compacted_path(Utility.GAS, DAY)}/0002-abcd/part-00000.parquet"
MANIFEST = Manifest(
    generation="0002-abcd",
    written_at=datetime.datetime(2026, 3, 30, 1, 2, 3, 456_000, tzinfo=datetime.UTC),
    rows=1_000,
    files={FILE: 812},
    supersedes=frozenset({f"{RAW}/part-a", f"{RAW}/part-b"}),
)


class TestADaysObjects:
    def test_are_all_visible_ones_without_a_manifest(self):
        listed = [f"{RAW}/part-b", f"{RAW}/part-a", f"{RAW}/.part-c.inprogress", f"{RAW}/_SUCCESS", f"{RAW}/"]

        assert archive.objects_of_day(listed, None) == (f"{RAW}/part-a", f"{RAW}/part-b")

    def test_are_the_manifests_and_what_it_does_not_name(self):
        listed = [
            f"{RAW}/part-a",
            f"{RAW}/part-b",
            f"{RAW}/part-late",
            archive.manifest_path(Utility.GAS, DAY),
        ]

        assert archive.objects_of_day(listed, MANIFEST) == (FILE, f"{RAW}/part-late")

    @pytest.mark.parametrize("deleted", [0, 1, 2])
    def test_are_the_same_whether_superseded_ones_are_still_there(self, deleted):
        listed = [f"{RAW}/part-a", f"{RAW}/part-b"][deleted:]

        assert archive.objects_of_day(listed, MANIFEST) == (FILE,)


class TestAManifest:
    def test_comes_back_as_it_was(self):
        assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST

    def test_is_in_utc_whatever_the_writers_zone(self):
        zone = datetime.timezone(datetime.timedelta(hours=9))
        elsewhere = dataclasses.replace(MANIFEST, written_at=MANIFEST.written_at.astimezone(zone))

        assert elsewhere.to_json() == MANIFEST.to_json()

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            pytest.param({"version": 2}, "its version is 2, not 1", id="another-version"),
            pytest.param({"bytes": 811}, "its files have 812 bytes, its sum says 811", id="wrong-sum"),
            pytest.param({"files": None}, "AttributeError", id="no-files"),
            pytest.param({"written_at": "soon"}, "ValueError", id="no-instant"),
        ],
    )
    def test_at_odds_with_itself_is_refused(self, change, says):
        with pytest.raises(ManifestError, match=says):
            Manifest.from_json(json.dumps(json.loads(MANIFEST.to_json()) | change))

    def test_cut_short_is_refused(self):
        with pytest.raises(ManifestError):
            Manifest.from_json(MANIFEST.to_json()[:-20])

    def test_of_no_object_is_refused(self):
        with pytest.raises(ManifestError):
            Manifest.from_json("[]")
