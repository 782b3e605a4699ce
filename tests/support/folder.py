"""A folder in place of a bucket, where a test needs no S3; other processes can have it too."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Folder:
    """Objects as files; what a task needs of a bucket."""

    path: pathlib.Path

    def url(self, key: str) -> str:
        return f"s3a://folder/{key}"

    def content(self, key: str) -> bytes:
        return (self.path / key).read_bytes()

    def put(self, key: str, content: bytes) -> None:
        (self.path / key).write_bytes(content)
