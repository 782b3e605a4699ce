"""Pipe S3, master data: what the simulator writes, batch reads. Run records come back as they were."""

import dataclasses
import io

import boto3
import pyarrow.parquet as pq
import pytest

from batch import s3_source
from batch.bucket_sink import Bucket
from infra.contracts import master_data as contract
from infra.contracts.utility import UTILITIES
from simulator.counts import Counts
from simulator.faults import Faults
from simulator.ledger import Run
from simulator.master_data import master_tables
from simulator.s3_sink import S3Sink

BUCKET = "master-data"
SEED = 7
USERS = 300
COLUMNS = {
    contract.USERS_PATH: contract.USERS_COLUMNS,
    contract.METERS_PATH: contract.METERS_COLUMNS,
    contract.REGIONS_PATH: contract.REGIONS_COLUMNS,
}
RUN = Run(
    seed=SEED,
    users=USERS,
    from_ms=1_760_000_000_000,
    to_ms=None,
    faults=Faults(late_ppm=1, doubled_ppm=2, lost_ppm=3, malformed_ppm=4),
    acknowledged_until=1_760_000_060_000,
    finished=False,
    counts={str(utility): Counts(60 + utility.code, 50, 4, 3, 2, 1) for utility in UTILITIES},
)


@pytest.fixture(scope="module")
def sink(services):
    settings = services.settings
    sink = S3Sink(
        settings.s3_endpoint, BUCKET, settings.s3_region, settings.s3_access_key, settings.s3_secret_key
    )
    sink.make_bucket()
    return sink


@pytest.fixture(scope="module")
def written(sink):
    """Write the master data of a fleet; return it."""
    tables = master_tables(SEED, USERS)
    for path, table in tables.items():
        sink.put_table(path, table)
    return tables


@pytest.fixture(scope="module")
def bucket(services):
    settings = services.settings
    return Bucket(
        settings.s3_endpoint, settings.s3_region, settings.s3_access_key, settings.s3_secret_key, BUCKET
    )


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


class TestMasterData:
    @pytest.mark.parametrize(
        ("read", "path"),
        [
            pytest.param(s3_source.read_users, contract.USERS_PATH, id="users"),
            pytest.param(s3_source.read_regions, contract.REGIONS_PATH, id="regions"),
        ],
    )
    def test_is_read_as_it_was_written(self, spark, bucket, written, read, path):
        frame = read(spark, bucket)

        assert shape(frame) == COLUMNS[path]
        assert rows(frame) == written[path].to_pylist()

    @pytest.mark.parametrize("path", COLUMNS)
    def test_says_the_contracts_types_by_itself(self, spark, bucket, written, path):
        assert shape(spark.read.parquet(bucket.url(path))) == COLUMNS[path]

    @pytest.mark.parametrize("path", COLUMNS)
    def test_has_nulls_only_where_the_contract_allows_them(self, objects, written, path):
        schema = pq.read_schema(io.BytesIO(objects(path)))

        assert [field.name for field in schema if field.nullable and field.name != "removed_at"] == []

    def test_gives_every_user_a_known_region_and_a_meter_of_each_utility(self, spark, bucket, written):
        users = rows(s3_source.read_users(spark, bucket))
        regions = {region["region"]: region["zone"] for region in rows(s3_source.read_regions(spark, bucket))}
        meters = rows(spark.read.parquet(bucket.url(contract.METERS_PATH)))

        assert len({user["user_id"] for user in users}) == USERS
        assert {user["kind"] for user in users} == set(contract.KINDS)
        assert all(regions[user["region"]] == user["zone"] for user in users)
        assert sorted((meter["user_id"], meter["utility"]) for meter in meters) == sorted(
            (user["user_id"], utility) for user in users for utility in UTILITIES
        )

    def test_is_the_same_to_the_byte_when_written_again(self, sink, objects, written):
        before = {path: objects(path) for path in COLUMNS}

        for path, table in master_tables(SEED, USERS).items():
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
