"""Exports read back by readers that are not ours: the same hours, to the unit, in every format."""

import csv
import datetime
import io
import random
import xml.etree.ElementTree as ET
import zoneinfo

import duckdb
import pytest
from greenbutton_objects import enums, parse
from hypothesis import given
from hypothesis import strategies as st

from infra.contracts.durations import HOUR_MS
from infra.contracts.quality import Quality
from infra.contracts.utility import UTILITIES, Utility
from serving.exports.csv_file import COLUMNS, CsvWriter, exact_amount, text_cell
from serving.exports.espi import EspiWriter, espi_cost, quality_code
from serving.exports.espi_clock import NO_RULE, clock_rules
from serving.exports.hours import Export, ExportedHour, Writer
from serving.exports.parquet_file import GROUP_ROWS, ParquetWriter
from serving.figures.local_days import local_day

USER_ID = 10_000_042
ZONE = "America/New_York"
SPRING, AUTUMN = datetime.date(2026, 3, 8), datetime.date(2026, 11, 1)


def an_export(first: datetime.date, days: int, zone: str = ZONE, currency: str | None = "USD") -> Export:
    last = first + datetime.timedelta(days=days - 1)
    start, end = local_day(first, zone).start, local_day(last, zone).end
    return Export(USER_ID, zone, start, end, end + 60_000, currency)


def hours_of(export: Export, utilities: tuple[Utility, ...] = UTILITIES) -> list[ExportedHour]:
    some = random.Random(7)
    words = [quality.word for quality in Quality]
    return [
        ExportedHour(
            utility,
            start,
            None if some.random() < 0.05 else some.randrange(2**40),
            some.random() < 0.9,
            some.choice(words),
            some.choice(["truth", "live", "truth+live"]),
            None if some.random() < 0.1 else some.randrange(10**12),
        )
        for utility in utilities
        for start in range(export.start_ms, export.end_ms, HOUR_MS)
    ]


def written(writer: Writer, hours: list[ExportedHour], batch: int = 17) -> bytes:
    parts = [writer.begin()]
    parts += [writer.add(hours[at : at + batch]) for at in range(0, len(hours), batch)]
    return b"".join([*parts, writer.end()])


class TestCsv:
    def test_is_read_back_hour_by_hour(self):
        export = an_export(SPRING, 2)
        hours = hours_of(export)

        rows = list(csv.DictReader(io.StringIO(written(CsvWriter(export), hours).decode(), newline="")))

        assert tuple(rows[0]) == COLUMNS
        assert [
            (row["utility"], datetime.datetime.fromisoformat(row["from"]).timestamp() * 1000, row["usage"])
            for row in rows
        ] == [(one.utility, one.start_ms, "" if one.usage is None else str(one.usage)) for one in hours]
        assert {row["unit"] for row in rows if row["utility"] == "gas"} == {"L"}

    def test_the_hour_that_the_clock_skips_is_not_there(self):
        export = an_export(SPRING, 1)
        rows = written(CsvWriter(export), hours_of(export, UTILITIES[:1])).decode().splitlines()

        assert len(rows) == 1 + 23
        assert "2026-03-08T01:00:00-05:00,2026-03-08T03:00:00-04:00" in rows[2]

    def test_no_cell_of_text_is_a_formula(self):
        begins = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"]

        assert all(text_cell(text) == f"'{text}" for text in begins)
        assert text_cell("measured") == "measured"

        hour = ExportedHour(Utility.GAS, 0, 1, True, '=HYPERLINK("x")', "truth", 5)
        [_, row] = csv.reader(
            io.StringIO(written(CsvWriter(an_export(SPRING, 1)), [hour]).decode(), newline="")
        )
        assert row[COLUMNS.index("quality")] == '\'=HYPERLINK("x")'

    @pytest.mark.parametrize(
        ("cost_micro", "currency", "amount"),
        [
            (12_345_678, "USD", "0.12345678"),
            (-12_345_678_901, "USD", "-123.45678901"),
            (0, "USD", "0.00000000"),
            (1_500_000, "JPY", "1.500000"),
        ],
    )
    def test_a_cost_is_exact(self, cost_micro, currency, amount):
        assert exact_amount(cost_micro, currency) == amount

    def test_without_a_currency_there_is_no_cost(self):
        export = an_export(SPRING, 1, currency=None)
        rows = list(csv.DictReader(io.StringIO(written(CsvWriter(export), hours_of(export)).decode())))

        assert {(row["cost"], row["currency"]) for row in rows} == {("", "")}


