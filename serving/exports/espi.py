"""Hours as Green Button: an Atom feed of ESPI resources, as NAESB REQ.21 lays them down.

Sources: NAESB's schema of REQ.21 ESPI, version 4.0 of 2023-12-13 (espi.xsd), for elements, their order and
codes; the Green Button Alliance's API documentation for how resources are linked: a UsagePoint (one a
utility) relates to its MeterReadings and LocalTimeParameters, a MeterReading to its ReadingType and
IntervalBlocks.

Times are seconds since 1970, UTC. Usage is in Wh (uom 72) or litres (134), powerOfTenMultiplier 0. Cost is
in hundred-thousandths of the currency. An hour whose usage is not known has no IntervalReading; one of which
only a part was counted has a reading of that part, with its own start and duration. Quality codes
are those of `infra/contracts/quality.py`; what live state alone tells is raw (14) until a night has validated
it.
"""

import datetime
import itertools
import uuid
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from infra.contracts.durations import HOUR_S
from infra.contracts.invoices import MICRO, minor_digits
from infra.contracts.quality import Quality
from infra.contracts.utility import Utility
from serving.exports.espi_clock import clock_rules
from serving.exports.hours import Export, ExportedHour
from serving.figures.household import MIXED
from serving.figures.local_days import local_time, utc_time, zone_info
from serving.figures.truth import Layer

MEDIA_TYPE = "application/atom+xml"
QUALITY_CODES = {
    Quality.MEASURED.word: 17,
    Quality.INTERPOLATED.word: 9,
    Quality.ESTIMATED.word: 8,
    Quality.PROJECTED.word: 12,
    Quality.CORRECTED.word: 7,
    MIXED: 13,
}
RAW, OTHER = 14, 16
COST_PARTS = 100_000
# ISO 4217; a currency without its number here has no cost in the file.
CURRENCY_NUMBERS = {
    "AUD": 36,
    "CAD": 124,
    "JPY": 392,
    "NZD": 554,
    "CHF": 756,
    "GBP": 826,
    "USD": 840,
    "EUR": 978,
}
DELTA_DATA, NORMAL, FORWARD = 4, 12, 1
ENERGY = 12


class Codes(NamedTuple):
    """A utility in ESPI's numbers: ServiceCategory, commodity, unit, kind of measurement if it has one."""

    service: int
    commodity: int
    uom: int
    kind: int | None


CODES = {
    Utility.ELECTRICITY: Codes(0, 1, 72, ENERGY),
    Utility.GAS: Codes(1, 7, 134, None),
    Utility.WATER: Codes(2, 9, 134, None),
}


