"""Pipe S3, the archive: what the stream wrote and what a compaction made of it are the same heartbeats.

The stream's files are stood in for by Parquet files as it writes them, in no order; what its own are like is
told by the journeys. DuckDB reads beside Spark, from the server's folder, by the contract's rule alone.
"""

import contextlib
import dataclasses
import datetime
import io
import itertools
import multiprocessing
import os
import pathlib
import signal
import uuid

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch import archived_day, compaction, s3_source
from batch.__main__ import bucket_of
from batch.compaction import CompactionRefused
from batch.mysql_sink import compaction_lock
from batch.night import Night, NightRefused
from infra.contracts import archive
from infra.contracts.archive import Manifest
from infra.contracts.utility import UTILITIES, Utility
from infra.s3.server import client
from simulator.regions import REGIONS
from simulator.registers import hour_use, read_beats
from simulator.tables import schema_of
from simulator.users import meters_of, user_ids
from tests.support.archive import day_files, heartbeats
from tests.support.spark import started

SEED = 7
USERS = 12
BEATS = 720
FILES = 3
WAIT_S_MAX = 300
DOUBLED_PERCENT = 1
BYTES_A_HEARTBEAT_MAX = 4
STAGES = ("sample", "rewrite", "check", "swap")
HOUR = datetime.timedelta(hours=1)
# Each test has a day of its own.
NIGHTS = (Night(datetime.date(2026, 3, 1) + datetime.timedelta(days=n)) for n in itertools.count())
SCHEMA = schema_of(archive.COLUMNS)


class Killed(BaseException):
    """Ends a compaction between two steps, past whatever it would still do."""


@pytest.fixture(scope="module")
def settings(services):
    """Settings with a bucket of its own, which exists."""
    settings = dataclasses.replace(services.settings, s3_bucket=f"archive{uuid.uuid4().hex[:8]}")
    client(settings).create_bucket(Bucket=settings.s3_bucket)
    return settings


@pytest.fixture(scope="module")
def bucket(settings):
    return bucket_of(settings)


@pytest.fixture
def night():
    return next(NIGHTS)


@pytest.fixture
def compact(spark, bucket, database):
    """A function that compacts a night, as of an instant, with a hook at each of its steps."""

    def compact(night, *, now=None, stage=lambda _: contextlib.nullcontext()):
        clock = now_utc if now is None else lambda: now
        with contextlib.closing(compaction_lock(database)) as lock:
            return compaction.compact(
                night, bucket=bucket, lock=lock, start_spark=lambda: spark, stage=stage, clock=clock
            )

    return compact


def now_utc():
    return datetime.datetime.now(datetime.UTC)


