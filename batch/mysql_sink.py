"""MySQL: a night is loaded beside the truth, verified there, and switched in by one transaction.

A named lock is held on the very connection that switches: whoever loses it cannot publish. Staging is
batch/staging.py, what becomes of each row batch/versions.py and, if nights differ over it, batch/claims.py.
"""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from batch.claims import Claims
from batch.conservation import USERS_NAMED_MAX
from batch.database_sink import Database, Lock, LockedOut, compaction_lock
from batch.night import Night, NightRefused
from batch.region_days import RegionDays
from batch.restatements import fingerprints, published_rows
from batch.staging import HOUSEHOLDS, REGIONS, TABLES, Table, create_sql, load, load_batches, staged_sql
from batch.versions import CHANGED, KEPT, NEW, REMOVED, VERSIONED, Versions
from infra.contracts.utility import UTILITIES

RECOMPUTED = "recomputed"
ROLLBACK = "rollback"
RESOLUTION = datetime.timedelta(milliseconds=1)  # of instants in MySQL
UNITS = {utility: "wh" if utility.unit == "Wh" else "litres" for utility in UTILITIES}
NIGHT_VALUES = (
    "users",
    "heartbeats",
    *(f"{utility}_{UNITS[utility]}" for utility in UTILITIES),
    *(f"{utility}_estimated_{UNITS[utility]}" for utility in UTILITIES),
    "findings",
    "rows_checksum",
    "archive_fingerprint",
)
NIGHT_COLUMNS = ("night", "truth_until", *NIGHT_VALUES, "published_at", "restated_from", "restores")


@dataclasses.dataclass(frozen=True)
class NightRow:
    """What the `nights` table says of a night."""

    users: int
    heartbeats: int
    usage_total: Mapping[str, int]  # by utility, in its unit
    rows_checksum: int
    usage_estimated: Mapping[str, int] = dataclasses.field(default_factory=dict)  # by utility, in its unit
    findings: int = 0
    archive_fingerprint: str = ""  # of what the archive held when the night was computed

    def values(self) -> tuple[int | str, ...]:
        """Return the values of NIGHT_VALUES."""
        totals = (self.usage_total, self.usage_estimated)
        by_utility = (total.get(utility, 0) for total in totals for utility in UTILITIES)
        counts = (self.users, self.heartbeats, *by_utility)
        return (*counts, self.findings, self.rows_checksum, self.archive_fingerprint)


@dataclasses.dataclass(frozen=True)
class Switched:
    """What a publication changed, in rows of usage; nothing at all if it repeats what there was."""

    published_at: datetime.datetime  # UTC; of the night as it is now
    rows_new: int
    rows_changed: int
    rows_removed: int
    rows_kept_restated: int  # recomputed as published; what a later night made of them stays
    rows_overtaken: int  # changed or removed although a later night had restated them: it must run again
    findings_changed: int
    reconciliations_changed: int


@dataclasses.dataclass(frozen=True)
class RolledBack:
    """What a rollback put back, in rows of usage."""

    night: datetime.date
    restored: datetime.datetime | None  # UTC; published_at of what is published again; None: nothing was
    rows_restored: int
    rows_removed: int
    nights: tuple[datetime.date, ...]  # whose usage is other than before, in order

    def __str__(self) -> str:
        rows = f"{self.rows_restored:,} rows put back, {self.rows_removed:,} removed"
        if self.restored is None:
            return f"night {self.night} is no longer published: {rows}"
        return f"night {self.night} is again as published at {self.restored:%Y-%m-%dT%H:%M:%S}Z: {rows}"


@dataclasses.dataclass(frozen=True)
class _Verdicts:
    """How many rows of one table a publication touches."""

    new: int
    changed: int
    removed: int
    kept: int
    overtaken: int

    @property
    def differing(self) -> int:
        return self.new + self.changed + self.removed