class EspiWriter:
    """Writes hours as a feed: a utility's resources when its first hour comes, then a block a local day."""

    def __init__(self, export: Export) -> None:
        self._export = export
        self._updated = utc_time(export.made_at_ms)
        self._held: list[ExportedHour] = []
        self._utility: Utility | None = None
        self._number = CURRENCY_NUMBERS.get(export.currency or "")

    def begin(self) -> bytes:
        """See `Writer.begin`."""
        path = f"RetailCustomer/{self._export.user_id}"
        year = datetime.datetime.fromtimestamp(
            (self._export.end_ms - 1) / 1000, zone_info(self._export.zone)
        ).year
        rules = clock_rules(self._export.zone, year)
        clock = (
            f"<espi:LocalTimeParameters><espi:dstEndRule>{rules.dst_end_rule:08X}</espi:dstEndRule>"
            f"<espi:dstOffset>{rules.dst_offset_s}</espi:dstOffset>"
            f"<espi:dstStartRule>{rules.dst_start_rule:08X}</espi:dstStartRule>"
            f"<espi:tzOffset>{rules.offset_s}</espi:tzOffset></espi:LocalTimeParameters>"
        )
        feed = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:espi="http://naesb.org/espi">\n'
            f"<id>{_urn(path, self._export)}</id><title>Green Button usage</title>"
            "<author><name>Meterbeat</name></author>"
            f'<updated>{self._updated}</updated><link rel="self" href={quoteattr(path)}/>\n'
        )
        up = "LocalTimeParameters"
        return (feed + self._entry(f"{up}/1", up, (), self._export.zone, clock)).encode()

    def add(self, hours: Sequence[ExportedHour]) -> bytes:
        """See `Writer.add`."""
        self._held += hours
        days = [list(day) for _, day in itertools.groupby(self._held, self._day)]
        # The last day may go on with the next batch.
        self._held = days.pop() if days else []
        return "".join(part for day in days for part in self._written(day)).encode()

    def end(self) -> bytes:
        """See `Writer.end`."""
        rest = "".join(self._written(self._held)) if self._held else ""
        self._held = []
        return f"{rest}</feed>\n".encode()

    def _day(self, hour: ExportedHour) -> tuple[Utility, str]:
        return hour.utility, local_time(hour.start_ms, self._export.zone)[:10]

    def _written(self, day: list[ExportedHour]) -> Iterator[str]:
        utility, date = self._day(day[0])
        point = f"RetailCustomer/{self._export.user_id}/UsagePoint/{utility.value}"
        if utility is not self._utility:
            self._utility = utility
            yield from self._resources(point, utility)
        if readings := [self._reading(hour) for hour in day if hour.usage is not None]:
            up = f"{point}/MeterReading/hours/IntervalBlock"
            start_s, end_s = day[0].counted_s[0], day[-1].counted_s[1]
            block = (
                f"<espi:IntervalBlock><espi:interval><espi:duration>{end_s - start_s}</espi:duration>"
                f"<espi:start>{start_s}</espi:start></espi:interval>\n"
                f"{''.join(readings)}</espi:IntervalBlock>"
            )
            yield self._entry(f"{up}/{date}", up, (), date, block)

    def _resources(self, point: str, utility: Utility) -> Iterator[str]:
        """Yield a utility's UsagePoint, MeterReading and ReadingType."""
        codes, reading = CODES[utility], f"{point}/MeterReading/hours"
        kind = "" if codes.kind is None else f"<espi:kind>{codes.kind}</espi:kind>"
        currency = "" if self._number is None else f"<espi:currency>{self._number}</espi:currency>"
        yield self._entry(
            point,
            point.rpartition("/")[0],
            (f"{point}/MeterReading", "LocalTimeParameters/1"),
            utility.value,
            f"<espi:UsagePoint><espi:ServiceCategory><espi:kind>{codes.service}</espi:kind>"
            "</espi:ServiceCategory><espi:status>1</espi:status></espi:UsagePoint>",
        )
        yield self._entry(
            reading,
            f"{point}/MeterReading",
            (f"{reading}/IntervalBlock", f"ReadingType/{utility.value}"),
            f"{utility.value} by the hour",
            "<espi:MeterReading/>",
        )
        yield self._entry(
            f"ReadingType/{utility.value}",
            "ReadingType",
            (),
            f"{utility.value}, {utility.unit} an hour",
            f"<espi:ReadingType><espi:accumulationBehaviour>{DELTA_DATA}</espi:accumulationBehaviour>"
            f"<espi:commodity>{codes.commodity}</espi:commodity>{currency}"
            f"<espi:dataQualifier>{NORMAL}</espi:dataQualifier>"
            f"<espi:flowDirection>{FORWARD}</espi:flowDirection>"
            f"<espi:intervalLength>{HOUR_S}</espi:intervalLength>{kind}"
            "<espi:powerOfTenMultiplier>0</espi:powerOfTenMultiplier>"
            f"<espi:uom>{codes.uom}</espi:uom></espi:ReadingType>",
        )

    def _reading(self, hour: ExportedHour) -> str:
        start_s, end_s = hour.counted_s
        cost = ""
        if self._number is not None and hour.cost_micro is not None:
            cost = f"<espi:cost>{espi_cost(hour.cost_micro, self._export.currency or '')}</espi:cost>"
        return (
            f"<espi:IntervalReading>{cost}<espi:ReadingQuality><espi:quality>{quality_code(hour)}"
            "</espi:quality></espi:ReadingQuality><espi:timePeriod>"
            f"<espi:duration>{end_s - start_s}</espi:duration>"
            f"<espi:start>{start_s}</espi:start>"
            f"</espi:timePeriod><espi:value>{hour.usage}</espi:value></espi:IntervalReading>\n"
        )

    def _entry(self, path: str, up: str, related: Sequence[str], title: str, content: str) -> str:
        links = "".join(f'<link rel="related" href={quoteattr(one)}/>' for one in related)
        return (
            f"<entry><id>{_urn(path, self._export)}</id>"
            f'<link rel="self" href={quoteattr(path)}/><link rel="up" href={quoteattr(up)}/>{links}'
            f'<title>{escape(title)}</title><content type="application/xml">{content}</content>'
            f"<published>{self._updated}</published><updated>{self._updated}</updated></entry>\n"
        )


def quality_code(hour: ExportedHour) -> int:
    """Return ESPI's QualityOfReading of an hour."""
    if hour.source != Layer.TRUTH and hour.quality in (None, Quality.MEASURED.word):
        return RAW
    return QUALITY_CODES.get(hour.quality or "", OTHER)


def espi_cost(cost_micro: int, currency: str) -> int:
    """Return a cost in hundred-thousandths of the currency, half to even."""
    return round_half_even(cost_micro * COST_PARTS, MICRO * 10 ** minor_digits(currency))


def round_half_even(amount: int, divisor: int) -> int:
    """Return a quotient of integers, rounded half to even."""
    whole, rest = divmod(amount, divisor)
    return whole + (2 * rest > divisor or (2 * rest == divisor and whole % 2 == 1))


def _urn(path: str, export: Export) -> str:
    """Return a resource's id: the same for the same resource, whenever it is exported."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:meterbeat:{export.user_id}:{path}')}"
