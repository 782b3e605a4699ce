"""Pipe S3, master data: what the simulator writes, batch reads. Run records come back as they were."""

import dataclasses
import datetime
import io

import boto3
import pyarrow.parquet as pq
import pytest

from batch import s3_source
from batch.__main__ import bucket_of
from batch.night import Night
from infra.contracts import master_data as contract
from infra.contracts.durations import DAY_MS
from infra.contracts.utility import UTILITIES
from simulator.counts import Counts
from simulator.faults import Faults
from simulator.ledger import Run
from simulator.master_data import master_tables
from simulator.meter_faults import MeterFaults
from simulator.meter_list import INSTALLED_AT
from simulator.options import night_day
from simulator.reads import reads_table
from simulator.s3_sink import S3Sink

BUCKET = "master-data"
SEED = 7
USERS = 300
READS_DAY = datetime.date(2026, 11, 20)
READS_PATH = contract.reads_path(str(READS_DAY))
COLUMNS = {
    contract.USERS_PATH: contract.USERS_COLUMNS,
    contract.METERS_PATH: contract.METERS_COLUMNS,
    contract.REGIONS_PATH: contract.REGIONS_COLUMNS,
    contract.AGREEMENTS_PATH: contract.AGREEMENTS_COLUMNS,
    contract.TARIFFS_PATH: contract.TARIFFS_COLUMNS,
    READS_PATH: contract.READS_COLUMNS,
}
METER_FAULTS = MeterFaults.parse("gap=2%,leak=1%,rollover=5%,exchange=0.5%")
RUN = Run(
    seed=SEED,
    users=USERS,
    from_ms=1_760_000_000_000,
    to_ms=None,
    faults=Faults(late_ppm=1, doubled_ppm=2, lost_ppm=3, malformed_ppm=4),
    acknowledged_until=1_760_000_060_000,
    finished=False,
    counts={str(utility): Counts(60 + utility.code, 50, 4, 3, 2, 1) for utility in UTILITIES},
    meter_faults=METER_FAULTS,
)


@pytest.fixture(scope="module")
def sink(services):
    settings = services.settings
    sink = S3Sink(
        settings.s3_endpoint, BUCKET, settings.s3_region, settings.s3_access_key, settings.s3_secret_key
    )
    sink.make_bucket()
    return sink


def tables_of_fleet():
    tables = master_tables(SEED, USERS, METER_FAULTS, until_ms=INSTALLED_AT + 60 * DAY_MS)
    return tables | {READS_PATH: reads_table(SEED, USERS, METER_FAULTS, night_day(str(READS_DAY)))}


@pytest.fixture(scope="module")
def written(sink):
    """Write the master data of a fleet some of whose meters are exchanged; return it."""
    tables = tables_of_fleet()
    for path, table in tables.items():
        sink.put_table(path, table)
    return tables


@pytest.fixture(scope="module")
def bucket(services):
    return bucket_of(dataclasses.replace(services.settings, s3_bucket=BUCKET))


@pytest.fixture(scope="module")
def objects(bucket):
    """A function that returns an object's bytes."""
    client = boto3.client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name=bucket.region,
        aws_access_key_id=bucket.access_key,
        aws_secret_access_key=bucket.secret_key,
    )
    return lambda path: client.get_object(Bucket=bucket.name, Key=path)["Body"].read()


def shape(frame):
    return {field.name: field.dataType.simpleString().upper() for field in frame.schema}


def rows(frame):
    return [row.asDict() for row in frame.collect()]


@pytest.fixture
def master(spark, bucket, written):
    """Master data as a night reads them."""
    found = s3_source.Found(days=(), earlier=(), previous_archive=False, reads=True, marks=False)
    return s3_source.read_master(spark, bucket, Night(READS_DAY), found)


class TestMasterData:
    @pytest.mark.parametrize(
        ("frame", "path"),
        [
            pytest.param("users", contract.USERS_PATH, id="users"),
            pytest.param("regions", contract.REGIONS_PATH, id="regions"),
            pytest.param("meters", contract.METERS_PATH, id="meters"),
            pytest.param("agreements", contract.AGREEMENTS_PATH, id="agreements"),
            pytest.param("reads", READS_PATH, id="reads"),
        ],
    )
    def test_is_read_as_it_was_written(self, master, written, frame, path):
        read = getattr(master, frame)

        assert shape(read) == COLUMNS[path]
        assert rows(read) == written[path].to_pylist() != []

    def test_prices_whatever_an_agreement_names(self, bucket, written):
        tariffs = s3_source.read_tariffs(bucket)
        since = INSTALLED_AT // DAY_MS

        for row in written[contract.AGREEMENTS_PATH].to_pylist():
            plan = tariffs.plans[tariffs.place(row["plan"], row["utility"])]
            assert plan.between(since, since + 2_000)

    @pytest.mark.parametrize("path", COLUMNS)
    def test_says_the_contracts_types_by_itself(self, spark, bucket, written, path):
        assert shape(spark.read.parquet(bucket.url(path))) == COLUMNS[path]

    @pytest.mark.parametrize("path", COLUMNS)
    def test_has_nulls_only_where_the_contract_allows_them(self, objects, written, path):
        schema = pq.read_schema(io.BytesIO(objects(path)))

        assert {field.name for field in schema if field.nullable} <= set(contract.NULLABLE)

    def test_gives_every_user_a_known_region_and_a_meter_of_each_utility(self, master):
        users, meters = rows(master.users), rows(master.meters)
        regions = {region["region"]: region["zone"] for region in rows(master.regions)}

        assert len({user["user_id"] for user in users}) == USERS
        assert {user["kind"] for user in users} == set(contract.KINDS)
        assert all(regions[user["region"]] == user["zone"] for user in users)
        serving = [meter for meter in meters if meter["removed_at"] is None]
        assert sorted((meter["user_id"], meter["utility"]) for meter in serving) == sorted(
            (user["user_id"], utility) for user in users for utility in UTILITIES
        )
        assert len({meter["meter_id"] for meter in meters}) == len(meters) > len(serving)

    def test_is_the_same_to_the_byte_when_written_again(self, sink, objects, written):
        before = {path: objects(path) for path in COLUMNS}

        for path, table in tables_of_fleet().items():
            sink.put_table(path, table)

        assert {path: objects(path) for path in COLUMNS} == before


class TestRunRecords:
    def test_come_back_as_they_were_oldest_first(self, sink):
        later = dataclasses.replace(RUN, from_ms=RUN.from_ms + 1, to_ms=RUN.from_ms + 9, finished=True)
        earlier = dataclasses.replace(RUN, from_ms=RUN.from_ms - 1_000_000_000_000, counts={})

        for run in (later, RUN, earlier):
            sink.put_run(run)

        assert sink.read_runs() == [earlier, RUN, later]

    def test_of_a_run_that_goes_on_replace_each_other(self, sink):
        finished = dataclasses.replace(RUN, to_ms=RUN.acknowledged_until, finished=True)

        sink.put_run(RUN)
        sink.put_run(finished)

        assert [run for run in sink.read_runs() if run.from_ms == RUN.from_ms] == [finished]
