"""The bucket on S3 by boto3: listings, and whole objects in and out. A night's heartbeats go by Spark."""

import contextlib
import dataclasses
import datetime
import functools
from collections.abc import Iterable, Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from batch.night import NightRefused

CONNECT_S_MAX = 2
READ_S_MAX = 10
KEYS_A_DELETION = 1_000


@dataclasses.dataclass(frozen=True)
class Listed:
    """An object as a listing shows it."""

    key: str
    bytes: int
    written_at: datetime.datetime  # aware, by the server's clock


@dataclasses.dataclass(frozen=True)
class Bucket:
    """One bucket and how to reach it. Every method raises NightRefused if S3 is away or refuses."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str = dataclasses.field(repr=False)
    name: str

    def url(self, path: str) -> str:
        """Return the address Spark knows a path by."""
        return f"s3a://{self.name}/{path}"

    def listed(self, prefix: str) -> Iterator[Listed]:
        """Yield the objects whose key starts so, page by page as they are asked for."""
        with self._refusals():
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=prefix
            ):
                for item in page.get("Contents", []):
                    yield Listed(item["Key"], item["Size"], item["LastModified"])

    def content(self, key: str) -> bytes | None:
        """Return what an object holds, None if it does not exist."""
        with self._refusals():
            try:
                content: bytes = self._client.get_object(Bucket=self.name, Key=key)["Body"].read()
            except ClientError as error:
                if _code(error) == "NoSuchKey":
                    return None
                raise
        return content

    def put(self, key: str, content: bytes) -> None:
        """Write an object; readers see the one before it or this one."""
        with self._refusals():
            self._client.put_object(Bucket=self.name, Key=key, Body=content)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that do not exist are no error."""
        names = sorted(keys)
        with self._refusals():
            for first in range(0, len(names), KEYS_A_DELETION):
                part = [{"Key": key} for key in names[first : first + KEYS_A_DELETION]]
                answer = self._client.delete_objects(Bucket=self.name, Delete={"Objects": part})
                for failed in answer.get("Errors", [])[:1]:
                    raise NightRefused(
                        f"object s3://{self.name}/{failed['Key']} cannot be removed: {failed['Code']}"
                    )

    @functools.cached_property
    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                connect_timeout=CONNECT_S_MAX,
                read_timeout=READ_S_MAX,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
            ),
        )

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Say what S3 answers in one line."""
        try:
            yield
        except ClientError as error:
            code = _code(error)
            if code == "NoSuchBucket":
                raise NightRefused(f"no archive: bucket {self.name} is not on {self.endpoint}") from None
            raise NightRefused(f"S3 at {self.endpoint} refuses bucket {self.name}: {code}") from None
        except (BotoCoreError, ValueError):
            raise NightRefused(f"S3 at {self.endpoint} is away; start it with `meterbeat up`") from None


def _code(error: ClientError) -> str:
    code: str = error.response.get("Error", {}).get("Code", "")
    return code
