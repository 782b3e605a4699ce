"""What several contracts are held against: Spark, the database as batch sees it, an empty live state."""

import pytest
import redis

from batch.__main__ import database_of
from stream.redis_sink import RedisSink
from tests.support.nights import running_spark


@pytest.fixture(scope="module")
def spark(services, tmp_path_factory):
    """A session that reaches the S3 server."""
    with running_spark(services.settings, tmp_path_factory.mktemp("spark")) as spark:
        yield spark


@pytest.fixture(scope="module")
def no_stream(services):
    """End the jobs that other tests left running, and the watch, which would rebuild what a test flushes."""
    services.ask("stream", "stop")


@pytest.fixture(scope="module")
def database(settings):
    """The database as batch sees it; `settings` are the test module's own."""
    return database_of(settings)


@pytest.fixture
def store(services):
    """Live state, empty, as anybody sees it."""
    client = redis.Redis.from_url(services.settings.redis_url)
    client.flushdb()
    return client


@pytest.fixture
def sink(services, store):
    """What the stream writes live state by."""
    return RedisSink(services.settings.redis_url, epoch=1)
