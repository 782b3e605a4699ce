"""The raw archive on S3: every heartbeat once, Parquet, by utility and UTC day; stream and batch write it.

    raw/utility={utility}/day={YYYY-MM-DD}/*                           as the stream wrote it
    raw/utility={utility}/day={YYYY-MM-DD}/_compacted.json             the day's manifest, if there is one
    compacted/utility={utility}/day={YYYY-MM-DD}/{generation}/*.parquet  sorted by user_id and sent_at

Both partition columns come from the path. A file whose name begins with `.` or `_` holds no heartbeats.
What makes up a day is for `objects_of_day` to say, from a listing of the day's folder under raw/ and from the
manifest, fetched after that listing: a superseded file stays for an hour at least, so what it says can be
read. Whoever globs raw/ instead reads heartbeats twice after a compaction, or misses them.
"""

import dataclasses
import datetime
import json
from collections.abc import Iterable
from typing import Any

from infra.contracts.utility import Utility

PREFIX = "raw"
COMPACTED_PREFIX = "compacted"
MANIFEST_NAME = "_compacted.json"
MANIFEST_VERSION = 1
# Column -> Parquet type as the engines name it in SQL. `sent_at` in ms since 1970, UTC.
COLUMNS = {
    "user_id": "INT",
    "sent_at": "BIGINT",
    "register": "BIGINT",
    "rate": "INT",
    "region": "STRING",
}
KEPT_S_MIN = 3_600  # how long what a manifest supersedes stays readable


class ManifestError(ValueError):
    """A manifest that says nothing usable. Terminal: without it nobody knows what the day holds."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What one compaction made of a utility's UTC day. Putting it is the swap; the newest holds."""

    generation: str  # its folder; begins with a number that counts up from 1
    written_at: datetime.datetime  # aware, whole ms
    rows: int
    files: dict[str, int]  # key -> bytes: all heartbeats that were merged
    supersedes: frozenset[str]  # keys under raw/ merged by this or an earlier generation, deleted or not

    @property
    def size_bytes(self) -> int:
        """The bytes of all its files."""
        return sum(self.files.values())

    def to_json(self) -> str:
        """Return the manifest's text."""
        fields = dataclasses.asdict(self) | {
            "version": MANIFEST_VERSION,
            "written_at": self.written_at.astimezone(datetime.UTC).isoformat(timespec="milliseconds"),
            "bytes": self.size_bytes,
            "supersedes": sorted(self.supersedes),
        }
        return json.dumps(fields, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Manifest":
        """Return the manifest of a text.

        :raises ManifestError: if it is of another version, cut short, or at odds with itself.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            if fields["version"] != MANIFEST_VERSION:
                raise ManifestError(f"its version is {fields['version']}, not {MANIFEST_VERSION}")
            manifest = cls(
                generation=str(fields["generation"]),
                written_at=datetime.datetime.fromisoformat(fields["written_at"]),
                rows=int(fields["rows"]),
                files={str(key): int(size) for key, size in fields["files"].items()},
                supersedes=frozenset(fields["supersedes"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = error if isinstance(error, ManifestError) else f"{type(error).__name__}: {error}"
            raise ManifestError(str(reason)) from None
        if manifest.size_bytes != fields.get("bytes"):
            raise ManifestError(
                f"its files have {manifest.size_bytes} bytes, its sum says {fields.get('bytes')}"
            )
        return manifest


def day_path(utility: Utility, day: str) -> str:
    """Return the folder that the stream writes one utility's UTC day to, inside the bucket."""
    return f"{PREFIX}/utility={utility}/day={day}"


def manifest_path(utility: Utility, day: str) -> str:
    """Return the key of a day's manifest."""
    return f"{day_path(utility, day)}/{MANIFEST_NAME}"


def compacted_path(utility: Utility, day: str) -> str:
    """Return the folder that holds a day's generations, each in a folder of its own."""
    return f"{COMPACTED_PREFIX}/utility={utility}/day={day}"


def objects_of_day(listed: Iterable[str], manifest: Manifest | None) -> tuple[str, ...]:
    """Return the keys that hold each heartbeat of a day exactly once.

    `listed` are the keys under `day_path`; `manifest` is the day's, fetched after they were listed, or None.
    """
    merged: frozenset[str] = manifest.supersedes if manifest else frozenset()
    raw = (key for key in listed if _holds_heartbeats(key) and key not in merged)
    return (*sorted(manifest.files if manifest else ()), *sorted(raw))


def _holds_heartbeats(key: str) -> bool:
    return key.rpartition("/")[2][:1] not in ("", ".", "_")
