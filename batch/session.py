"""The Spark session of a night: one place for every Spark and S3A option."""

import os
import pathlib
import sys

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

ROOM = pathlib.Path(__file__).resolve().parent
LOG_NAME = "spark.log"
TASKS_A_CORE = 4
SHUFFLE_PARTITIONS_MIN = 8
PARTITION_SIZE = "8m"  # of a shuffle, compressed


def start(
    *,
    master: str,
    driver_memory_mb: int,
    scratch: pathlib.Path,
    jars: pathlib.Path | None = None,
    s3_endpoint: str = "",
    s3_region: str = "",
    s3_access_key: str = "",
    s3_secret_key: str = "",
) -> SparkSession:
    """Return a session in UTC that reaches S3 through the S3A jars in `jars`; without jars, no S3.

    Starts a JVM: takes seconds. Shuffles spill to `scratch`, which is made and holds the JVM's own log.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    options = {
        "spark.driver.memory": f"{driver_memory_mb}m",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={ROOM / 'log4j2.properties'}",
        "spark.executorEnv.PYTHONPATH": str(ROOM.parent),
        "spark.local.dir": str(scratch),
        "spark.sql.session.timeZone": "UTC",
        "spark.python.daemon.module": "batch.python_daemon",
        # A small fleet's shuffle becomes one task, not eight that each prepare all they need for a few rows;
        # what is held by Spark as well.
        "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
        "spark.sql.optimizer.canChangeCachedPlanOutputPartitioning": "true",
        "spark.sql.adaptive.advisoryPartitionSizeInBytes": PARTITION_SIZE,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if master.startswith("local"):
        options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    if jars is not None:
        options |= _s3a(jars, s3_endpoint, s3_region, s3_access_key, s3_secret_key)
    conf = SparkConf().setMaster(master).setAppName("meterbeat-night").setAll(list(options.items()))
    with (scratch / LOG_NAME).open("wb") as log:
        gateway = launch_gateway(conf, {"stderr": log, "stdout": log})
    context = SparkContext(conf=conf, gateway=gateway)
    spark = SparkSession(context)
    partitions = max(SHUFFLE_PARTITIONS_MIN, TASKS_A_CORE * context.defaultParallelism)
    spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
    return spark


def _s3a(jars: pathlib.Path, endpoint: str, region: str, access_key: str, secret_key: str) -> dict[str, str]:
    """Return the options of Hadoop's S3 client."""
    prefix = "spark.hadoop.fs.s3a"
    return {
        "spark.jars": ",".join(str(jar) for jar in sorted(jars.glob("*.jar"))),
        f"{prefix}.endpoint": endpoint,
        f"{prefix}.endpoint.region": region,
        f"{prefix}.access.key": access_key,
        f"{prefix}.secret.key": secret_key,
        f"{prefix}.path.style.access": "true",
        f"{prefix}.connection.ssl.enabled": str(endpoint.startswith("https")).lower(),
        # An S3 that went away fails the night in seconds, not in a quarter of an hour of retries.
        f"{prefix}.attempts.maximum": "3",
        f"{prefix}.retry.limit": "3",
        f"{prefix}.connection.establish.timeout": "5s",
    }
