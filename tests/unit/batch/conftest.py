import pathlib
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from batch import session


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    scratch: pathlib.Path = tmp_path_factory.mktemp("spark")
    spark = session.start(master="local[1]", driver_memory_mb=1_024, scratch=scratch)
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    # Compiling a plan takes longer than interpreting it for a handful of rows.
    spark.conf.set("spark.sql.codegen.wholeStage", "false")
    spark.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    yield spark
    spark.stop()
