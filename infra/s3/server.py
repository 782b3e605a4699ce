"""The local S3 server as a service, and the bucket every store must have."""

import pathlib
import urllib.error
import urllib.request
from typing import Any

import boto3
import botocore.config
import botocore.exceptions

from infra.process import STREAM_NICE, Service, ServiceError
from infra.settings import Settings

HEAP_MB = 512
LOGGING = pathlib.Path(__file__).parent / "logback.xml"
CONFIGURATION = """\
s3proxy.endpoint=http://127.0.0.1:{port}
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity={access_key}
s3proxy.credential={secret_key}
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir={folder}/data
jclouds.identity=unused
jclouds.credential=unused
"""


def service(settings: Settings) -> Service:
    """Return the local S3 server; objects are files under its folder."""
    folder = settings.home / "s3"
    port = settings.port_base + 1

    def prepare() -> None:
        (folder / "data").mkdir(exist_ok=True)
        keys = {"access_key": settings.s3_access_key, "secret_key": settings.s3_secret_key}
        (folder / "s3proxy.conf").touch(mode=0o600)
        (folder / "s3proxy.conf").write_text(CONFIGURATION.format(port=port, folder=folder, **keys))

    java = ["java", f"-Xmx{HEAP_MB}m", f"-Dlogback.configurationFile={LOGGING}"]
    java += ["-cp", f"{settings.jars}/s3/*"]
    return Service(
        name="s3",
        folder=folder,
        command=[*java, "org.gaul.s3proxy.Main", "--properties", "s3proxy.conf"],
        ports={"server": port},
        ready=lambda: _ready(port),
        prepare=prepare,
        nice=STREAM_NICE,
    )


def client(settings: Settings, config: botocore.config.Config | None = None) -> Any:
    """Return a client of the store, wherever it is."""
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key,
        config=config,
    )


def create_bucket(settings: Settings) -> None:
    """Create the bucket unless it exists.

    :raises ServiceError: if the store does not answer.
    """
    store = client(settings, botocore.config.Config(connect_timeout=5, retries={"max_attempts": 2}))
    try:
        names = [bucket["Name"] for bucket in store.list_buckets()["Buckets"]]
        if settings.s3_bucket not in names:
            store.create_bucket(Bucket=settings.s3_bucket)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise ServiceError(
            f"s3 at {settings.s3_endpoint} does not answer ({error}); start it with `meterbeat up`"
        ) from None


def _ready(port: int) -> bool:
    """Return whether the server speaks HTTP; without credentials it may well answer 403."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
