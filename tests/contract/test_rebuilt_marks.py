"""Redis loses a day of live state: what the archive gives back equals it to the byte, while folding."""

import datetime
import io
import threading

import botocore.config
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

from infra.contracts import archive
from infra.contracts.durations import HOUR_MS
from infra.contracts.live_state import decode_live_state, live_key
from infra.contracts.utility import UTILITIES, Utility
from infra.process import ServiceError
from infra.s3 import server
from stream.archive_source import ArchiveSource
from stream.fold import PACKED, fold
from stream.rebuild import REACH_MS, Rebuild, default_since_ms, run
from stream.redis_sink import RedisSink, Sentinel

pytestmark = [pytest.mark.soak, pytest.mark.usefixtures("no_stream")]

BUCKET = "rebuilt"
START = 490_000 * HOUR_MS
HOURS = 24
BEAT_MS = 15_000
WINDOW_MS = 300_000
FILE_MS = HOUR_MS
FIRST_USER = 10_000_001
STEADY_USERS = 200
# Users who were silent just when the quick pass looks.
SILENT_AT_AN_HOURS_END, BEGUN_LATE, GONE_SILENT, EXCHANGED_WHILE_SILENT = range(
    FIRST_USER + STEADY_USERS, FIRST_USER + STEADY_USERS + 4
)
ODD_USERS = {SILENT_AT_AN_HOURS_END, BEGUN_LATE, GONE_SILENT, EXCHANGED_WHILE_SILENT}
LOST_AT = START + 22 * HOUR_MS + 40_000
END = START + HOURS * HOUR_MS


def tag_of(utility: Utility) -> int:
    return int.from_bytes(b"US-CA\0", "big") << 2 | utility.code


