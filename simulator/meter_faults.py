"""How often meters themselves go wrong, for validation to find: shares by kind of fault. Pure.

The words are those of the contract's Rule. Faults that last hours befall a meter's UTC day; what a dial
does by itself befalls few meters again and again.
"""

import dataclasses

from infra.contracts.quality import Rule
from simulator.faults import PARTS, FaultError, read_shares, shares_text

PERIOD_DAYS = 28
"""How often a reset, an exchange or a leak comes to a meter that has it."""


@dataclasses.dataclass(frozen=True)
class MeterFaults:
    """How often each fault befalls a meter, in parts per million of its days; rollover: of all meters."""

    gap_ppm: int = 0
    spike_ppm: int = 0
    negative_ppm: int = 0
    stuck_ppm: int = 0
    zero_ppm: int = 0
    rate_ppm: int = 0
    clock_ppm: int = 0
    read_ppm: int = 0
    leak_ppm: int = 0
    rollover_ppm: int = 0
    reset_ppm: int = 0
    exchange_ppm: int = 0

    @classmethod
    def parse(cls, text: str) -> "MeterFaults":
        """Read `gap=2%,stuck=0.01`: percentages or fractions.

        :raises FaultError: naming the part, and what it may be.
        """
        values = read_shares("meter fault", text, [field.name for field in dataclasses.fields(cls)])
        faults = cls(**values)
        if sum(faults.by_day.values()) > PARTS:
            raise FaultError(f"meter faults {text!r} come to more than 100% of days. A day has one fault")
        if sum(faults.by_meter.values()) > PARTS:
            raise FaultError(
                f"meter faults {text!r} come to more than all meters. One has a leak, reset or exchange "
                f"every {PERIOD_DAYS} days, or a dial that rolls over, and only one of them"
            )
        return faults

    @property
    def by_day(self) -> dict[Rule, int]:
        """Parts per million of meters' days that a fault befalls on that day alone."""
        return {rule: self._share(rule) for rule in BY_DAY}

    @property
    def by_meter(self) -> dict[Rule, int]:
        """Parts per million of meters whose dial does something of the kind again and again."""
        return {
            rule: self._share(rule) if rule is Rule.ROLLOVER else min(PARTS, PERIOD_DAYS * self._share(rule))
            for rule in BY_METER
        }

    def __str__(self) -> str:
        """Return what `parse` reads, or `none`."""
        return shares_text(dataclasses.asdict(self))

    def __bool__(self) -> bool:
        return any(dataclasses.astuple(self))

    def _share(self, rule: Rule) -> int:
        return int(getattr(self, f"{rule}_ppm"))


BY_DAY = (
    Rule.GAP,
    Rule.SPIKE,
    Rule.NEGATIVE,
    Rule.STUCK,
    Rule.ZERO,
    Rule.RATE,
    Rule.CLOCK,
    Rule.READ,
)
BY_METER = (Rule.ROLLOVER, Rule.RESET, Rule.EXCHANGE, Rule.LEAK)
NONE = MeterFaults()
"""Meters that never go wrong."""
