"""What cannot be believed is refused in one line that names it, and nothing is published."""

import datetime
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch.night import Night
from infra.contracts import archive, master_data
from infra.contracts.heartbeat import USER_ID_MIN
from infra.contracts.utility import Utility
from simulator.master_data import master_tables
from tests.support.nights import SCHEMA, TABLES, Stores, beats, whole_day

NIGHT = Night(datetime.date(2026, 3, 31))
USERS = range(USER_ID_MIN, USER_ID_MIN + 3)
MASTER = master_tables(7, len(USERS))
GAS_FOLDER = archive.day_path(Utility.GAS, str(NIGHT))
READS_PATH = master_data.reads_path(str(NIGHT))
PATHS = [*MASTER, READS_PATH]
# What a column of a type becomes when somebody wrote it as another.
RETYPED = {"int64": pa.string(), "int32": pa.string(), "string": pa.int64(), "date32[day]": pa.string()}


@pytest.fixture(scope="module")
def sound(stores_of) -> Stores:
    """A night that could be published, and never is: each test takes one thing away, and puts it back."""
    stores = stores_of(MASTER)
    whole_day(stores, NIGHT, NIGHT, USERS)
    reads = {"user_id": [], "utility": [], "register": []}
    types = [("user_id", pa.int64()), ("utility", pa.string()), ("register", pa.int64())]
    stores.put(READS_PATH, pa.table(reads, pa.schema(types)))
    return stores


@pytest.fixture
def stores(sound):
    before = {one.key: sound.bucket.content(one.key) for one in sound.bucket.listed("")}
    yield sound
    now = {one.key: one.bytes for one in sound.bucket.listed("")}
    sound.bucket.delete(set(now) - set(before))
    for key, content in before.items():
        if now.get(key) != len(content) or sound.bucket.content(key) != content:
            sound.bucket.put(key, content)


def refused(stores, *options):
    """Run the night, which must be refused; return why. Nothing is published then, and nothing handed on."""
    done = stores.batch("run", "--night", str(NIGHT), *options)

    assert all(rows == [] for rows in stores.everything().values())
    assert [one.key for one in stores.bucket.listed("curated/")] == []
    return done.refusal


def key_of(stores, utility=Utility.GAS):
    [one] = stores.bucket.listed(f"{archive.day_path(utility, str(NIGHT))}/")
    return one.key


def changed(stores, path, change):
    """Change an object's rows, a list of dicts; columns and types stay."""
    table = pq.read_table(io.BytesIO(stores.bucket.content(path)))
    stores.put(path, pa.Table.from_pylist(change(table.to_pylist()), table.schema))


def row(table, **wanted):
    """The first row of a table of master data that has these values, and its number."""
    rows = enumerate(MASTER[table].to_pylist())
    return next((number, row) for number, row in rows if wanted.items() <= row.items())


class TestADay:
    def test_that_is_missing(self, stores):
        stores.bucket.delete([one.key for one in stores.bucket.listed("raw/")])

        assert refused(stores) == (
            f"no archive for night {NIGHT}: nothing under s3a://{stores.settings.s3_bucket}/raw/utility=*/"
            f"day={NIGHT}/"
        )

    def test_that_is_half_written(self, stores):
        stores.bucket.delete([key_of(stores)])
        stores.archive(NIGHT, Utility.GAS, *(beats(NIGHT, NIGHT, user_id, range(12)) for user_id in USERS))

        assert refused(stores) == (
            f"the archive of night {NIGHT} is not whole: of gas heartbeats the newest is of "
            f"{NIGHT}T11:59:56Z; wait for the stream (`meterbeat stream status`), or publish all the same "
            "with --partial"
        )

    def test_of_which_a_utility_is_missing(self, stores):
        stores.bucket.delete([key_of(stores, Utility.WATER)])

        assert f"the archive of night {NIGHT} is not whole: of water heartbeats there is none" in refused(
            stores
        )

    def test_without_anybody_that_master_data_know(self, stores):
        changed(stores, master_data.USERS_PATH, lambda rows: [])

        assert refused(stores) == (
            f"the archive of night {NIGHT} holds no heartbeat of a user in master data"
        )


