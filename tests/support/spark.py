"""A Spark session for a handful of rows."""

import pathlib
from typing import Any

import pytest
from pyspark.sql import SparkSession

from batch import session

DRIVER_MEMORY_MB = 1_024


def started(scratch: pathlib.Path, **reached: Any) -> SparkSession:
    """Return a session on one core; `reached` says how it reaches S3, as batch/session.py has it."""
    with pytest.MonkeyPatch.context() as here:
        # What runs for a minute spends half of it on being compiled well. Flink is left as it is: what it
        # does when a worker is killed depends on how fast its tasks end.
        here.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        spark = session.start(
            master="local[1]", driver_memory_mb=DRIVER_MEMORY_MB, scratch=scratch, **reached
        )
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    # Compiling a plan takes longer than interpreting it for a handful of rows.
    spark.conf.set("spark.sql.codegen.wholeStage", "false")
    spark.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    return spark
