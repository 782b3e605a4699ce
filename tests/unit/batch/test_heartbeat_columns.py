"""What a compaction makes of heartbeats, column by column."""

import datetime
import io
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch import heartbeat_columns
from batch.heartbeat_columns import INTEGERS, SCHEMA
from batch.night import Night
from infra.contracts import archive

NIGHT = Night(datetime.date(2026, 3, 29))
HOME, OTHER = 10_000_000, 99_999_999
NOON = NIGHT.start_ms + 43_200_000
LAST = NIGHT.end_ms - 1
BEATS = [(HOME, NOON, 5, 0, "US-CA"), (OTHER, LAST, 2**48 - 1, 2**31 - 1, "US-NY")]
ODD = [(None, None, 1, 1, None), (HOME, NIGHT.end_ms + 1, None, 1, "US-CA"), (HOME, 0, -1, None, "")]
INT, BIGINT = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(
    st.tuples(
        *(st.none() | kind for kind in (INT, BIGINT, BIGINT, INT)),
        st.none() | st.sampled_from(["", "US-CA", "US-NY"]),
    ),
    max_size=20,
)


def table(rows, schema=SCHEMA):
    columns = zip(*rows, strict=True) if rows else [[]] * len(schema)
    return pa.table(
        [pa.array([*column]).cast(field.type) for column, field in zip(columns, schema, strict=True)], schema
    )


def rows_of(*tables):
    return [tuple(row.values()) for one in tables for row in one.to_pylist()]


def sums(rows):
    return heartbeat_columns.sums(table(rows))


class TestSums:
    def test_are_exact_beyond_64_bits_of_anything_but_their_own(self):
        found = sums(BEATS * 3)

        assert {name: found[name] for name in ("rows", *INTEGERS)} == {
            "rows": 6,
            "user_id": 3 * (HOME + OTHER),
            "sent_at": 3 * (NOON + LAST),
            "register": 3 * (2**48 + 4),
            "rate": 3 * (2**31 - 1),
        }

    @given(rows=ROWS, seed=st.integers(0, 9))
    def test_know_no_order_and_no_batches_and_are_those_of_python(self, rows, seed):
        shuffled = random.Random(seed).sample(rows, len(rows))
        parts = [shuffled[: seed % 5], shuffled[seed % 5 :]]

        assert heartbeat_columns.added(map(sums, parts)) == sums(rows)
        for place, name in enumerate(INTEGERS):
            assert sums(rows)[name] == sum(row[place] or 0 for row in rows)

    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param(BEATS[:1], id="a-heartbeat-is-missing"),
            pytest.param([*BEATS, BEATS[0]], id="a-heartbeat-came-twice"),
            pytest.param([BEATS[0], (OTHER, LAST, 2**48 - 2, 2**31 - 1, "US-NY")], id="a-register-differs"),
            pytest.param([BEATS[0], (*BEATS[1][:4], "US-NV")], id="a-region-differs"),
            pytest.param([BEATS[0], (*BEATS[1][:4], None)], id="a-region-is-missing"),
            pytest.param([(*BEATS[0][:3], None, "US-CA"), BEATS[1]], id="a-rate-of-none-is-missing"),
            pytest.param(
                [(HOME, NOON, 2**48 - 1, 0, "US-CA"), (OTHER, LAST, 5, 2**31 - 1, "US-NY")],
                id="two-registers-changed-places",
            ),
            pytest.param([(*BEATS[0][:4], "US-NY"), (*BEATS[1][:4], "US-CA")], id="two-regions-did"),
        ],
    )
    def test_tell_another_archive(self, changed):
        assert sums(changed) != sums(BEATS)

    @given(rows=ROWS, other=ROWS)
    def test_are_the_same_for_the_same_heartbeats_only(self, rows, other):
        assert (sums(rows) == sums(other)) == (sorted(rows, key=repr) == sorted(other, key=repr))


class TestFiles:
    @given(rows=ROWS, firsts=st.lists(INT, max_size=4, unique=True))
    def test_get_each_heartbeat_once_by_user(self, rows, firsts):
        bounds = np.array(sorted(firsts), np.int64)

        parts = dict(heartbeat_columns.split(table(rows), bounds))

        assert sorted(rows_of(*parts.values()), key=repr) == sorted(rows, key=repr)
        for number, part in parts.items():
            assert {int(np.searchsorted(bounds, row[0] or 0, "right")) for row in rows_of(part)} <= {number}

    @pytest.mark.parametrize(
        ("users", "files", "firsts"),
        [
            pytest.param([], 3, [], id="nobody"),
            pytest.param([7, 5, 6, 8], 1, [], id="one-file"),
            pytest.param([7, 5, 6, 8], 2, [7], id="halves"),
            pytest.param([5, 5, 5, 6], 4, [5, 6], id="a-user-is-in-one-file"),
        ],
    )
    def test_begin_with_users_that_part_them_alike(self, users, files, firsts):
        assert heartbeat_columns.bounds(np.array(users, np.int64), files).tolist() == firsts


class TestInOrder:
    def test_is_by_user_and_time_in_row_groups(self, monkeypatch):
        monkeypatch.setattr(heartbeat_columns, "ROWS_A_GROUP", 4)
        rows = [(user, at, 1, 1, "US-CA") for user in (OTHER, HOME) for at in (LAST, NIGHT.start_ms, NOON)]

        groups = [*heartbeat_columns.in_order([table(rows)], NIGHT)]

        assert [len(group) for group in groups] == [4, 2]
        assert rows_of(*groups) == sorted(rows)

    def test_keeps_what_no_meter_should_have_sent(self):
        groups = heartbeat_columns.in_order([table(ODD), table(ODD[::-1])], NIGHT)

        assert sorted(rows_of(*groups), key=repr) == sorted(ODD * 2, key=repr)


class TestBatches:
    def file(self, found, **layout):
        content = io.BytesIO()
        pq.write_table(found, content, **layout)
        return content

    def test_are_read_whatever_the_width_of_a_user(self):
        wide = pa.schema(
            [("user_id", pa.int64()), *((name, SCHEMA.field(name).type) for name in SCHEMA.names[1:])]
        )

        read = [*heartbeat_columns.batches(self.file(table(BEATS + ODD, wide)))]

        assert rows_of(*read) == BEATS + ODD
        assert {one.schema for one in read} == {SCHEMA}

    def test_are_read_where_a_dictionary_saved_the_writer_nothing(self):
        plain = SCHEMA.set(4, pa.field("region", pa.string()))
        deltas = {"use_dictionary": False, "column_encoding": {"region": "DELTA_BYTE_ARRAY"}}

        read = [*heartbeat_columns.batches(self.file(table(BEATS + ODD, plain), **deltas))]

        assert rows_of(*read) == BEATS + ODD
        assert {one.schema for one in read} == {SCHEMA}

    @pytest.mark.parametrize("column", archive.COLUMNS)
    def test_are_refused_without_a_column_or_with_one_of_another_type(self, column):
        found = table(BEATS)
        other = pa.array([1, 2]) if column == "region" else pa.array(["a", "b"])
        retyped = found.set_column(found.schema.get_field_index(column), column, other)

        for spoilt in (found.drop_columns([column]), retyped):
            with pytest.raises((pa.ArrowException, KeyError)):
                [*heartbeat_columns.batches(self.file(spoilt))]