class TestParquet:
    @pytest.mark.parametrize("days", [1, 400])
    def test_is_read_back_by_duckdb(self, tmp_path, days):
        export = an_export(AUTUMN, days)
        hours = hours_of(export)
        path = tmp_path / "hours.parquet"
        path.write_bytes(written(ParquetWriter(export), hours, 700))

        rows = duckdb.execute(
            "SELECT user_id, utility, epoch_ms(start), duration_s, usage, unit, complete, quality, source, "
            f"cost_micro, currency FROM '{path}'"
        ).fetchall()

        assert rows == [
            (
                USER_ID,
                one.utility.value,
                one.start_ms,
                3_600,
                one.usage,
                one.utility.unit,
                one.complete,
                one.quality,
                one.source,
                one.cost_micro,
                None if one.cost_micro is None else "USD",
            )
            for one in hours
        ]

    def test_holds_no_more_than_a_group(self):
        export = an_export(AUTUMN, 800)
        writer = ParquetWriter(export)
        hours = hours_of(export, UTILITIES[:1])

        parts = [writer.add(hours[:GROUP_ROWS]), writer.add(hours[GROUP_ROWS:])]

        assert all(parts)
        assert len(writer._held) == len(hours) % GROUP_ROWS

    def test_of_no_hours_is_a_file_all_the_same(self, tmp_path):
        path = tmp_path / "none.parquet"
        path.write_bytes(written(ParquetWriter(an_export(SPRING, 1)), []))

        assert duckdb.execute(f"SELECT count(*) FROM '{path}'").fetchall() == [(0,)]


class TestGreenButton:
    @pytest.mark.parametrize(
        ("first", "days", "zone", "of_day"),
        [
            pytest.param(SPRING, 1, ZONE, 23, id="clock-forward"),
            pytest.param(AUTUMN, 1, ZONE, 25, id="clock-back"),
            pytest.param(datetime.date(2026, 6, 1), 1, "Europe/Berlin", 24, id="no-change"),
            pytest.param(datetime.date(2026, 2, 1), 70, ZONE, None, id="ten-weeks"),
        ],
    )
    def test_an_independent_reader_finds_the_same_hours(self, tmp_path, first, days, zone, of_day):
        export = an_export(first, days, zone)
        hours = hours_of(export)
        path = tmp_path / "hours.xml"
        path.write_bytes(written(EspiWriter(export), hours))

        points = {point.serviceCategory.name: point for point in parse.parse_feed(path)}

        assert list(points) == ["electricity", "naturalGas", "water"]
        for utility, point in zip(UTILITIES, points.values(), strict=True):
            [readings] = point.meterReadings
            ours = [one for one in hours if one.utility is utility]
            assert of_day is None or len(ours) == of_day
            assert len(readings.intervalBlocks) == days
            assert [
                (
                    round(reading.timePeriod.start.timestamp() * 1000),
                    reading.timePeriod.duration.total_seconds(),
                    reading.value,
                    {quality.quality.value for quality in reading.readingQualities},
                    None if reading.cost is None else round(reading.cost * 100_000),
                )
                for reading in readings.intervalReadings
            ] == [
                (
                    one.start_ms,
                    3_600,
                    one.usage,
                    {quality_code(one)},
                    None if one.cost_micro is None else espi_cost(one.cost_micro, "USD"),
                )
                for one in ours
                if one.usage is not None
            ]
            kind = readings.readingType
            assert kind.uom is (enums.UomType.wattHours if utility == "electricity" else enums.UomType.liters)
            assert kind.powerOfTenMultiplier == 0
            assert kind.intervalLength == 3_600
            assert kind.accumulationBehaviour is enums.AccumulationBehaviourType.deltaData
            assert kind.flowDirection is enums.FlowDirectionType.forward
            assert kind.currency is enums.CurrencyCode.usd
        assert [point.meterReadings.pop().readingType.commodity.name for point in points.values()] == [
            "electricity",
            "naturalGas",
            "potableWater",
        ]

    def test_how_the_hours_come_in_batches_changes_nothing(self):
        export = an_export(AUTUMN, 4)
        hours = hours_of(export)

        files = {written(EspiWriter(export), hours, batch) for batch in (1, 5, 24, 10_000)}

        assert len(files) == 1

    def test_holds_no_more_than_a_day(self):
        export = an_export(AUTUMN, 60)
        writer = EspiWriter(export)

        writer.add(hours_of(export))

        assert len(writer._held) == 24

    def test_what_live_state_alone_tells_is_raw(self):
        measured = [ExportedHour(Utility.GAS, 0, 1, True, "measured", source) for source in ("truth", "live")]

        assert [quality_code(hour) for hour in measured] == [17, 14]

    def test_a_cost_is_in_hundred_thousandths(self):
        assert espi_cost(100_000_000, "USD") == 100_000
        assert [espi_cost(micro, "USD") for micro in (500, 1_500, 1_501)] == [0, 2, 2]
        assert espi_cost(1_000_000, "JPY") == 100_000

    def test_text_is_escaped(self):
        export = an_export(SPRING, 1, "America/New_York")
        text = written(EspiWriter(export), hours_of(export)).decode()

        assert ET.fromstring(text).tag == "{http://www.w3.org/2005/Atom}feed"