class Publication(Lock):
    """The right to publish, held on one connection until closed."""

    def __init__(self, database: Database) -> None:
        refusal = f"another night is being published into {database.name}; try again once it is done"
        super().__init__(database, "night", refusal)
        # Every statement sees what is committed, and none locks what it only reads.
        self._query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        self._versions = tuple(Versions(table, database.staging) for table in VERSIONED)
        self._usage = self._versions[0]
        self._claims = Claims(self._usage)
        self._region_days = RegionDays(self._usage)

    def has(self, night: Night) -> bool:
        """Whether a night is published."""
        return bool(self._query("SELECT 1 FROM nights WHERE night = %s", night.day))

    def rows_checksum(self, night: Night) -> int | None:
        """Return the checksum of all that a night published, None where it is not published."""
        found = self._query("SELECT rows_checksum FROM nights WHERE night = %s", night.day)
        return found[0][0] if found else None

    def has_before(self, night: Night) -> bool:
        """Whether any earlier night is published."""
        return bool(self._query("SELECT 1 FROM nights WHERE night < %s LIMIT 1", night.day))

    def prepare(self) -> None:
        """Make empty staging tables shaped as the real ones."""
        self.clear()
        for table in TABLES.values():
            self._query(create_sql(table, self._database.staging))
        for versions in self._versions:
            for statement in versions.create():
                self._query(statement)
        self._query(self._claims.create())
        self._query(self._region_days.create_moved())

    def clear(self) -> None:
        """Drop the staging tables."""
        names = [f"{self._database.staging}.{name}" for name in TABLES]
        names += [name for versions in self._versions for name in (versions.changes, versions.contested)]
        for name in (*names, self._region_days.moved, self._claims.standing):
            self._query(f"DROP TABLE IF EXISTS {name}")

    def verify(self, table: str, rows: int, checksum: int) -> None:
        """Hold what MySQL staged against what was sent.

        :raises NightRefused: if a row is missing or any figure differs.
        """
        staged = self._query(staged_sql(TABLES[table], self._database.staging))
        if staged[0] != (rows, checksum):
            raise NightRefused(
                f"{table} as staged differs from what was sent: {staged[0][0]} of {rows} rows, "
                f"checksum {staged[0][1]} not {checksum}"
            )

    def differing_users(self, night: Night) -> tuple[int, list[int]]:
        """Return how many users' staged usage is not what the night published, and the first ids.

        A row that a later night restated is none, as long as the night comes to what it published itself.
        """
        self._judge(self._usage, {"night": night.day})
        differing = f"FROM {self._usage.changes} WHERE verdict <> '{KEPT}'"
        [[count]] = self._query(f"SELECT COUNT(DISTINCT user_id) {differing}")
        rows = self._query(f"SELECT DISTINCT user_id {differing} ORDER BY user_id LIMIT {USERS_NAMED_MAX}")
        return count, [user_id for [user_id] in rows]

    def switch(
        self,
        night: Night,
        row: NightRow,
        published_at: datetime.datetime,
        reasons: Mapping[datetime.date, str] | None = None,
    ) -> Switched:
        """Publish what is staged, for every reader at once: usage, findings, the `nights` row, master data.

        Staged rows of usage of earlier nights restate those; `reasons` says, by night, why its rows change:
        by default they were recomputed. Rows that are the same stay untouched, and if all are, so does
        `published_at`. Publications follow each other by a millisecond at least, whatever the clock says.

        :raises NightRefused: if MySQL is away or refuses, LockedOut if another connection is in the way;
            readers see the night as before.
        """
        reasons, of_night = reasons or {}, {"night": night.day}
        empty = [not self._has_rows(versions, night) for versions in self._versions]
        for versions, first in zip(self._versions, empty, strict=True):
            self._judge(versions, of_night, first=first)
        found = [self._verdicts(versions) for versions in self._versions]
        self._change(f"DELETE FROM {self._region_days.moved}", {})
        self._change(self._region_days.find_moved(), {})
        with self._transaction():
            at = self._instant(published_at)
            values = of_night | {"at": at}
            self._change(self._region_days.leave(), {})
            self._replace_master(HOUSEHOLDS)
            self._change(self._region_days.arrive(), {})
            for number, (versions, first) in enumerate(zip(self._versions, empty, strict=True)):
                if first:
                    rows = self._change(versions.put_night(), values)
                    found[number] = dataclasses.replace(found[number], new=found[number].new + rows)
            if empty[0]:
                self._change(self._region_days.add_night(), of_night)
            claimed = self._claim((*self._claims.remember(), *self._claims.change()), values)
            for versions in self._versions:
                self._apply(versions, _reason_sql(reasons), versions.put_staged(), values)
            self._change(self._region_days.tidy(), {})
            differ = bool(claimed) or any(verdicts.differing for verdicts in found)
            at = self._write_night(night, row, at, differ, reasons.get(night.day, RECOMPUTED))
            self._replace_master(REGIONS)
        usage, findings, reconciliations = found
        return Switched(
            published_at=at.replace(tzinfo=datetime.UTC),
            rows_new=usage.new,
            rows_changed=usage.changed,
            rows_removed=usage.removed,
            rows_kept_restated=usage.kept,
            rows_overtaken=usage.overtaken,
            findings_changed=findings.differing,
            reconciliations_changed=reconciliations.differing,
        )

    def rollback(self, night: Night, published_at: datetime.datetime) -> RolledBack:
        """Put back what was published before the night's last publication that changed anything.

        What is undone goes to the ledger. A night that was not published before is not any more. Rolled back
        again, it goes one publication further. Master data stay as they are.

        :raises NightRefused: if it is not the newest published night.
        """
        self._check_newest(night)
        self.prepare()
        columns = ", ".join(NIGHT_COLUMNS[:-1])
        [[before]] = self._query(
            "SELECT COALESCE(restores, published_at) FROM nights WHERE night = %s", night.day
        )
        values = {"night": night.day, "before": before}
        for statement in (self._claims.find_for_rollback(), *self._claims.gather_for_rollback()):
            self._change(statement, values)
        for versions in self._versions:
            for statement in versions.judge_for_rollback():
                self._change(statement, values)
        for statement in self._claims.judge():
            self._change(statement, values)
        usage = self._verdicts(self._usage)
        nights = self._query(f"SELECT DISTINCT night FROM {self._usage.changes} ORDER BY night")
        with self._transaction():
            at = self._instant(published_at)
            values |= {"at": at}
            self._claim(self._claims.roll_back(), values)
            for versions in self._versions:
                self._apply(versions, f"'{ROLLBACK}'", versions.put_back(), values)
            self._change(self._region_days.tidy(), {})
            self._supersede_night(night, at, ROLLBACK)
            self._change("DELETE FROM nights WHERE night = %(night)s", values)
            restored = self._change(
                f"INSERT INTO nights ({columns}, restores) SELECT "
                f"{columns.replace('published_at', '%(at)s')}, COALESCE(restores, published_at) "
                "FROM nights_superseded WHERE night = %(night)s "
                "AND published_at < %(before)s AND known_until >= %(before)s",
                values,
            )
            found = self._query("SELECT restores FROM nights WHERE night = %s", night.day)
        self.clear()
        return RolledBack(
            night=night.day,
            restored=found[0][0].replace(tzinfo=datetime.UTC) if restored else None,
            rows_restored=usage.new + usage.changed,
            rows_removed=usage.removed,
            nights=tuple(day for [day] in nights),
        )

    def _has_rows(self, versions: Versions, night: Night) -> bool:
        return bool(self._query(f"SELECT 1 FROM {versions.current} WHERE night = %s LIMIT 1", night.day))

    def _judge(self, versions: Versions, values: Mapping[str, Any], first: bool = False) -> None:
        """Fill the table of verdicts; without the night's own rows if it is `first`: all are new."""
        self._change(f"DELETE FROM {versions.changes}", {})
        if versions is self._usage:
            self._change(f"DELETE FROM {versions.contested}", {})
            self._change(f"DELETE FROM {self._claims.standing}", {})
            for statement in (self._claims.find(), *self._claims.gather(), *self._claims.judge()):
                self._change(statement, values)
        if not first:
            self._change(versions.judge_staged(), values)
            self._change(versions.judge_missing(), values)

    def _claim(self, statements: Iterable[str], values: Mapping[str, Any]) -> int:
        """Carry out what a night says otherwise of contested rows; return how many rows that touched."""
        return sum(self._change(statement, values) for statement in statements)

    def _verdicts(self, versions: Versions) -> _Verdicts:
        rows = self._query(
            f"SELECT verdict, COUNT(*), COALESCE(SUM(overtakes), 0) FROM {versions.changes} GROUP BY verdict"
        )
        counts = {verdict: count for verdict, count, _ in rows}
        overtaken = sum(int(overtakes) for verdict, _, overtakes in rows if verdict != KEPT)
        return _Verdicts(
            new=counts.get(NEW, 0),
            changed=counts.get(CHANGED, 0),
            removed=counts.get(REMOVED, 0),
            kept=counts.get(KEPT, 0),
            overtaken=overtaken,
        )

    def _apply(self, versions: Versions, reason: str, put: str, values: Mapping[str, Any]) -> None:
        """Carry out the verdicts, the sums of regions with them; without any this touches nothing."""
        statements = [*versions.supersede(reason), put]
        if versions is self._usage:
            statements = [
                self._region_days.take_off(),
                *statements,
                self._claims.put(),
                self._region_days.add(),
            ]
        for statement in statements:
            self._change(statement, values)

    def _instant(self, published_at: datetime.datetime) -> datetime.datetime:
        """Return when this publication is: now, to the millisecond, but after every other."""
        now = published_at.astimezone(datetime.UTC).replace(tzinfo=None)
        now = now.replace(microsecond=now.microsecond // 1_000 * 1_000)
        [[last]] = self._query(
            "SELECT MAX(instant) FROM (SELECT MAX(published_at) AS instant FROM nights "
            "UNION ALL SELECT MAX(known_until) FROM nights_superseded) AS instants"
        )
        return now if last is None else max(now, last + RESOLUTION)

    def _write_night(
        self, night: Night, row: NightRow, at: datetime.datetime, changed: bool, reason: str
    ) -> datetime.datetime:
        """Write the `nights` row and return when the night was published; a repetition keeps that instant."""
        published = self._query("SELECT published_at, restores FROM nights WHERE night = %s", night.day)
        [[earliest]] = self._query(
            f"SELECT LEAST(COALESCE(MIN(night), %s), %s) FROM {self._usage.staged}", *[night.day] * 2
        )
        restores = None
        if published:
            if changed:
                self._supersede_night(night, at, reason)
            else:
                [(at, restores)] = published
        values = (night.day, night.truth_until.replace(tzinfo=None), *row.values(), at, earliest, restores)
        places = ", ".join(["%s"] * len(values))
        self._query(f"REPLACE INTO nights ({', '.join(NIGHT_COLUMNS)}) VALUES ({places})", *values)
        return at

    def _supersede_night(self, night: Night, at: datetime.datetime, reason: str) -> None:
        columns = ", ".join(NIGHT_COLUMNS)
        self._query(
            f"INSERT INTO nights_superseded ({columns}, known_until, reason) "
            f"SELECT {columns}, %s, %s FROM nights WHERE night = %s",
            at,
            reason,
            night.day,
        )

    def _check_newest(self, night: Night) -> None:
        """Refuse to roll back any night but the newest published one."""
        [[newest]] = self._query("SELECT MAX(night) FROM nights")
        if not self.has(night):
            raise NightRefused(f"night {night} is not published: there is nothing to roll back")
        if newest != night.day:
            raise NightRefused(
                f"night {night} is not the newest: roll back night {newest} first, which starts from it"
            )

    def _replace_master(self, table: Table) -> None:
        """Make a master table equal its staged one, touching only rows that differ."""
        updates = ", ".join(f"{column} = VALUES({column})" for column in table.values)
        names, [key], staged = ", ".join(table.columns), table.key, f"{self._database.staging}.{table.name}"
        self._query(f"DELETE FROM {table.name} WHERE {key} NOT IN (SELECT {key} FROM {staged})")
        put = f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {staged}"
        self._query(f"{put} ON DUPLICATE KEY UPDATE {updates}")


def _reason_sql(reasons: Mapping[datetime.date, str]) -> str:
    """Return why a row changes, by its night, as SQL; one that is no longer restated was recomputed."""
    given_back = "current.night < %(night)s AND NOT changes.claimed_by <=> %(night)s"
    cases = " ".join(f"WHEN current.night = '{night}' THEN '{reason}'" for night, reason in reasons.items())
    return f"CASE WHEN {given_back} THEN '{RECOMPUTED}' {cases} ELSE '{RECOMPUTED}' END"


__all__ = [
    "TABLES",
    "Database",
    "Lock",
    "LockedOut",
    "NightRow",
    "Publication",
    "RolledBack",
    "Switched",
    "compaction_lock",
    "fingerprints",
    "load",
    "load_batches",
    "published_rows",
]
