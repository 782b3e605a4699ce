"""Hours as CSV by RFC 4180: UTF-8, a head line, one line an hour. An unknown figure is an empty cell."""

import csv
import io
from collections.abc import Sequence

from infra.contracts.invoices import MICRO, minor_digits
from serving.exports.hours import Export, ExportedHour
from serving.figures.local_days import local_time

MEDIA_TYPE = "text/csv; charset=utf-8"
COLUMNS = (
    "user_id",
    "utility",
    "from",
    "to",
    "usage",
    "unit",
    "complete",
    "quality",
    "source",
    "cost",
    "currency",
)
# A spreadsheet takes a cell that begins so for a formula.
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n")


class CsvWriter:
    """Writes hours as CSV; times are local ISO 8601 with offset, costs exact decimals of the currency."""

    def __init__(self, export: Export) -> None:
        self._export = export

    def begin(self) -> bytes:
        """See `Writer.begin`."""
        return _lines([COLUMNS])

    def add(self, hours: Sequence[ExportedHour]) -> bytes:
        """See `Writer.add`."""
        return _lines([self._row(hour) for hour in hours])

    def end(self) -> bytes:
        """See `Writer.end`."""
        return b""

    def _row(self, hour: ExportedHour) -> Sequence[object]:
        zone, currency = self._export.zone, self._export.currency
        priced = currency is not None and hour.cost_micro is not None
        return (
            self._export.user_id,
            text_cell(hour.utility),
            local_time(hour.start_ms, zone),
            local_time(hour.start_ms + hour.duration_s * 1000, zone),
            "" if hour.usage is None else hour.usage,
            text_cell(hour.utility.unit),
            "true" if hour.complete else "false",
            text_cell(hour.quality or ""),
            text_cell(hour.source or ""),
            exact_amount(hour.cost_micro or 0, currency or "") if priced else "",
            text_cell(currency or "") if priced else "",
        )


def text_cell(text: str) -> str:
    """Return text as a cell that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(FORMULA_BEGINS) else text


def exact_amount(cost_micro: int, currency: str) -> str:
    """Return millionths of a minor unit as a decimal of the currency itself, such as 0.12345678."""
    whole, part = divmod(abs(cost_micro), MICRO * 10 ** minor_digits(currency))
    digits = len(str(MICRO)) - 1 + minor_digits(currency)
    return f"{'-' if cost_micro < 0 else ''}{whole}.{part:0{digits}}"


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
