"""One utility's UTC day in the archive: which objects hold it, and which only wait to be removed."""

import dataclasses
import datetime

from batch.bucket_sink import Bucket
from batch.night import NightRefused
from infra.contracts import archive
from infra.contracts.archive import Manifest, ManifestError
from infra.contracts.utility import Utility


@dataclasses.dataclass(frozen=True)
class ArchivedDay:
    """What one utility's day consists of at one moment."""

    utility: Utility
    day: str
    manifest: Manifest | None
    sizes: dict[str, int]  # key -> bytes of the objects that hold each heartbeat once
    listed: frozenset[str]  # keys under raw/, whether they count or not

    @property
    def loose(self) -> tuple[str, ...]:
        """The keys that no compaction has merged yet."""
        return tuple(key for key in self.sizes if not (self.manifest and key in self.manifest.files))

    @property
    def superseded(self) -> frozenset[str]:
        """The keys under raw/ that are merged and still there."""
        return self.listed & self.manifest.supersedes if self.manifest else frozenset()


def find(bucket: Bucket, utility: Utility, day: str) -> ArchivedDay:
    """Return what a utility's day consists of; one listing and one look at its manifest, in this order.

    :raises NightRefused: if S3 is away or the manifest cannot be read.
    """
    listed = {one.key: one.bytes for one in bucket.listed(f"{archive.day_path(utility, day)}/")}
    key = archive.manifest_path(utility, day)
    text = bucket.content(key)
    try:
        manifest = None if text is None else Manifest.from_json(text)
    except ManifestError as error:
        raise NightRefused(
            f"manifest s3://{bucket.name}/{key} cannot be read: {error}; put back an earlier version of it"
        ) from None
    sizes = listed | (manifest.files if manifest else {})
    keys = archive.objects_of_day(listed, manifest)
    return ArchivedDay(utility, day, manifest, {key: sizes[key] for key in keys}, frozenset(listed))


def outlived(bucket: Bucket, day: ArchivedDay, now: datetime.datetime) -> frozenset[str]:
    """Return the keys of a day that no reader can still need: superseded, or left by a killed compaction.

    A reader may hold the list of a moment ago, so nothing goes within `archive.KEPT_S_MIN` of its end.

    :raises NightRefused: if an object that the manifest names is not there as it says.
    """
    kept_since = now - datetime.timedelta(seconds=archive.KEPT_S_MIN)
    compacted = {one.key: one for one in bucket.listed(f"{archive.compacted_path(day.utility, day.day)}/")}
    named = day.manifest.files if day.manifest else {}
    for key, size in named.items():
        if key not in compacted or compacted[key].bytes != size:
            raise NightRefused(
                f"object s3://{bucket.name}/{key} is not there with the {size} bytes that its manifest says; "
                "put it back before anything else is removed"
            )
    if day.manifest and day.manifest.written_at > kept_since:
        return frozenset()
    left = {key for key, one in compacted.items() if key not in named and one.written_at <= kept_since}
    return day.superseded | left