class TestAnArchivesObject:
    @pytest.mark.parametrize("column", [name for name in SCHEMA.names if name != "region"])
    def test_without_a_column(self, stores, column):
        key = key_of(stores)
        table = pq.read_table(io.BytesIO(stores.bucket.content(key)))
        stores.put(key, table.drop_columns([column]))

        assert refused(stores) == (
            f"archive object s3a://{stores.settings.s3_bucket}/{key} cannot be read: it holds heartbeats "
            f"without user_id, rate or register, or not sent on {NIGHT}"
        )

    @pytest.mark.parametrize("column", [name for name in SCHEMA.names if name != "region"])
    def test_with_a_column_of_another_type(self, stores, column):
        key = key_of(stores)
        table = pq.read_table(io.BytesIO(stores.bucket.content(key)))
        place = SCHEMA.names.index(column)
        stores.put(key, table.set_column(place, column, table[column].cast(pa.string())))

        assert f"object s3a://{stores.settings.s3_bucket}/{key} cannot be read: " in refused(stores)

    def test_that_is_empty(self, stores):
        key = key_of(stores)
        stores.bucket.put(key, b"")

        assert refused(stores) == (
            f"object s3://{stores.settings.s3_bucket}/{key} cannot be read: it is empty"
        )

    @pytest.mark.parametrize("kept", [0.5, 0.999], ids=["half", "almost-all"])
    def test_that_is_truncated(self, stores, kept):
        key = key_of(stores)
        content = stores.bucket.content(key)
        stores.bucket.put(key, content[: int(len(content) * kept)])

        assert f"object s3a://{stores.settings.s3_bucket}/{key} cannot be read: " in refused(stores)

    def test_of_another_day(self, stores):
        key = f"{GAS_FOLDER}/part-of-yesterday"
        stores.put(key, beats(NIGHT, NIGHT.previous, USERS[0], range(1), extra=BEATS_IN_A_DAY))

        assert refused(stores) == (
            f"archive object s3a://{stores.settings.s3_bucket}/{key} cannot be read: it holds heartbeats "
            f"without user_id, rate or register, or not sent on {NIGHT}"
        )


