"""S3, MySQL and a Spark session for the journeys that begin at the archive."""

import functools

import pytest

from tests.support.nights import STORES_ONLY, own_stores, running_spark
from tests.support.services import running_platform

PORT_BASE = 20_500


# A process has one Spark session at a time: the next folder may want another.
@pytest.fixture(scope="package")
def stores_of(tmp_path_factory):
    """A function that makes a bucket with master data, and a database, for one story."""
    home = tmp_path_factory.mktemp("nights")
    with (
        running_platform(home, port_base=PORT_BASE, **STORES_ONLY) as platform,
        running_spark(platform.settings, home / "spark") as spark,
    ):
        yield functools.partial(own_stores, platform.settings, spark)
