"""A Spark session for the contracts that batch keeps."""

import pytest
from pyspark import SparkContext

from batch import session
from batch.mysql_sink import Database


@pytest.fixture(scope="module")
def spark(services, tmp_path_factory):
    """A session that reaches the S3 server. Its JVM ends with it: the next one may start with other jars."""
    settings = services.settings
    spark = session.start(
        master="local[1]",
        driver_memory_mb=1_024,
        scratch=tmp_path_factory.mktemp("spark"),
        jars=settings.jars / "spark",
        s3_endpoint=settings.s3_endpoint,
        s3_region=settings.s3_region,
        s3_access_key=settings.s3_access_key,
        s3_secret_key=settings.s3_secret_key,
    )
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    # Compiling a plan takes longer than interpreting it for a handful of rows.
    spark.conf.set("spark.sql.codegen.wholeStage", "false")
    spark.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    yield spark
    spark.stop()
    jvm = SparkContext._gateway
    SparkContext._gateway = SparkContext._jvm = None
    jvm.shutdown()
    jvm.proc.stdin.close()  # which it takes as the word to end
    jvm.proc.wait(timeout=30)


@pytest.fixture(scope="module")
def no_stream(services):
    """End the jobs that other tests left running, and the watch, which would rebuild what a test flushes."""
    services.ask("stream", "stop")


@pytest.fixture(scope="module")
def database(settings):
    """The database as batch sees it; `settings` are the test module's own."""
    return Database(
        settings.mysql_host,
        settings.mysql_port,
        settings.mysql_database,
        settings.mysql_batch_user,
        settings.mysql_batch_password,
    )