class TestMasterData:
    @pytest.mark.parametrize("path", MASTER)
    def test_that_are_missing(self, stores, path):
        stores.bucket.delete([path])

        assert refused(stores) == f"no master data: s3://{stores.settings.s3_bucket}/{path} is missing"

    @pytest.mark.parametrize("path", MASTER)
    def test_that_are_empty(self, stores, path):
        stores.bucket.put(path, b"")

        assert refused(stores) == (
            f"object s3://{stores.settings.s3_bucket}/{path} cannot be read: it is empty"
        )

    @pytest.mark.parametrize("path", PATHS)
    def test_that_are_truncated(self, stores, path):
        content = stores.bucket.content(path)
        stores.bucket.put(path, content[: len(content) // 2])

        said = refused(stores)
        assert f"://{stores.settings.s3_bucket}/{path} cannot be read: " in said

    @pytest.mark.parametrize("path", PATHS)
    def test_without_a_column(self, stores, path):
        table = pq.read_table(io.BytesIO(stores.bucket.content(path)))
        for column in table.column_names:
            stores.put(path, table.drop_columns([column]))
            said = refused(stores)
            assert path in said, said
            assert f"has no column {column}" in said

    @pytest.mark.parametrize("path", PATHS)
    def test_with_a_column_of_another_type(self, stores, path):
        table = pq.read_table(io.BytesIO(stores.bucket.content(path)))
        for place, field in enumerate(table.schema):
            other = pa.nulls(len(table), RETYPED[str(field.type)])
            stores.put(path, table.set_column(place, field.name, other))
            said = refused(stores)
            assert path in said, said
            assert f"column {field.name} is " in said

    @pytest.mark.parametrize("path", [path for path in MASTER if path != master_data.TARIFFS_PATH])
    def test_that_lack_a_value(self, stores, path):
        table = MASTER[path].to_pylist()
        column = "zone" if "zone" in table[0] else "utility"
        loose = pa.schema([field.with_nullable(True) for field in MASTER[path].schema])
        stores.put(path, pa.Table.from_pylist([table[0] | {column: None}, *table[1:]], loose))

        assert f"{path} has rows that lack a value or are of an unknown kind or utility: " in refused(stores)

    @pytest.mark.parametrize(
        ("path", "change", "named"),
        [
            (master_data.USERS_PATH, {"zone": "America/New_York"}, "user_id 10000000"),
            (master_data.REGIONS_PATH, {"name": "Seward's Folly"}, "region US-AK"),
            (master_data.METERS_PATH, {"register_max": 9_999}, "meter_id E-10000000"),
            (
                master_data.AGREEMENTS_PATH,
                {"plan": "business"},
                "user_id and utility and moved_in_on 10000000 electricity 2024-01-01",
            ),
        ],
        ids=["users", "regions", "meters", "agreements"],
    )
    def test_that_say_two_things_of_one(self, stores, path, change, named):
        changed(stores, path, lambda rows: [*rows, rows[0] | change])

        assert refused(stores) == f"{path} has rows that contradict each other for {named}"

    def test_with_a_user_of_an_unknown_region(self, stores):
        changed(stores, master_data.USERS_PATH, lambda rows: [rows[0] | {"region": "US-ZZ"}, *rows[1:]])

        said = refused(stores)
        assert said.startswith("conservation fails (electricity: users ")
        assert said.endswith(f"; users {USERS[0]}; {master_data.REGIONS_PATH} does not know US-ZZ")

    def test_with_a_user_of_an_unknown_zone(self, stores):
        changed(stores, master_data.USERS_PATH, lambda rows: [rows[0] | {"zone": "Mars/Olympus"}, *rows[1:]])

        assert "Mars/Olympus" in refused(stores)

    def test_with_an_agreement_by_an_unknown_plan(self, stores):
        changed(stores, master_data.AGREEMENTS_PATH, lambda rows: [rows[0] | {"plan": "castle"}, *rows[1:]])

        assert refused(stores) == (
            f"{master_data.AGREEMENTS_PATH} has agreements by plan 'castle' for electricity, "
            f"which {master_data.TARIFFS_PATH} does not price"
        )

    def test_with_agreements_that_overlap(self, stores):
        moved_in = datetime.date(2026, 3, 1)
        changed(
            stores, master_data.AGREEMENTS_PATH, lambda rows: [*rows, rows[0] | {"moved_in_on": moved_in}]
        )

        assert refused(stores) == (
            f"{master_data.AGREEMENTS_PATH} has agreements that overlap: "
            f"user {USERS[0]} for electricity from 2024-01-01 and from 2026-03-01"
        )


class TestTariffs:
    def test_that_overlap(self, stores):
        number, flat = row(master_data.TARIFFS_PATH, plan="home", utility="gas", component="energy")
        again = flat | {"valid_from": datetime.date(2026, 3, 1), "valid_until": None, "price_micro": 1}
        changed(stores, master_data.TARIFFS_PATH, lambda rows: [*rows, again])

        last = MASTER[master_data.TARIFFS_PATH].num_rows
        assert refused(stores) == (
            f"s3://{stores.settings.s3_bucket}/{master_data.TARIFFS_PATH}, rows {number}, {last}: overlap in "
            "plan home (gas) from 2026-03-01, workday, tier from 0 (the first row is 0)"
        )

    def test_with_a_gap(self, stores):
        number, peak = row(master_data.TARIFFS_PATH, plan="home", label="peak")
        changed(
            stores,
            master_data.TARIFFS_PATH,
            lambda rows: [one | ({"hour_to": 19} if at == number else {}) for at, one in enumerate(rows)],
        )

        said = refused(stores)
        assert said.startswith(f"s3://{stores.settings.s3_bucket}/{master_data.TARIFFS_PATH}, rows ")
        assert f"gap in plan home (electricity) from {peak['valid_from']}, workday, hour 19, tier from 0" in (
            said
        )

    def test_that_say_nothing_of_the_day(self, stores):
        changed(
            stores,
            master_data.TARIFFS_PATH,
            lambda rows: [
                one for one in rows if one["valid_from"].year > 2025 and one["valid_from"].month > 3
            ],
        )

        assert "has no prices on 2026-03-3" in refused(stores)


class TestWhatIsNoFault:
    def test_is_a_row_said_twice_the_same(self, stores_of):
        twice = {
            path: pa.concat_tables([table, table])
            for path, table in MASTER.items()
            if path != master_data.TARIFFS_PATH
        }
        once, doubled = stores_of(MASTER), stores_of(MASTER | twice)
        for stores in (once, doubled):
            whole_day(stores, NIGHT, NIGHT, USERS)
            stores.ask("run", "--night", str(NIGHT), "--no-compact")

        without_instants = [
            {table: stores.rows(f"SELECT * FROM {table}") for table in TABLES[2:]}
            for stores in (once, doubled)
        ]
        for tables in without_instants:
            for rows in tables.values():
                for one in rows:
                    one.pop("known_from", None)
        assert without_instants[0] == without_instants[1]
        assert len(without_instants[0]["usage_days"]) == 9

    def test_is_a_user_who_moved_in_in_mid_month(self, stores_of):
        """Before that the place was vacant: its usage is metered, and nobody pays for it."""
        moved_in = datetime.date(2026, 3, 31)
        agreements = [
            one | {"moved_in_on": moved_in} if one["user_id"] == USERS[0] else one
            for one in MASTER[master_data.AGREEMENTS_PATH].to_pylist()
        ]
        table = pa.Table.from_pylist(agreements, MASTER[master_data.AGREEMENTS_PATH].schema)
        stores = stores_of(MASTER | {master_data.AGREEMENTS_PATH: table})
        whole_day(stores, NIGHT, NIGHT, USERS)

        stores.ask("run", "--night", str(NIGHT), "--no-compact")

        found = {
            one["user_id"]: one
            for one in stores.rows("SELECT * FROM usage_days WHERE utility = 'gas' ORDER BY user_id")
        }
        mover, neighbour = found[USERS[0]], found[USERS[1]]
        # In Chicago the day of the move begins at 5 h UTC; a litre of gas is 46,500 micro-cents at any hour.
        paid = 19 * 720
        assert mover["usage_total"] == neighbour["usage_total"] == 24 * 720 - 1
        assert (mover["cost"], mover["month_cost"], mover["month_usage"]) == (
            paid * 46_500,
            paid * 46_500,
            paid,
        )
        assert neighbour["cost"] == (24 * 720 - 1) * 46_500


BEATS_IN_A_DAY = 17_280
