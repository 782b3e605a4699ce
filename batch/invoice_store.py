"""Invoices and what they rest on, in and out of MySQL."""

import contextlib
import csv
import dataclasses
import datetime
import functools
import hashlib
import io
import itertools
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from batch.database_sink import Database
from batch.invoice_lines import Line, Month, MonthUsage
from batch.invoices import Document, Standing
from batch.local_hours import HOURS_A_NIGHT, date_of, day_number
from batch.night import NightRefused
from infra.contracts.invoices import (
    CREDIT,
    INVOICE_LINES_COLUMNS,
    INVOICES_COLUMNS,
    USAGE_TEXT_SQL,
)
from infra.contracts.nightly import (
    HOUR_COLUMNS,
    HOUSEHOLDS_TABLE,
    INVOICE_LINES_TABLE,
    INVOICES_TABLE,
    NIGHTS_TABLE,
    USAGE_DAYS_TABLE,
)
from infra.contracts.utility import UTILITIES, Utility

# A night's rows of a chunk: some thousand users, 3 utilities, each row of at most 400 characters.
TEXT_BYTES_MAX = 8 << 20
# Users whose ids lie closer together are read as a range, with those between them.
SPREAD_MAX = 4
NULLABLE = ("reverses", "night_from", "night_to", "rows_checksum")
_USAGE_TYPES = {
    "user_id": pa.int64(),
    "night": pa.date32(),
    "utility": pa.string(),
    "quality": pa.binary(HOURS_A_NIGHT),
    **dict.fromkeys(HOUR_COLUMNS, pa.int64()),
}
# The rows travel as one text a night, in the key's order: the driver is slow by columns, not by bytes. The
# text of a row is what its checksum is over.
_USAGE_SQL = f"""
    SELECT COUNT(*), GROUP_CONCAT({USAGE_TEXT_SQL} SEPARATOR '\\n')
    FROM {USAGE_DAYS_TABLE} WHERE night IN %s AND {{users}} GROUP BY night
"""

_md5 = functools.partial(hashlib.md5, usedforsecurity=False)

Household = tuple[int, str]  # user_id, zone


@dataclasses.dataclass(frozen=True)
class PublishedNights:
    """T, the first of all nights, and those that a month can have hours in."""

    truth_until: datetime.datetime | None  # UTC, without a zone
    first: datetime.date | None
    of_month: frozenset[datetime.date]


