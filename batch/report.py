"""What a night tells: for people as tables, for programs as JSON."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.contracts.utility import Utility


@dataclasses.dataclass(frozen=True)
class Report:
    """One published night. heartbeats + doubled + set_aside = all in the archive."""

    night: str
    users: int
    rows: int
    heartbeats: int  # distinct ones of known users
    doubled: int
    set_aside: int  # of users master data does not know
    silent: int  # meters that carry their register
    fell: int  # meters whose register went down
    usage_total: dict[str, int]  # by utility, in its unit
    regions: int
    first_night: bool  # no night before to start from
    archive_objects: int
    archive_bytes: int
    rows_checksum: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)

    def print(self, console: Console, seconds: Mapping[str, float]) -> None:
        """Write the night as a table; seconds are by stage."""
        table = Table(title=f"night {self.night}, published", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for name in ("users", "rows", "heartbeats", "doubled", "set_aside", "silent", "fell", "regions"):
            table.add_row(name.replace("_", " "), f"{getattr(self, name):,}")
        for utility in Utility:
            if utility in self.usage_total:
                table.add_row(f"{utility}, {utility.unit}", f"{self.usage_total[utility]:,}")
        table.add_row("archive, bytes", f"{self.archive_bytes:,}")
        for stage, taken in seconds.items():
            table.add_row(f"{stage}, s", f"{taken:,.1f}")
        console.print(table)
