"""The one platform of a test session; tests that need it get a topic prefix or users of their own."""

import pytest

from tests.support.services import Platform, running_platform


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory):
    """Kafka, Redis, MySQL, S3 and Flink, real and empty at the session's start."""
    with running_platform(tmp_path_factory.mktemp("meterbeat"), stream_buckets=2) as platform:
        yield platform


__all__ = ["Platform"]
