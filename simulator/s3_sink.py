"""Master data and the run records on S3, and the run records back from it."""

import io
import json
from typing import Any, BinaryIO

import boto3
import boto3.exceptions
import botocore.client
import botocore.exceptions
import pyarrow as pa
import pyarrow.parquet as pq

from simulator.ledger import Run

RUNS_PREFIX = "ledger/run-"
_CONNECT_TIMEOUT_S = 3
_READ_TIMEOUT_S = 30
_ATTEMPTS_MAX = 4


class S3AwayError(Exception):
    """The object store did not do what it was asked."""


class S3Sink:
    """The simulator's corner of the bucket. Each write replaces whole objects.

    :raises S3AwayError: from every method, in one line, once a few attempts have failed.
    """

    def __init__(self, endpoint: str, bucket: str, region: str, access_key: str, secret_key: str) -> None:
        self._endpoint = endpoint
        self._bucket = bucket
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=botocore.client.Config(
                connect_timeout=_CONNECT_TIMEOUT_S,
                read_timeout=_READ_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS_MAX},
                s3={"addressing_style": "path"},
                # Not every S3 server knows the newer checksums that boto3 sends unasked.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def make_bucket(self) -> None:
        """Make the bucket unless it is there."""
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except botocore.exceptions.ClientError:
            self._ask("create_bucket")
        except botocore.exceptions.BotoCoreError as error:
            raise self._unavailable(error) from None

    def put_table(self, path: str, table: pa.Table) -> None:
        """Write a table as one Parquet object, the same bytes for the same table."""
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self._ask("put_object", Key=path, Body=buffer.getvalue())

    def put_file(self, path: str, file: BinaryIO) -> None:
        """Write an open file as one object, in parts if it is large."""
        try:
            self._client.upload_fileobj(file, self._bucket, path)
        except (
            botocore.exceptions.BotoCoreError,
            botocore.exceptions.ClientError,
            boto3.exceptions.Boto3Error,
        ) as error:
            raise self._unavailable(error) from None

    def put_run(self, run: Run) -> None:
        """Record a run, replacing what was recorded of it, and of no other, before."""
        body = json.dumps(run.to_json(), indent=1).encode()
        self._ask("put_object", Key=f"{RUNS_PREFIX}{run.name}.json", Body=body)

    def read_runs(self) -> list[Run]:
        """Return all recorded runs, oldest first."""
        runs = []
        token: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", Prefix=RUNS_PREFIX, **token)
            for entry in page.get("Contents", ()):
                body = self._ask("get_object", Key=entry["Key"])["Body"].read()
                runs.append(Run.from_json(json.loads(body)))
            if not page.get("IsTruncated"):
                return sorted(runs, key=lambda run: (run.from_ms, run.started_at))
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _ask(self, call: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, call)(Bucket=self._bucket, **arguments)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: Exception) -> S3AwayError:
        reason = " ".join(str(error).split())
        return S3AwayError(
            f"S3 did not answer at {self._endpoint}, bucket {self._bucket} ({reason}). "
            "Start it with `meterbeat up`"
        )
