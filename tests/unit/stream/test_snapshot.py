"""What a snapshot holds of a day is what live state answers meter by meter, whatever else it holds."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import (
    MARKS_DROPPED,
    MARKS_FIELD,
    MARKS_HEAD_DTYPE,
    NOW_DTYPE,
    NOW_FIELD,
    REGION_FIELD,
    LiveMeter,
    decode_live_state,
)
from infra.contracts.stream_marks import COLUMNS, marks_path
from infra.contracts.utility import UTILITIES, Utility
from stream import snapshot
from stream.s3_sink import S3Sink
from stream.snapshot import ROW, Part, Rows, day_registers, night_start_ms, take

DAY = 20_540
START = DAY * DAY_MS
FIRST_HOUR = DAY * 24
USER = 10_000_042
Hash = Mapping[bytes, bytes]


def a_hash(meters: Mapping[Utility, tuple[int, bool, Sequence[int]]]) -> Hash:
    """The fields of a user: by utility the first mark's hour, whether older ones were dropped, and registers.

    The last register is the newest heartbeat's, those before it are the marks.
    """
    now, heads = np.zeros(3, NOW_DTYPE), np.zeros(3, MARKS_HEAD_DTYPE)
    lows: list[int] = []
    for utility in UTILITIES:
        if utility in meters:
            first_hour, dropped, (*marks, newest) = meters[utility]
            now[utility.code] = ((first_hour + len(marks) + 1) * HOUR_MS + 5, newest, 7, 1)
            heads[utility.code] = (first_hour + (MARKS_DROPPED if dropped else 0), len(marks))
            lows += [mark % 2**32 for mark in marks]
    return {
        NOW_FIELD: now.tobytes(),
        MARKS_FIELD: heads.tobytes() + np.array(lows, "<u4").tobytes(),
        REGION_FIELD: b"US-CA",
    }


def a_part(users: Mapping[int, Hash], cursor: int = 0) -> Part:
    """What the script returns of these users."""
    heads = len(UTILITIES) * MARKS_HEAD_DTYPE.itemsize
    rows = b"".join(b"%d" % user + one[NOW_FIELD] + one[MARKS_FIELD][:heads] for user, one in users.items())
    lows = b"".join(one[MARKS_FIELD][heads:] for one in users.values())
    return Part(cursor, np.frombuffer(rows, ROW), np.frombuffer(lows, "<u4"), broken=0)


def as_of(meter: LiveMeter, instant: int) -> int | None:
    """The rule that serving answers by."""
    if not meter.marks:
        return None
    first = meter.first_hour
    if not meter.marks_dropped and instant <= (first + 1) * HOUR_MS:
        return meter.marks[0]
    return meter.marks_by_hour().get(instant // HOUR_MS - 1)


def one_by_one(users: Mapping[int, Hash]) -> set[tuple[int, int, int, int]]:
    rows = set()
    for user, fields in users.items():
        for utility, meter in decode_live_state(fields).meters.items():
            start, end = as_of(meter, START), as_of(meter, START + DAY_MS)
            began = (meter.first_hour if meter.marks else 0) * HOUR_MS + HOUR_MS
            if start is not None and end is not None and (meter.marks_dropped or began < START + DAY_MS):
                rows.add((user, utility.code, start, end))
    return rows


@st.composite
def _meter(draw: st.DrawFn) -> tuple[int, bool, list[int]]:
    first_hour = FIRST_HOUR + draw(st.integers(-30, 26))
    register = draw(st.sampled_from([0, 5_000, 2**32 - 900, 2**40]))
    usages = draw(st.lists(st.integers(0, 900) | st.just(0), min_size=0, max_size=50))
    registers = list(itertools.accumulate(usages, initial=register))
    if draw(st.booleans()):  # the dial begins again
        at = draw(st.integers(0, len(registers)))
        registers[at:] = [one - registers[at] for one in registers[at:]]
    return first_hour, draw(st.booleans()), registers


USERS = st.dictionaries(
    st.integers(USER, USER + 500),
    st.dictionaries(st.sampled_from(UTILITIES), _meter()).map(a_hash),
    max_size=5,
)


class TestDayRegisters:
    @given(USERS)
    def test_are_what_each_meter_answers_alone(self, users: Mapping[int, Hash]) -> None:
        part = a_part(users)

        found = day_registers(part.rows, part.lows, START, START + DAY_MS)

        assert len(found) == len(one_by_one(users))
        assert {tuple(int(value) for value in row) for row in found.tolist()} == one_by_one(users)

    def test_before_and_after_a_rollover_are_what_the_dial_showed(self) -> None:
        marks = [999_999_000 + 10 * hour for hour in range(20)]
        rolled = [4, 14, 24, 34, 44, 54, 64]
        users = {USER: a_hash({Utility.GAS: (FIRST_HOUR - 1, True, [*marks, *rolled])})}

        [row] = day_registers(a_part(users).rows, a_part(users).lows, START, START + DAY_MS)

        assert (row["register_start"], row["register_end"]) == (999_999_000, 44)

    def test_refuse_marks_that_do_not_fit_the_heads(self) -> None:
        part = a_part({USER: a_hash({Utility.GAS: (FIRST_HOUR - 1, True, list(range(30)))})})

        with pytest.raises(ValueError, match="has 28 marks, not 29"):
            day_registers(part.rows, part.lows[1:], START, START + DAY_MS)


class InMemoryMarks:
    """Live state in parts; the last part repeats the first user, as a scan may."""

    def __init__(self, users: Mapping[int, Hash], published_until: int = 0) -> None:
        self.ids, self.users, self.until = [*users, *list(users)[:1]], users, published_until

    def published_until(self) -> int:
        return self.until

    def part(self, cursor: int, users: int) -> Part:
        following = cursor + 1 if cursor + 1 < len(self.ids) else 0
        user = self.ids[cursor]
        return a_part({user: self.users[user]}, following)


@pytest.fixture
def sink(tmp_path) -> S3Sink:
    (tmp_path / "bucket" / marks_path("2026-03-28")).parent.mkdir(parents=True)
    return S3Sink(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "bucket", "S3 at nowhere")


WHOLE_DAY = (FIRST_HOUR - 1, True, list(range(100, 127)))


class TestTake:
    def test_writes_every_user_once(self, sink, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(snapshot, "METERS_PER_WRITE", 2)
        users = {USER + index: a_hash(dict.fromkeys(UTILITIES, WHOLE_DAY)) for index in range(3)}
        pauses: list[float] = []

        done = take(InMemoryMarks(users), sink.write_marks, START, pause=pauses.append)

        table = pq.read_table(tmp_path / "bucket" / done.object)
        assert (done.written, done.users, done.meters) == (True, 3, 9)
        assert table.column_names == list(COLUMNS)
        assert {(row["user_id"], row["utility"]) for row in table.to_pylist()} == {
            (user, utility.value) for user in users for utility in UTILITIES
        }
        assert {(row["register_start"], row["register_end"]) for row in table.to_pylist()} == {(100, 124)}
        assert done.object == marks_path("2026-03-28")

    def test_leaves_the_object_alone_once_the_days_hours_are_dropped(self, sink, tmp_path) -> None:
        users = {USER: a_hash({Utility.WATER: WHOLE_DAY})}
        take(InMemoryMarks(users, published_until=START), sink.write_marks, START)
        before = (tmp_path / "bucket" / marks_path("2026-03-28")).read_bytes()

        again = take(InMemoryMarks({}, published_until=START + DAY_MS), sink.write_marks, START)

        assert not again.written
        assert (tmp_path / "bucket" / marks_path("2026-03-28")).read_bytes() == before

    def test_that_fails_half_way_leaves_the_object_of_before(self, sink, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(snapshot, "METERS_PER_WRITE", 1)
        users = {USER + index: a_hash({Utility.WATER: WHOLE_DAY}) for index in range(3)}
        take(InMemoryMarks(users), sink.write_marks, START)
        before = (tmp_path / "bucket" / marks_path("2026-03-28")).read_bytes()

        def away_later(path: str, parts: Iterator[Rows]) -> None:
            def half() -> Iterator[Rows]:
                yield next(parts)
                raise RuntimeError("redis went away")

            sink.write_marks(path, half())

        with pytest.raises(RuntimeError, match="redis went away"):
            take(InMemoryMarks(users), away_later, START)
        folder = tmp_path / "bucket" / marks_path("2026-03-28")
        assert folder.read_bytes() == before
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]

    def test_of_nobody_is_an_object_without_rows(self, sink, tmp_path) -> None:
        class Nobody(InMemoryMarks):
            def part(self, cursor: int, users: int) -> Part:
                return a_part({})

        done = take(Nobody({}), sink.write_marks, START)

        assert done.meters == 0
        assert pq.read_table(tmp_path / "bucket" / done.object).num_rows == 0


class TestNightStartMs:
    def test_is_the_utc_midnight(self) -> None:
        assert night_start_ms("2026-03-28", START + DAY_MS) == START

    @pytest.mark.parametrize("text", ["", "yesterday", "2026-03-29", "2026-02-30"])
    def test_refuses_what_is_no_day_that_is_over(self, text: str) -> None:
        with pytest.raises(snapshot.SnapshotRefused, match=f"--night is '?{text}"):
            night_start_ms(text, START + DAY_MS + 1)