class TestClock:
    @pytest.mark.parametrize(
        ("zone", "start", "end", "offset_s"),
        [
            # What utilities of the United States write into their files.
            ("America/New_York", 0x360E2000, 0xB40E2000, -18_000),
            ("America/Los_Angeles", 0x360E2000, 0xB40E2000, -28_800),
            ("Europe/Berlin", 0x3E0E2000, 0xAE0E3000, 3_600),
            ("America/Phoenix", NO_RULE, NO_RULE, -25_200),
            ("Asia/Kolkata", NO_RULE, NO_RULE, 19_800),
            ("UTC", NO_RULE, NO_RULE, 0),
        ],
    )
    def test_rules_are_as_the_standard_encodes_them(self, zone, start, end, offset_s):
        rules = clock_rules(zone, 2026)

        assert (rules.dst_start_rule, rules.dst_end_rule) == (start, end)
        assert rules.offset_s == offset_s
        assert rules.dst_offset_s == (0 if start == NO_RULE else 3_600)

    @given(
        zone=st.sampled_from(
            [ZONE, "Europe/London", "Australia/Sydney", "America/Santiago", "Europe/Dublin", "Asia/Beirut"]
        ),
        hour=st.integers(0, 8_759),
    )
    def test_a_reader_of_the_rules_knows_every_hours_offset(self, zone, hour):
        rules = clock_rules(zone, 2026)
        at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(hours=hour)

        start = instant_of(rules.dst_start_rule, 2026, rules.offset_s)
        end = instant_of(rules.dst_end_rule, 2026, rules.offset_s + rules.dst_offset_s)
        summer = start <= at < end if start < end else not end <= at < start

        told = rules.offset_s + (rules.dst_offset_s if summer else 0)
        assert at.astimezone(zoneinfo.ZoneInfo(zone)).utcoffset() == datetime.timedelta(seconds=told)


def instant_of(rule: int, year: int, offset_s: int) -> datetime.datetime:
    """Read a rule as the schema says it is to be read."""
    month, operator, day = rule >> 28, rule >> 25 & 7, rule >> 20 & 31
    weekday, hour, seconds = rule >> 17 & 7, rule >> 12 & 31, rule & 4_095
    days = [
        datetime.date(year, month, 1) + datetime.timedelta(days=number)
        for number in range(31)
        if (datetime.date(year, month, 1) + datetime.timedelta(days=number)).month == month
    ]
    if operator == 0:
        date = datetime.date(year, month, day)
    else:
        fitting = [one for one in days if one.isoweekday() == weekday]
        date = fitting[-1] if operator == 7 else fitting[operator - 2]
    wall = datetime.datetime.combine(date, datetime.time(), datetime.UTC)
    return wall + datetime.timedelta(hours=hour, seconds=seconds - offset_s)
