"""The archive as any reader without Spark sees it: files of the local S3 server, chosen by the contract."""

import pathlib

import duckdb
import pyarrow as pa

from infra.contracts import archive
from infra.contracts.archive import Manifest
from infra.contracts.utility import Utility
from infra.settings import Settings


def day_files(settings: Settings, utility: Utility, day: str) -> list[str]:
    """Return the paths of the files that hold each heartbeat of a utility's day once."""
    bucket = settings.home / "s3" / "data" / settings.s3_bucket
    folder = bucket / archive.day_path(utility, day)
    listed = [str(path.relative_to(bucket)) for path in folder.iterdir()] if folder.is_dir() else []
    manifest = pathlib.Path(bucket, archive.manifest_path(utility, day))
    found = Manifest.from_json(manifest.read_bytes()) if manifest.exists() else None
    return [str(bucket / key) for key in archive.objects_of_day(listed, found)]


def days(settings: Settings, utility: Utility) -> list[str]:
    """Return the UTC days that the archive has heartbeats of."""
    folder = settings.home / "s3" / "data" / settings.s3_bucket / archive.PREFIX / f"utility={utility}"
    return sorted(path.name.removeprefix("day=") for path in folder.glob("day=*"))


def heartbeats(files: list[str]) -> pa.Table:
    """Return all rows of Parquet files, file after file, in their order."""
    columns = ", ".join(archive.COLUMNS)
    parts = [duckdb.sql(f"SELECT {columns} FROM read_parquet(['{path}'])").to_arrow_table() for path in files]
    return pa.concat_tables(parts, promote_options="permissive")
