import datetime

from pyspark.sql import SparkSession

from batch import s3_source, usage
from batch.archived_day import ArchivedDay
from batch.bucket_sink import Bucket
from batch.night import Night
from infra.contracts.archive import Manifest
from infra.contracts.utility import UTILITIES, Utility

NIGHT = Night(datetime.date(2026, 3, 29))
BUCKET = Bucket("http://s3", "here", "key", "secret", "meters")
RAW = ("raw/utility=gas/day=2026-03-29/part-0", "raw/utility=gas/day=2026-03-29/part-1")
NOW = datetime.datetime(2026, 3, 30, 1, tzinfo=datetime.UTC)


def archived(*keys: str, manifest: Manifest | None = None, utility: Utility = Utility.GAS) -> ArchivedDay:
    sizes = dict.fromkeys(keys, 1_000) | (manifest.files if manifest else {})
    return ArchivedDay(utility, str(NIGHT), manifest, sizes, frozenset(keys))


class TestHeartbeats:
    def test_of_a_silent_day_are_none_and_fold_to_nothing(self, spark: SparkSession) -> None:
        silent = [archived(utility=utility) for utility in UTILITIES]

        heartbeats = s3_source.read_day(spark, BUCKET, silent)

        assert heartbeats.columns == ["user_id", "sent_at", "register", "rate", "utility"]
        assert usage.meter_rows(usage.meter_hours(heartbeats, NIGHT)).count() == 0


class TestFingerprint:
    def test_does_not_change_with_compaction(self) -> None:
        manifest = Manifest(
            generation="g1", written_at=NOW, rows=10, files={"compacted/a": 900}, supersedes=frozenset(RAW)
        )

        before = s3_source.fingerprint([archived(*RAW)])

        assert s3_source.fingerprint([archived(manifest=manifest)]) == before

    def test_changes_with_every_object_that_comes(self) -> None:
        assert s3_source.fingerprint([archived(*RAW)]) != s3_source.fingerprint([archived(RAW[0])])


class TestFound:
    def test_knows_its_objects_and_whether_the_night_before_is_there(self) -> None:
        found = s3_source.Found(
            days=(archived(RAW[1]), archived(RAW[0])),
            earlier=(NIGHT.previous.previous,),
            previous_archive=True,
            reads=False,
            marks=False,
        )

        assert found.archive_keys == RAW
        assert found.archive_bytes == 2_000
        assert not found.previous(NIGHT)
        assert found.previous(NIGHT.previous)
