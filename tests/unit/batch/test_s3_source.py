import datetime

import batch_builders as builders
from pyspark.sql import SparkSession

from batch import s3_source, usage
from batch.bucket_sink import Bucket
from batch.night import Night
from infra.contracts import archive

NIGHT = Night(datetime.date(2026, 3, 29))
HOME = 10_000_001
BUCKET = Bucket("http://s3", "here", "key", "secret", "meters")


class TestHeartbeats:
    def test_of_a_silent_day_are_none_and_carry_every_register(self, spark: SparkSession) -> None:
        heartbeats = s3_source.read_heartbeats(spark, BUCKET, ())
        previous = builders.a_table(spark, builders.PREVIOUS, [(HOME, "gas", 900, NIGHT.start_ms - 77)])
        users = builders.a_table(spark, builders.USERS, [(HOME, "US-CA")])

        days = usage.meter_days(usage.meter_hours(heartbeats, NIGHT))
        [row] = usage.usage_days(days, previous, users).collect()

        assert heartbeats.columns == [*archive.COLUMNS, "utility"]
        assert (row["register_start"], row["register_end"], row["heartbeats"]) == (900, 900, 0)
