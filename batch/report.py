"""What a night and a compaction tell: for people as tables, for programs as JSON."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from batch.compaction import Compacted
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
    findings: int
    changed: int  # rows published before, of this night or earlier ones, that differ now
    usage_total: dict[str, int]  # by utility, in its unit
    usage_estimated: dict[
        str, int
    ]  # what no dial showed: projected now, less what earlier nights had projected
    usage_quarantined: dict[str, int]  # what dials showed and no user used
    adjusted: list[dict[str, int | str]]  # against the stream, by reason and utility: users, and by how much
    moves_next: bool  # an earlier run of the night handed on something else to the next
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
        for name in (
            "users",
            "rows",
            "heartbeats",
            "doubled",
            "set_aside",
            "silent",
            "fell",
            "findings",
            "changed",
            "regions",
        ):
            table.add_row(name.replace("_", " "), f"{getattr(self, name):,}")
        for utility in Utility:
            if utility in self.usage_total:
                table.add_row(f"{utility}, {utility.unit}", f"{self.usage_total[utility]:,}")
                table.add_row(f"  estimated, {utility.unit}", f"{self.usage_estimated[utility]:,}")
        for one in self.adjusted:
            table.add_row(
                f"{one['reason']}: {one['utility']}", f"{one['users']:,} users, {one['adjusted']:+,}"
            )
        table.add_row("archive, bytes", f"{self.archive_bytes:,}")
        for stage, taken in seconds.items():
            table.add_row(f"{stage}, s", f"{taken:,.1f}")
        console.print(table)


@dataclasses.dataclass(frozen=True)
class Verified:
    """What a published night is, held against its recount."""

    night: str
    rows: int  # recounted
    users_differing: int  # of whom any figure differs, or a row is there only once
    user_ids: tuple[int, ...]  # the first of them

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        if not self.users_differing:
            return f"night {self.night}: {self.rows:,} rows, published as recounted"
        named = ", ".join(str(user_id) for user_id in self.user_ids)
        return f"night {self.night}: {self.users_differing:,} users differ from the recount, such as {named}"


@dataclasses.dataclass(frozen=True)
class CompactionReport:
    """One day's compaction, by utility and in all; `removed` objects are what earlier ones superseded."""

    day: str
    utilities: Sequence[Compacted]
    removed: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values; figures that nothing was measured for are null."""
        return {
            "day": self.day,
            "removed_objects": self.removed,
            **_figures(self.utilities),
            "utilities": {
                one.utility: {**_figures([one]), "generation": one.generation} for one in self.utilities
            },
        }

    def print(self, console: Console) -> None:
        """Write the compaction as a table."""
        table = Table(
            "", "heartbeats", "objects", "bytes", "B a heartbeat", "s", title=f"archive of {self.day}"
        )
        for column in table.columns[1:]:
            column.justify = "right"
        for name, parts in [*((one.utility, [one]) for one in self.utilities), ("all", self.utilities)]:
            sums = _figures(parts)
            table.add_row(
                name,
                f"{sums['rows']:,}",
                f"{sums['objects_before']:,} -> {sums['objects_after']:,}",
                f"{sums['bytes_before']:,} -> {sums['bytes_after']:,}",
                f"{sums['bytes_per_heartbeat_before']} -> {sums['bytes_per_heartbeat_after']}",
                f"{sums['seconds']:,.1f}",
            )
        console.print(table)


def _figures(parts: Sequence[Compacted]) -> dict[str, Any]:
    """Return sums and ratios; the rate counts only what was rewritten."""
    names = ("rows", "objects_before", "objects_after", "bytes_before", "bytes_after", "seconds")
    sums = {name: sum(getattr(one, name) for one in parts) for name in names}
    rewritten = sum(one.rows for one in parts if one.seconds)
    ratios = {
        f"bytes_per_heartbeat_{when}": round(sums[f"bytes_{when}"] / sums["rows"], 3)
        if sums["rows"]
        else None
        for when in ("before", "after")
    }
    return {**sums, **ratios, "heartbeats_per_s": round(rewritten / sums["seconds"]) if rewritten else None}
