"""What the archive holds, by its contract: files, bytes and rows, and each heartbeat counted once."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import botocore.config
import botocore.exceptions
import numpy as np
import numpy.typing as npt
import pyarrow.fs
import pyarrow.parquet as pq

from infra.contracts import archive
from infra.contracts.heartbeat import USER_ID_MIN
from infra.contracts.utility import UTILITIES, Utility
from infra.s3 import server as s3
from infra.settings import Settings

_KEY_BITS_OF_TIME = 38  # ms of 8 years, which leaves 25 bits for users


@dataclasses.dataclass(frozen=True)
class Stock:
    """What some days of the archive hold."""

    files: int
    bytes: int
    rows: int


class ArchiveFiles:
    """The archive of one bucket."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = settings.s3_bucket
        self._s3 = s3.client(settings, botocore.config.Config(s3={"addressing_style": "path"}))
        scheme, _, address = settings.s3_endpoint.partition("://")
        self._files = pyarrow.fs.S3FileSystem(
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            endpoint_override=address,
            scheme=scheme,
            region=settings.s3_region,
        )

    def days(self) -> list[str]:
        """Return every UTC day that has a folder, as YYYY-MM-DD."""
        found = set()
        for utility in UTILITIES:
            prefix = archive.day_path(utility, "")
            pages = self._s3.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/"):
                for folder in page.get("CommonPrefixes", []):
                    found.add(folder["Prefix"].removeprefix(prefix).rstrip("/"))
        return sorted(found)

    def stock(self, days: list[str]) -> Stock:
        """Return what the days hold, rows by the files' footers."""
        keys = [key for utility in UTILITIES for day in days for key in self._keys(utility, day)]
        sizes = sum(self._files.get_file_info(f"{self._bucket}/{key}").size for key in keys)
        rows = sum(self._open(key).metadata.num_rows for key in keys)
        return Stock(len(keys), sizes, rows)

    def distinct(self, utility: Utility, days: list[str]) -> int:
        """Return how many different (user_id, sent_at) the days hold, 8 bytes of memory a row."""
        files = [self._open(key) for day in days for key in self._keys(utility, day)]
        found = np.empty(sum(file.metadata.num_rows for file in files), np.int64)
        at = 0
        for batch in _batches(files):
            found[at : at + len(batch)] = batch
            at += len(batch)
        found.sort()
        return int((np.diff(found) != 0).sum()) + 1 if len(found) else 0

    def _keys(self, utility: Utility, day: str) -> tuple[str, ...]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{archive.day_path(utility, day)}/"
        )
        listed = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return archive.objects_of_day(listed, self._manifest(utility, day))

    def _manifest(self, utility: Utility, day: str) -> archive.Manifest | None:
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=archive.manifest_path(utility, day))
        except botocore.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                return None
            raise
        return archive.Manifest.from_json(found["Body"].read())

    def _open(self, key: str) -> Any:
        return pq.ParquetFile(self._files.open_input_file(f"{self._bucket}/{key}"))


def _batches(files: list[Any]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield what tells heartbeats of one utility apart, a number each."""
    for file in files:
        for batch in file.iter_batches(columns=["user_id", "sent_at"]):
            user_id = batch.column("user_id").to_numpy().astype(np.int64)
            sent_at = batch.column("sent_at").to_numpy()
            yield identities(user_id, sent_at)


def identities(user_id: npt.NDArray[np.int64], sent_at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return one number for each (user_id, sent_at in ms); different ones differ within 8 years."""
    return ((user_id - USER_ID_MIN) << _KEY_BITS_OF_TIME) | (sent_at & ((1 << _KEY_BITS_OF_TIME) - 1))