class InvoiceStore:
    """Invoices by one connection. Every method raises NightRefused if MySQL is away or refuses."""

    def __init__(self, database: Database, connection: Any) -> None:
        self._database = database
        self._connection = connection
        self._query(f"SET SESSION group_concat_max_len = {TEXT_BYTES_MAX}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Read one snapshot, write all or nothing; after an error the connection's end undoes it."""
        with self._database.refusals():
            self._connection.begin()
        yield
        with self._database.refusals():
            self._connection.commit()

    def count(self, user_ids: Sequence[int]) -> int:
        """Return how many users there are, of all if there are no ids; unknown ones do not count."""
        chosen, ids = ("WHERE user_id IN %s", [[*user_ids]]) if user_ids else ("", [])
        [[users]] = self._query(f"SELECT COUNT(*) FROM {HOUSEHOLDS_TABLE} {chosen}", *ids)
        return int(users)

    def households(self, user_ids: Sequence[int], after: int, users_max: int) -> list[Household]:
        """Return the next users after an id, of all if there are no ids, ascending."""
        chosen, ids = ("user_id IN %s AND", [[*user_ids]]) if user_ids else ("", [])
        return self._query(
            f"SELECT user_id, zone FROM {HOUSEHOLDS_TABLE} WHERE {chosen} user_id > %s "
            f"ORDER BY user_id LIMIT {users_max}",
            *ids,
            after,
        )

    def nights(self, month: Month) -> PublishedNights:
        """Return which nights are published."""
        [[truth_until, first]] = self._query(f"SELECT MAX(truth_until), MIN(night) FROM {NIGHTS_TABLE}")
        found = self._query(f"SELECT night FROM {NIGHTS_TABLE} WHERE night IN %s", _nights(month))
        return PublishedNights(truth_until, first, frozenset(night for [night] in found))

    def usage(self, month: Month, households: Sequence[Household]) -> MonthUsage:
        """Return the usage of users, ascending, in the nights of a month."""
        user_id = np.array([user_id for user_id, _ in households], np.int64)
        zones = sorted({zone for _, zone in households})
        places = {zone: place for place, zone in enumerate(zones)}
        ids = user_id.tolist()
        dense = ids[-1] - ids[0] < SPREAD_MAX * len(ids)
        found = self._query(
            _USAGE_SQL.format(users="user_id BETWEEN %s AND %s" if dense else "user_id IN %s"),
            _nights(month),
            *((ids[0], ids[-1]) if dense else (ids,)),
        )
        shape = (len(user_id), len(UTILITIES), month.nights)
        usage = MonthUsage(
            zones=zones,
            user_id=user_id,
            zone=np.array([places[zone] for _, zone in households], np.int64),
            hours=np.zeros((*shape, HOURS_A_NIGHT), np.int64),
            quality=np.zeros((*shape, HOURS_A_NIGHT), np.uint8),
            row_checksum=np.zeros(shape, np.uint64),
        )
        if found:
            _fill(usage, month, [text for _, text in found], sum(rows for rows, _ in found))
        return usage

    def standing(self, month: Month, user_ids: Sequence[int]) -> dict[int, Standing]:
        """Return the newest invoice of each user that has one for a month."""
        rows = self._query(
            f"SELECT user_id, version, kind, inputs_checksum FROM {INVOICES_TABLE} "
            "WHERE month = %s AND user_id IN %s ORDER BY user_id, version, kind = %s",
            month.first,
            [*user_ids],
            CREDIT,
        )
        return {
            user_id: Standing(version, kind == CREDIT, checksum) for user_id, version, kind, checksum in rows
        }

    def documents(self, numbers: Sequence[str]) -> list[Document]:
        """Return documents by their numbers, by user, month and version; unknown ones are left out."""
        if not numbers:
            return []
        rows = self._query(
            f"SELECT {', '.join(INVOICES_COLUMNS)} FROM {INVOICES_TABLE} WHERE number IN %s "
            "ORDER BY user_id, month, version, kind = %s",
            [*numbers],
            CREDIT,
        )
        lines: dict[str, list[Line]] = {number: [] for number in numbers}
        for number, _, *line in self._query(
            f"SELECT {', '.join(INVOICE_LINES_COLUMNS)} FROM {INVOICE_LINES_TABLE} WHERE number IN %s "
            "ORDER BY number, line",
            [*numbers],
        ):
            lines[number].append(_line(dict(zip(INVOICE_LINES_COLUMNS[2:], line, strict=True))))
        return [_document(dict(zip(INVOICES_COLUMNS, row, strict=True)), lines[row[0]]) for row in rows]

    def numbers(self, user_id: int, month: Month | None) -> list[str]:
        """Return the numbers of a user's documents for a month, by default for the newest that has any."""
        first = month.first if month else None
        newest = f"(SELECT MAX(month) FROM {INVOICES_TABLE} WHERE user_id = %s)"
        rows = self._query(
            f"SELECT number FROM {INVOICES_TABLE} WHERE user_id = %s AND month = COALESCE(%s, {newest})",
            user_id,
            first,
            user_id,
        )
        return [number for [number] in rows]

    def recipient(self, user_id: int) -> tuple[str, str]:
        """Return a user's name and address as they are now, both empty if the user is gone."""
        rows = self._query(f"SELECT name, address FROM {HOUSEHOLDS_TABLE} WHERE user_id = %s", user_id)
        return (rows[0][0], rows[0][1]) if rows else ("", "")

    def insert(self, documents: Sequence[Document]) -> None:
        """Write documents within the transaction under way.

        :raises NightRefused: also if one of them is there already.
        """
        self._load(INVOICES_TABLE, INVOICES_COLUMNS, [_invoice_row(one) for one in documents])
        self._load(
            INVOICE_LINES_TABLE,
            INVOICE_LINES_COLUMNS,
            [_line_row(one, at, line) for one in documents for at, line in enumerate(one.lines, start=1)],
        )

    def _load(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Send rows as CSV. What the server leaves out or cuts short, it only counts and warns of."""
        if not rows:
            return
        fields = ", ".join(f"@{column}" if column in NULLABLE else column for column in columns)
        nulls = ", ".join(f"{column} = NULLIF(@{column}, '')" for column in columns if column in NULLABLE)
        with tempfile.TemporaryDirectory(prefix="meterbeat-") as folder:
            path = pathlib.Path(folder, "rows.csv")
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(rows)
            with self._database.refusals(), self._connection.cursor() as cursor:
                written = cursor.execute(
                    f"LOAD DATA LOCAL INFILE %s INTO TABLE {table} CHARACTER SET utf8mb4 "
                    "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' "
                    f"({fields}) SET {nulls}",
                    (str(path),),
                )
                cursor.execute("SHOW WARNINGS LIMIT 1")
                warned = "".join(f": {message}" for _, _, message in cursor.fetchall())
        if written != len(rows) or warned:
            raise NightRefused(f"{table} took {written} of {len(rows)} rows, none is kept{warned}")

    def _query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._database.refusals(), self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())


def _nights(month: Month) -> list[datetime.date]:
    return [month.first_night + datetime.timedelta(days=number) for number in range(month.nights)]


def _fill(usage: MonthUsage, month: Month, texts: Sequence[str], rows: int) -> None:
    """Put rows of _USAGE_SQL to their places, those of other users aside.

    :raises NightRefused: if the texts do not hold as many rows as the server counted.
    """
    lines = "\n".join(texts).encode().split(b"\n")
    table = pyarrow.csv.read_csv(
        io.BytesIO(b"\n".join(lines)),
        read_options=pyarrow.csv.ReadOptions(column_names=[*_USAGE_TYPES]),
        convert_options=pyarrow.csv.ConvertOptions(column_types=_USAGE_TYPES),
    ).combine_chunks()
    if len(table) != rows:
        raise NightRefused(f"MySQL sent {len(table)} of {rows} rows of {USAGE_DAYS_TABLE}; try again")
    wanted = pc.is_in(table["user_id"], pa.array(usage.user_id))
    table = table.filter(wanted)
    place = (
        np.searchsorted(usage.user_id, table["user_id"].to_numpy()),
        pc.index_in(table["utility"], pa.array([str(utility) for utility in UTILITIES])).to_numpy(),
        table["night"].cast(pa.int32()).to_numpy() - day_number(month.first_night),
    )
    usage.hours[place] = np.stack([table[column].to_numpy() for column in HOUR_COLUMNS], axis=1)
    letters = b"".join(table["quality"].to_pylist())
    usage.quality[place] = np.frombuffer(letters, np.uint8).reshape(-1, HOURS_A_NIGHT)
    digests = b"".join(_md5(line).digest() for line in itertools.compress(lines, wanted.to_pylist()))
    # USAGE_CHECKSUM_SQL is the number of a digest's first 15 hexadecimal digits.
    usage.row_checksum[place] = np.frombuffer(digests, ">u8")[::2] >> np.uint64(4)


def _invoice_row(one: Document) -> tuple[Any, ...]:
    return tuple(getattr(one, column) for column in INVOICES_COLUMNS)


def _line_row(one: Document, at: int, line: Line) -> tuple[Any, ...]:
    return (
        one.number,
        at,
        str(line.utility),
        line.component,
        line.label,
        line.tier_from,
        line.quantity,
        line.quantity_estimated,
        line.unit,
        line.price_micro,
        line.amount,
        date_of(line.day_from),
        date_of(line.day_until),
        line.night_from,
        line.night_to,
        line.rows_checksum,
    )


def _document(row: dict[str, Any], lines: Iterable[Line]) -> Document:
    del row["total"]
    return Document(**row, lines=tuple(lines))


def _line(row: dict[str, Any]) -> Line:
    """Return a line as it was issued; its unit and amount follow from the rest."""
    fields = {field.name: row[field.name] for field in dataclasses.fields(Line)}
    days = {name: day_number(row[name]) for name in ("day_from", "day_until")}
    return Line(**fields | days | {"utility": Utility(row["utility"])})
