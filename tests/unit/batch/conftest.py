import pathlib
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from tests.support.spark import started


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    scratch: pathlib.Path = tmp_path_factory.mktemp("spark")
    spark = started(scratch)
    yield spark
    spark.stop()