def heartbeats_of(utility: Utility, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """PACKED heartbeats of a day and when each arrived: 1 % lost, 1 % late by minutes, 1 % doubled."""
    users = np.arange(FIRST_USER, FIRST_USER + STEADY_USERS + len(ODD_USERS))
    beats = np.arange(START, END, BEAT_MS)
    beat = np.zeros((len(users), len(beats)), PACKED)
    beat["tag"], beat["user_id"] = tag_of(utility), users[:, np.newaxis]
    beat["sent_at"] = beats + rng.integers(0, BEAT_MS, len(users))[:, np.newaxis]
    began = rng.integers(0, 2**40, len(users))[:, np.newaxis]
    began[::5] += 2**32 - began[::5] % 2**32 - 5_000  # the low 32 bits of these wrap within the day
    beat["register"] = began + np.cumsum(rng.integers(0, 40, beat.shape), axis=1)
    beat["rate"] = rng.integers(0, 5_000, beat.shape)
    exchanged = beat["sent_at"] >= START + 9 * HOUR_MS + 1_000_000
    beat["register"][EXCHANGED_WHILE_SILENT - FIRST_USER] -= np.where(
        exchanged, beat["register"] - beats // BEAT_MS, 0
    )[EXCHANGED_WHILE_SILENT - FIRST_USER]
    flat = beat.reshape(-1)
    flat = flat[(rng.random(len(flat)) >= 0.01) & ~silent(flat)]
    flat = np.concatenate([flat, flat[rng.random(len(flat)) < 0.01]])
    delay = np.where(rng.random(len(flat)) < 0.01, rng.integers(20_000, 600_000, len(flat)), 0)
    return flat, flat["sent_at"] + delay


def silent(beat: np.ndarray) -> np.ndarray:
    at, user = beat["sent_at"] - START, beat["user_id"]
    late_in_the_hour = at % HOUR_MS > HOUR_MS - 300_000
    return (
        ((user == SILENT_AT_AN_HOURS_END) & (at // HOUR_MS == 5) & late_in_the_hour)
        | ((user == BEGUN_LATE) & (at < 7 * HOUR_MS + 777_000))
        | ((user == GONE_SILENT) & (at > 11 * HOUR_MS + 1_111_000))
        | ((user == EXCHANGED_WHILE_SILENT) & (at // HOUR_MS == 9) & late_in_the_hour)
    )


@pytest.fixture(scope="module")
def day():
    """All heartbeats of a day and their arrival, in order of arrival."""
    rng = np.random.default_rng(20)
    parts = [heartbeats_of(utility, rng) for utility in UTILITIES]
    beats, arrived = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(arrived, kind="stable")
    return beats[order], arrived[order]


@pytest.fixture(scope="module")
def archived(services, day):
    """The archive of all that arrived before the loss, on the real S3 server."""
    beats, arrived = day
    client = s3(services.settings)
    client.create_bucket(Bucket=BUCKET)
    for utility in UTILITIES:
        for begin in range(START, LOST_AT, FILE_MS):
            until = min(begin + FILE_MS, LOST_AT)
            chosen = (arrived >= begin) & (arrived < until) & (beats["tag"] & 3 == utility.code)
            put(client, utility, beats[chosen], f"part-{begin}")
    return source(services.settings)


def s3(settings):
    return server.client(settings, botocore.config.Config(s3={"addressing_style": "path"}))


def put(client, utility: Utility, beats: np.ndarray, name: str, user_type=pa.int32) -> None:
    """Archive heartbeats by UTC day, in row groups smaller than a file."""
    for day in np.unique(beats["sent_at"] // (24 * HOUR_MS)):
        of_day = beats[beats["sent_at"] // (24 * HOUR_MS) == day]
        table = pa.table(
            {
                "user_id": pa.array(of_day["user_id"], user_type()),
                "sent_at": pa.array(of_day["sent_at"]),
                "register": pa.array(of_day["register"]),
                "rate": pa.array(of_day["rate"], pa.int32()),
                "region": pa.array(["US-CA"] * len(of_day)),
            }
        )
        body = io.BytesIO()
        # As the archive job writes them: numbers by their differences, a region in either of two ways.
        encodings = dict.fromkeys(("user_id", "sent_at", "register", "rate"), "DELTA_BINARY_PACKED")
        regions = {} if utility is Utility.GAS else {"region": "DELTA_BYTE_ARRAY"}
        pq.write_table(
            table,
            body,
            compression="zstd",
            row_group_size=20_000,
            use_dictionary=["region"] if utility is Utility.GAS else False,
            column_encoding=encodings | regions,
        )
        date = datetime.datetime.fromtimestamp(int(day) * 86_400, datetime.UTC).date().isoformat()
        client.put_object(
            Bucket=BUCKET, Key=f"{archive.day_path(utility, date)}/{name}", Body=body.getvalue()
        )


def source(settings, endpoint=None):
    return ArchiveSource.on_s3(
        endpoint or settings.s3_endpoint,
        settings.s3_region,
        settings.s3_access_key,
        settings.s3_secret_key,
        BUCKET,
    )


@pytest.fixture
def store(services):
    client = redis.Redis.from_url(services.settings.redis_url)
    client.flushall()
    return client


def fold_from(settings, day, begin: int) -> None:
    """Write what arrived from an instant on, window by window, as the stream does: late ones one by one."""
    sink = RedisSink(settings.redis_url, epoch=1)
    beats, arrived = day
    ends = np.arange(begin, int(arrived[-1]) + WINDOW_MS, WINDOW_MS)
    windows = np.split(beats, np.searchsorted(arrived, ends))[1:]
    for window_begin, window in zip(ends, windows, strict=True):
        late = window["sent_at"] < window_begin
        for part, singly in ((window[~late], False), (window[late], True)):
            if len(part):
                sink.write_live(fold(part, singly=singly))


def silent_at_an_hours_end(day) -> set[int]:
    """Users of whom nothing is archived in what the quick pass reads of an hour; it is inexact for those."""
    beats, arrived = day
    beats = beats[(arrived < LOST_AT) & (beats["sent_at"] < LOST_AT - LOST_AT % HOUR_MS)]
    near_end = beats[beats["sent_at"] % HOUR_MS >= HOUR_MS - REACH_MS]
    meters = np.unique(near_end["user_id"].astype(np.int64) * 4 + (near_end["tag"] & 3))
    hours = np.zeros((len(meters), HOURS), np.bool_)
    meter = np.searchsorted(meters, near_end["user_id"].astype(np.int64) * 4 + (near_end["tag"] & 3))
    hours[meter, (near_end["sent_at"] - START) // HOUR_MS] = True
    whole = hours[:, : (LOST_AT - START) // HOUR_MS].all(axis=1)
    return set((meters[~whole] // 4).tolist())


def everything(store) -> dict[bytes, dict[bytes, bytes]]:
    return {key: store.hgetall(key) for key in store.scan_iter("live:*")}


@pytest.fixture(scope="module")
def unharmed(services, day):
    """What Redis holds at the day's end if it loses nothing."""
    client = redis.Redis.from_url(services.settings.redis_url)
    client.flushall()
    fold_from(services.settings, day, START)
    return everything(client)


def rebuild(settings, archived, now_ms: int = LOST_AT) -> Rebuild:
    sink = RedisSink(settings.redis_url, epoch=1)
    return Rebuild(archived, sink, lambda told: None, START, now_ms)


def differing(found, expected) -> set[int]:
    keys = {int(key.partition(b":")[2]) for key in expected if found.get(key) != expected[key]}
    return keys | {int(key.partition(b":")[2]) for key in found.keys() - expected.keys()}


class TestRedisLost:
    def test_the_quick_pass_gives_steady_meters_back_to_the_byte(
        self, services, store, day, archived, unharmed
    ):
        rebuild(services.settings, archived).quick(near_only=False)
        fold_from(services.settings, day, LOST_AT)

        found = differing(everything(store), unharmed)

        assert found <= silent_at_an_hours_end(day)
        assert found >= ODD_USERS - {GONE_SILENT}

    def test_the_thorough_pass_gives_every_meter_back_to_the_byte(
        self, services, store, day, archived, unharmed
    ):
        rebuild(services.settings, archived).thorough()
        fold_from(services.settings, day, LOST_AT)

        assert differing(everything(store), unharmed) == set()

    def test_the_thorough_pass_after_the_quick_one_mends_all_but_a_register_that_fell(
        self, services, store, day, archived, unharmed
    ):
        rebuild(services.settings, archived).quick(near_only=False)
        rebuild(services.settings, archived).thorough()
        fold_from(services.settings, day, LOST_AT)

        assert differing(everything(store), unharmed) == {EXCHANGED_WHILE_SILENT}

    def test_while_the_fold_writes_on_over_the_turn_of_an_hour(
        self, services, store, day, archived, unharmed
    ):
        folding = threading.Thread(target=fold_from, args=(services.settings, day, LOST_AT))
        folding.start()
        rebuild(services.settings, archived, END).quick(near_only=False)
        folding.join()

        assert differing(everything(store), unharmed) <= silent_at_an_hours_end(day)

    def test_after_the_fold_has_gone_on_for_an_hour(self, services, store, day, archived, unharmed):
        fold_from(services.settings, day, LOST_AT)
        rebuild(services.settings, archived, END).quick(near_only=False)

        assert differing(everything(store), unharmed) <= silent_at_an_hours_end(day)

    def test_of_what_was_never_lost_changes_nothing(self, services, store, day, archived, unharmed):
        fold_from(services.settings, day, START)

        rebuild(services.settings, archived, END).quick(near_only=False)
        rebuild(services.settings, archived, END).thorough()

        assert differing(everything(store), unharmed) == set()

    def test_what_the_archive_gets_later_is_taken_too(self, services, store, archived):
        """The fold's newest heartbeats before the loss are archived only after it."""
        user = FIRST_USER + 50_000
        beats = np.zeros(1, PACKED)
        beats["user_id"], beats["tag"] = user, tag_of(Utility.WATER)
        beats["sent_at"], beats["register"] = LOST_AT - 41_000, 4_711
        client, waited = s3(services.settings), []

        def caught_up() -> bool:
            put(client, Utility.WATER, beats, "part-late", user_type=pa.int64)
            waited.append(1)
            return len(waited) > 1

        report = run(
            rebuild(services.settings, archived),
            Sentinel(services.settings.redis_url),
            caught_up,
            thorough=False,
        )
        for page in client.list_objects_v2(Bucket=BUCKET)["Contents"]:
            if page["Key"].endswith("part-late"):
                client.delete_object(Bucket=BUCKET, Key=page["Key"])

        state = decode_live_state(store.hgetall(live_key(user)))
        assert state.meters[Utility.WATER].register == 4_711
        assert report.whole

    def test_a_store_that_is_away_is_told_in_one_line(self, services, store):
        away = source(services.settings, "http://127.0.0.1:1")

        with pytest.raises(ServiceError, match="meterbeat up"):
            rebuild(services.settings, away).quick(near_only=False)


class TestDefaultRange:
    def test_begins_yesterday_until_batch_has_compacted_that_day_and_then_today(self, services, archived):
        client = s3(services.settings)
        now = datetime.datetime(2031, 5, 20, 7, tzinfo=datetime.UTC)
        now_ms, yesterday = int(now.timestamp() * 1000), "2031-05-19"
        before = default_since_ms(archived, now_ms)
        manifest = archive.Manifest("1", now, 0, {}, frozenset())
        keys = [archive.manifest_path(utility, yesterday) for utility in UTILITIES]
        for key in keys:
            client.put_object(Bucket=BUCKET, Key=key, Body=manifest.to_json().encode())

        after = default_since_ms(archived, now_ms)
        for key in keys:
            client.delete_object(Bucket=BUCKET, Key=key)

        assert [(now_ms - since_ms) // HOUR_MS for since_ms in (before, after)] == [31, 7]

    def test_what_a_compaction_merged_is_read_from_its_files_only(self, services, archived):
        client, day = s3(services.settings), "2031-05-19"
        raw = [f"{archive.day_path(Utility.GAS, day)}/part-{index}" for index in range(3)]
        merged = f"{archive.compacted_path(Utility.GAS, day)}/1/part-0.parquet"
        manifest = archive.Manifest(
            "1", datetime.datetime(2031, 5, 20, tzinfo=datetime.UTC), 1, {merged: 1}, frozenset(raw[:2])
        )
        keys = [*raw, archive.manifest_path(Utility.GAS, day)]
        for key, body in zip(keys, [b"PAR1"] * 3 + [manifest.to_json().encode()], strict=True):
            client.put_object(Bucket=BUCKET, Key=key, Body=body)

        files = archived.list_files(Utility.GAS, datetime.date(2031, 5, 19))
        for key in keys:
            client.delete_object(Bucket=BUCKET, Key=key)

        assert [(file.path, file.written_ms > 0) for file in files] == [(raw[2], True), (merged, False)]


class TestSentinel:
    def test_is_intact_only_after_a_rebuild_ended(self, services, store):
        sentinel = Sentinel(services.settings.redis_url)
        before = sentinel.intact()

        run_id = sentinel.begin()
        meanwhile = sentinel.intact()
        ended = sentinel.finish(run_id)

        assert (before, meanwhile, ended, sentinel.intact()) == (False, False, True, True)

    def test_data_lost_during_the_rebuild_is_noticed(self, services, store):
        sentinel = Sentinel(services.settings.redis_url)
        run_id = sentinel.begin()

        store.flushall()

        assert not sentinel.finish(run_id)
        assert not sentinel.intact()

    def test_a_server_started_again_is_not_intact(self, services, store):
        sentinel = Sentinel(services.settings.redis_url)
        sentinel.begin()

        assert not sentinel.finish("the run id of another start")
