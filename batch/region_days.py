"""What regions used, in SQL: sums that every publication moves by the rows it touches, and by no others.

Whenever a reader looks, `region_days` is the sum of `usage_days` over each region's households. So rows that
go are taken off, rows that come are added, and a household that changes its region takes all its rows along.
No night is summed a second time because a few of its rows changed.
"""

import dataclasses

from batch.staging import HOUSEHOLDS
from batch.versions import CHANGED, NEW, REMOVED, Versions
from infra.contracts.nightly import REGION_DAYS_COLUMNS, REGION_DAYS_SUMS, REGION_DAYS_TABLE


@dataclasses.dataclass(frozen=True)
class RegionDays:
    """The statements, by the verdicts on rows of usage. Parameters by name: `night`, whose run it is."""

    usage: Versions

    @property
    def moved(self) -> str:
        """The households that come, go, or change their region."""
        return f"{self.usage.staging}.households_moved"

    def create_moved(self) -> str:
        """Make an empty table of them."""
        return f"CREATE TABLE {self.moved} (PRIMARY KEY (user_id)) SELECT user_id FROM households LIMIT 0"

    def find_moved(self) -> str:
        """Hold the staged households against the published ones."""
        staged = f"{self.usage.staging}.{HOUSEHOLDS.name}"
        return f"""
            INSERT INTO {self.moved} (user_id)
            SELECT known.user_id FROM households AS known LEFT JOIN {staged} AS staged USING (user_id)
            WHERE NOT known.region <=> staged.region
            UNION SELECT staged.user_id FROM {staged} AS staged LEFT JOIN households AS known USING (user_id)
            WHERE known.user_id IS NULL"""

    def leave(self) -> str:
        """Take the rows of moved households off the regions they are in."""
        return self._sum("-", self._of_moved())

    def arrive(self) -> str:
        """Add the rows of moved households to the regions they are in."""
        return self._sum("", self._of_moved())

    def take_off(self) -> str:
        """Take off the rows that are about to change or go."""
        return self._sum("-", self._of_verdicts(CHANGED, REMOVED))

    def add(self) -> str:
        """Add the rows that have come or changed."""
        return self._sum("", self._of_verdicts(NEW, CHANGED))

    def add_night(self) -> str:
        """Add all rows of a night of which nothing was published yet."""
        return self._sum("", f"{self.usage.current} AS day", "WHERE day.night = %(night)s")

    def tidy(self) -> str:
        """Remove what is the sum of nothing."""
        return f"DELETE FROM {REGION_DAYS_TABLE} WHERE users = 0"

    def _of_moved(self) -> str:
        return f"{self.moved} AS moved JOIN {self.usage.current} AS day ON day.user_id = moved.user_id"

    def _of_verdicts(self, *verdicts: str) -> str:
        match = " AND ".join(f"day.{column} = changes.{column}" for column in self.usage.table.key)
        words = ", ".join(f"'{verdict}'" for verdict in verdicts)
        return (
            f"{self.usage.changes} AS changes STRAIGHT_JOIN {self.usage.current} AS day "
            f"ON {match} AND changes.verdict IN ({words})"
        )

    def _sum(self, sign: str, rows: str, which: str = "") -> str:
        """Add rows (`day`) to the sums of the regions that their households are in, or take them off."""
        sums = ", ".join(f"{sign}SUM(day.{column})" for column in REGION_DAYS_SUMS)
        moved = ", ".join(
            f"{column} = {REGION_DAYS_TABLE}.{column} + VALUES({column})"
            for column in ("users", "users_estimated", *REGION_DAYS_SUMS)
        )
        return f"""
            INSERT INTO {REGION_DAYS_TABLE} ({", ".join(REGION_DAYS_COLUMNS)})
            SELECT day.night, household.region, day.utility,
                {sign}COUNT(*), {sign}SUM(day.usage_estimated <> 0), {sums}
            FROM {rows} JOIN households AS household ON household.user_id = day.user_id {which}
            GROUP BY day.night, household.region, day.utility
            ON DUPLICATE KEY UPDATE {moved}"""