def beats(night, utility, hour=9, users=USERS):
    """What a fleet's meters beat in an hour, in no order, some of it twice."""
    meters = meters_of(SEED, utility, user_ids(users))
    slots = np.arange(BEATS)[:, None]
    since = night.start_ms + hour * 3_600_000
    register, rate = read_beats(meters, hour_use(meters, since // 3_600_000), 0, BEATS)
    sent_at = since + slots * 5_000 + meters.phase_ms
    codes = np.array([region.code for region in REGIONS])[meters.region]
    columns = (meters.user_id, sent_at, register, rate, codes)
    flat = [np.broadcast_to(column, sent_at.shape).reshape(-1) for column in columns]
    random = np.random.default_rng(SEED)
    order = random.permutation(sent_at.size)
    order = np.append(order, random.choice(order, sent_at.size * DOUBLED_PERCENT // 100))
    return pa.table([column[order] for column in flat], names=SCHEMA.names).cast(SCHEMA)


def archived(bucket, night, utility, table, files=FILES):
    """Write heartbeats as the stream does, into files of its naming; return them."""
    for part in range(files):
        start, stop = part * len(table) // files, (part + 1) * len(table) // files
        content = io.BytesIO()
        pq.write_table(table.slice(start, stop - start), content, compression="zstd")
        name = f"part-{uuid.uuid4()}-{part}"
        bucket.put(f"{archive.day_path(utility, str(night))}/{name}", content.getvalue())
    return table


def in_order(table):
    typed = table.cast(pa.schema([SCHEMA.field(name) for name in table.schema.names]))
    return typed.sort_by([(name, "ascending") for name in typed.schema.names])


def holds(settings, night, utility, *tables):
    """Whether a reader of a day's files finds exactly these heartbeats, however often each."""
    found = heartbeats(day_files(settings, utility, str(night)))
    return in_order(found).equals(in_order(pa.concat_tables(tables)))


def compacted_files(bucket, night, utility):
    return [one.key for one in bucket.listed(f"{archive.compacted_path(utility, str(night))}/")]


def manifest_of(bucket, night, utility):
    return Manifest.from_json(bucket.content(archive.manifest_path(utility, str(night))))


class TestACompactedDay:
    def test_holds_the_same_heartbeats_for_duckdb_and_for_spark(
        self, spark, settings, bucket, night, compact
    ):
        written = {utility: archived(bucket, night, utility, beats(night, utility)) for utility in UTILITIES}

        done = compact(night)

        assert {one.utility: one.rows for one in done} == {str(u): len(written[u]) for u in UTILITIES}
        for utility in UTILITIES:
            assert holds(settings, night, utility, written[utility])
            read = s3_source.read_day(spark, bucket, [archived_day.find(bucket, utility, str(night))])
            without_region = written[utility].drop_columns(["region"])
            assert in_order(read.drop("utility").toArrow()).equals(in_order(without_region))
            assert read.select("utility").distinct().collect() == [(utility.code,)]

    def test_is_sorted_by_user_and_time_across_its_files(self, settings, bucket, night, compact, monkeypatch):
        monkeypatch.setattr(compaction, "ROWS_A_FILE", 2_000)
        archived(bucket, night, Utility.GAS, beats(night, Utility.GAS))

        compact(night)

        files = day_files(settings, Utility.GAS, str(night))
        rows = heartbeats(files).select(["user_id", "sent_at"]).to_pylist()
        keys = [(row["user_id"], row["sent_at"]) for row in rows]
        assert len(files) == 5
        assert keys == sorted(keys)

    def test_is_typed_delta_encoded_and_small(self, settings, bucket, night, compact):
        for utility in UTILITIES:
            archived(bucket, night, utility, beats(night, utility))

        done = compact(night)

        for one in done:
            assert one.bytes_after <= BYTES_A_HEARTBEAT_MAX * one.rows
            assert one.bytes_after < one.bytes_before
            [file] = day_files(settings, Utility(one.utility), str(night))
            columns = duckdb.sql(f"SELECT path_in_schema, type, encodings FROM parquet_metadata('{file}')")
            assert {name: kind for name, kind, _ in columns.fetchall()} == {
                "user_id": "INT32",
                "sent_at": "INT64",
                "register": "INT64",
                "rate": "INT32",
                "region": "BYTE_ARRAY",
            }
            integers = [how for name, _, how in columns.fetchall() if name != "region"]
            assert all("DELTA_BINARY_PACKED" in how for how in integers)

    def test_stays_as_it_is_without_a_new_object(self, bucket, night, compact):
        archived(bucket, night, Utility.GAS, beats(night, Utility.GAS))
        compact(night)
        before = manifest_of(bucket, night, Utility.GAS), compacted_files(bucket, night, Utility.GAS)

        [again] = compact(night)

        assert before == (
            manifest_of(bucket, night, Utility.GAS),
            compacted_files(bucket, night, Utility.GAS),
        )
        assert (again.seconds, again.bytes_before) == (0, again.bytes_after)

    def test_counts_what_comes_late_and_the_next_merges_it(self, settings, bucket, night, compact):
        first = archived(bucket, night, Utility.WATER, beats(night, Utility.WATER))
        compact(night)
        late = archived(bucket, night, Utility.WATER, beats(night, Utility.WATER, hour=3), files=1)

        assert holds(settings, night, Utility.WATER, first, late)
        [merged] = compact(night)

        assert (merged.rows, merged.objects_before, merged.objects_after) == (len(first) + len(late), 2, 1)
        assert holds(settings, night, Utility.WATER, first, late)
        times = heartbeats(day_files(settings, Utility.WATER, str(night)))["sent_at"].to_numpy()
        assert (np.diff(times) < 0).sum() == USERS - 1

    def test_is_made_of_files_with_wide_user_ids_too(self, settings, bucket, night, compact):
        narrow = archived(bucket, night, Utility.GAS, beats(night, Utility.GAS, hour=1))
        wide = beats(night, Utility.GAS, hour=2)
        archived(bucket, night, Utility.GAS, wide.set_column(0, "user_id", wide["user_id"].cast(pa.int64())))

        compact(night)

        assert holds(settings, night, Utility.GAS, narrow, wide)

    def test_is_what_a_night_reads(self, spark, bucket, night, compact):
        written = archived(bucket, night, Utility.GAS, beats(night, Utility.GAS))
        compact(night)
        late = archived(bucket, night, Utility.GAS, beats(night, Utility.GAS, hour=3), files=1)
        for path in s3_source.MASTER_PATHS:
            bucket.put(path, b"any")

        found = s3_source.look(bucket, night)

        assert len(found.archive_keys) == 2
        read = s3_source.read_day(spark, bucket, found.days)
        assert read.count() == len(written) + len(late)

    def test_is_the_same_to_a_night_until_something_late_comes(self, bucket, night, compact):
        def fingerprint():
            return s3_source.fingerprint(s3_source.archived(bucket, night))

        archived(bucket, night, Utility.GAS, beats(night, Utility.GAS))
        written = fingerprint()
        compact(night)
        compacted = fingerprint()
        archived(bucket, night, Utility.GAS, beats(night, Utility.GAS, hour=3), files=1)
        grown = fingerprint()
        compact(night)
        compaction.remove_outlived([night], bucket, now_utc() + HOUR)

        assert compacted == written != grown == fingerprint()


class TestWhatIsSuperseded:
    def test_stays_for_an_hour_and_then_goes(self, settings, bucket, night, compact):
        written = archived(bucket, night, Utility.GAS, beats(night, Utility.GAS))
        compact(night)
        read_before = day_files(settings, Utility.GAS, str(night))
        late = archived(bucket, night, Utility.GAS, beats(night, Utility.GAS, hour=3), files=1)
        compact(night)

        assert compaction.remove_outlived([night], bucket, now_utc()) == 0
        assert in_order(heartbeats(read_before)).equals(in_order(written))

        assert compaction.remove_outlived([night], bucket, now_utc() + HOUR) == FILES + 2
        assert holds(settings, night, Utility.GAS, written, late)
        assert set(compacted_files(bucket, night, Utility.GAS)) == set(
            manifest_of(bucket, night, Utility.GAS).files
        )
        assert [key.rpartition("/")[2] for key in _raw(bucket, night)] == [archive.MANIFEST_NAME]

    def test_stays_if_the_compacted_file_is_gone(self, bucket, night, compact):
        archived(bucket, night, Utility.GAS, beats(night, Utility.GAS))
        compact(night)
        [file] = manifest_of(bucket, night, Utility.GAS).files
        bucket.delete([file])

        with pytest.raises(NightRefused, match=f"{file} is not there with the "):
            compaction.remove_outlived([night], bucket, now_utc() + HOUR)

        assert len(_raw(bucket, night)) == FILES + 1


class TestACompactionThatIsKilled:
    @pytest.mark.parametrize(
        ("step", "moment"), [*((step, "enter") for step in STAGES), (STAGES[-1], "leave")]
    )
    def test_leaves_the_day_whole_and_the_next_one_completes_it(
        self, settings, bucket, night, compact, step, moment
    ):
        written = archived(bucket, night, Utility.GAS, beats(night, Utility.GAS))
        compact(night)
        late = archived(bucket, night, Utility.GAS, beats(night, Utility.GAS, hour=3), files=1)

        @contextlib.contextmanager
        def killed(name):
            if (name, moment) == (step, "enter"):
                raise Killed
            yield
            if (name, moment) == (step, "leave"):
                raise Killed

        with pytest.raises(Killed):
            compact(night, stage=killed)
        assert holds(settings, night, Utility.GAS, written, late)

        compact(night)
        assert holds(settings, night, Utility.GAS, written, late)
        compaction.remove_outlived([night], bucket, now_utc() + HOUR)
        assert holds(settings, night, Utility.GAS, written, late)
        assert compacted_files(bucket, night, Utility.GAS) == list(
            manifest_of(bucket, night, Utility.GAS).files
        )

    def test_by_the_system_before_its_swap_leaves_the_day_whole(
        self, settings, bucket, database, night, compact, tmp_path
    ):
        written = archived(bucket, night, Utility.GAS, beats(night, Utility.GAS))
        process = multiprocessing.get_context("spawn").Process(
            target=compact_until_killed,
            args=(settings, dataclasses.replace(bucket), database, night, tmp_path),
        )
        process.start()
        try:
            process.join(timeout=WAIT_S_MAX)
            ended = process.exitcode
        finally:
            process.kill()

        assert ended == -signal.SIGKILL
        assert len(compacted_files(bucket, night, Utility.GAS)) == 1
        assert holds(settings, night, Utility.GAS, written)
        compact(night)
        assert holds(settings, night, Utility.GAS, written)


class TestACompactionThatFails:
    def test_because_a_register_differs_by_one_swaps_nothing(self, settings, bucket, night, compact):
        written = archived(bucket, night, Utility.GAS, beats(night, Utility.GAS))

        with pytest.raises(CompactionRefused) as refused:
            compact(night, stage=spoiling(bucket, night))

        assert str(refused.value).startswith(
            f"gas of {night} as compacted differs from its archive: register "
        )
        assert "\n" not in str(refused.value)
        assert bucket.content(archive.manifest_path(Utility.GAS, str(night))) is None
        assert holds(settings, night, Utility.GAS, written)

    def test_because_a_file_is_no_parquet_names_it(self, settings, bucket, night, compact):
        key = f"{archive.day_path(Utility.GAS, str(night))}/part-garbled"
        bucket.put(key, b"no heartbeat at all")

        with pytest.raises(CompactionRefused, match=f"gas of {night} is not compacted: object .*{key}"):
            compact(night)

    def test_because_another_is_under_way_says_so(self, database, bucket, night, compact):
        with (
            contextlib.closing(compaction_lock(database)),
            pytest.raises(NightRefused, match="another compaction is under way"),
        ):
            compact(night)

    def test_because_its_right_was_lost_swaps_nothing(self, settings, bucket, database, night, spark):
        written = archived(bucket, night, Utility.GAS, beats(night, Utility.GAS))
        lock = compaction_lock(database)
        lock.close()

        with pytest.raises(NightRefused):
            compaction.compact(
                night,
                bucket=bucket,
                lock=lock,
                start_spark=lambda: spark,
                stage=lambda _: contextlib.nullcontext(),
                clock=now_utc,
            )

        assert bucket.content(archive.manifest_path(Utility.GAS, str(night))) is None
        assert holds(settings, night, Utility.GAS, written)

    def test_because_its_manifest_is_unreadable_names_it(self, bucket, night, compact):
        key = archive.manifest_path(Utility.GAS, str(night))
        archived(bucket, night, Utility.GAS, beats(night, Utility.GAS))
        bucket.put(key, b'{"version": 2}')

        with pytest.raises(NightRefused, match=f"manifest s3://.*/{key} cannot be read: its version is 2"):
            compact(night)


def _raw(bucket, night):
    return [one.key for one in bucket.listed(f"{archive.day_path(Utility.GAS, str(night))}/")]


def spoiling(bucket, night):
    """A hook that raises one register by one between writing and checking."""

    @contextlib.contextmanager
    def stage(name):
        if name == "check":
            [key] = compacted_files(bucket, night, Utility.GAS)
            table = pq.read_table(io.BytesIO(bucket.content(key)))
            registers = table["register"].to_numpy().copy()
            registers[5] += 1
            content = io.BytesIO()
            pq.write_table(table.set_column(2, "register", pa.array(registers)), content)
            bucket.put(key, content.getvalue())
        yield

    return stage


def compact_until_killed(settings, bucket, database, night, scratch):
    """Compact in a process of its own, which ends itself by SIGKILL when about to swap."""

    @contextlib.contextmanager
    def stage(name):
        if name == "swap":
            os.kill(os.getpid(), signal.SIGKILL)
        yield

    spark = started(
        pathlib.Path(scratch),
        jars=settings.jars / "spark",
        s3_endpoint=settings.s3_endpoint,
        s3_region=settings.s3_region,
        s3_access_key=settings.s3_access_key,
        s3_secret_key=settings.s3_secret_key,
    )
    compaction.compact(
        night,
        bucket=bucket,
        lock=compaction_lock(database),
        start_spark=lambda: spark,
        stage=stage,
        clock=now_utc,
    )
