"""A Spark session for a handful of rows."""

import pathlib
from typing import Any

import pytest
from pyspark.sql import SparkSession

from batch import session

DRIVER_MEMORY_MB = 1_024
# What runs for a minute spends half of it on being compiled well, on a collector that works beside it, and on
# collecting each time that a few more classes are there.
JVM_OPTIONS = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:ReservedCodeCacheSize=240m",
    "-XX:MetaspaceSize=256m",
)
# For a handful of rows, compiling a plan, planning it again after each of its stages and describing it to a
# page that nobody looks at take longer than carrying it out as it is.
FOR_FEW_ROWS = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.ui.explainMode": "simple",
}


def started(scratch: pathlib.Path, **reached: Any) -> SparkSession:
    """Return a session on one core; `reached` says how it reaches S3, as batch/session.py has it."""
    with pytest.MonkeyPatch.context() as here:
        # Flink is left as it is: what it does when a worker is killed depends on how fast its tasks end.
        here.setenv("JDK_JAVA_OPTIONS", " ".join(JVM_OPTIONS))
        spark = session.start(
            master="local[1]", driver_memory_mb=DRIVER_MEMORY_MB, scratch=scratch, **reached
        )
    for name, value in FOR_FEW_ROWS.items():
        spark.conf.set(name, value)
    return spark
