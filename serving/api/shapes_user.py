"""The JSON shapes of what hangs on one user: predecessors of figures, invoices, alerts."""

from typing import Literal

from pydantic import Field

from infra.contracts.utility import Utility
from serving.api.shapes import Note, Shape, Sources, UtcTime
from serving.api.shapes_usage import A_CURSOR, NEXT, Cursor
from serving.figures.alerts import AlertKind, Severity


class RevisionItem(Shape):
    """A figure of a UTC day that another took the place of."""

    date: str = Field(description="the UTC day, one night of batch", examples=["2026-03-08"])
    known_from: UtcTime = Field(description="when it was published")
    known_until: UtcTime = Field(description="when the next version took its place")
    usage: int = Field(description="Wh or litres, as told then", examples=[9_102])
    usage_now: int | None = Field(
        description="as told now; null where the day is no longer published", examples=[9_214]
    )
    reason: str = Field(description="why it was replaced", examples=["late data"])


class Revisions(Shape):
    """What was told of a utility's UTC days before, ascending by day and by when it was known."""

    user_id: int = Field(examples=[10_000_042])
    utility: Utility
    unit: Literal["Wh", "L"]
    as_of: UtcTime
    sources: Sources
    notes: list[Note]
    items: list[RevisionItem]
    next: Cursor = Field(description=NEXT, examples=[A_CURSOR])


class InvoiceItem(Shape):
    """An invoice, or the credit that reverses one. None is ever edited."""

    number: str = Field(examples=["2026-10-10000042-1"])
    kind: Literal["invoice", "credit"]
    month: str = Field(description="the household's local month", examples=["2026-10"])
    version: int = Field(description="1, and one more each time the month is issued again", examples=[1])
    currency: str = Field(description="ISO 4217", examples=["USD"])
    total: int = Field(description="minor units; of a credit below 0", examples=[8_412])
    issued_at: UtcTime
    reverses: str | None = Field(
        description="of a credit: the invoice's number", examples=["2026-10-10000042-1"]
    )
    stands: bool = Field(description="whether this is what is owed for the month: no credit reverses it")


class Invoices(Shape):
    """A user's invoices and credits, the newest month first."""

    user_id: int = Field(examples=[10_000_042])
    as_of: UtcTime
    sources: Sources
    notes: list[Note]
    items: list[InvoiceItem]
    next: Cursor = Field(description=NEXT, examples=[A_CURSOR])


class InvoiceLineItem(Shape):
    """A line of an invoice: quantity x price, rounded once, half to even."""

    line: int = Field(examples=[1])
    utility: Utility
    component: Literal["energy", "standing", "tax"]
    label: str = Field(examples=["peak, from 300,000 Wh"])
    tier_from: int = Field(description="the month's usage from which the price holds", examples=[0])
    quantity: int = Field(examples=[214_802])
    quantity_estimated: int = Field(description="the part of it that is not measured", examples=[0])
    unit: Literal["Wh", "L", "day", "minor"] = Field(
        description="minor: the amounts, in minor units, that a tax is levied on"
    )
    price_micro: int = Field(
        description="millionths of the minor unit for one unit; of a tax parts per million",
        examples=[16_000],
    )
    amount: int = Field(description="minor units", examples=[3_437])
    day_from: str = Field(description="the first local day", examples=["2026-10-01"])
    day_until: str = Field(description="the local day after the last", examples=["2026-11-01"])
    night_from: str | None = Field(
        description="of energy: the first UTC day that it rests on", examples=["2026-10-01"]
    )
    night_to: str | None = Field(description="of energy: the last one", examples=["2026-11-01"])


class InvoiceDetail(InvoiceItem):
    """An invoice or credit with its lines."""

    user_id: int = Field(examples=[10_000_042])
    as_of: UtcTime
    sources: Sources
    notes: list[Note]
    zone: str = Field(examples=["America/New_York"])
    truth_until: UtcTime = Field(description="up to when usage was published as it was made")
    lines: list[InvoiceLineItem]


class AlertItem(Shape):
    """Something that a household should be told of."""

    kind: AlertKind = Field(
        description="leak: water that never rests; base_load: what is used at rest has risen; silent_meter: "
        "not heard for more than 15 minutes; gap, stuck, zero, read: what a night found and corrected"
    )
    utility: Utility
    since: UtcTime
    until: UtcTime | None = Field(description="null while it lasts, as far as is known")
    message: str = Field(
        examples=["Within these 3 hours the meter was silent; 412 Wh of usage are estimated."]
    )
    amount: int | None = Field(
        description="what it is about in `unit`: of a leak the least in any hour, of base_load the rise an "
        "hour, else the usage concerned",
        examples=[412],
    )
    unit: Literal["Wh", "L"]
    severity: Severity


class Alerts(Shape):
    """A household's alerts: what lasts first, then warnings, then the newest."""

    user_id: int = Field(examples=[10_000_042])
    as_of: UtcTime
    truth_until: UtcTime | None
    sources: Sources
    notes: list[Note]
    items: list[AlertItem]
    next: Cursor = Field(description="always null: there are at most 50", examples=[None])
