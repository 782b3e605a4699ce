"""Versions of published rows, in SQL: what a publication changes, and how each row keeps its predecessors.

A table with versions holds what is known now. `known_from` is when a version was published, `published_by`
the night whose run came to it. A version whose place is taken goes to the table's ledger,
`<table>_superseded`, with `known_until`, and is never touched again there.

Verdicts come first, one for each row that must change, in `<table>_changes` of the staging database; then the
change itself is a few statements over them. Rows of usage that several nights have published are contested,
and left to batch/claims.py. All statements take parameters by name: `night`, whose run it is, `at`, when it
is published, and `before`, the publication that a rollback undoes.
"""

import dataclasses
from collections.abc import Iterable

from batch.staging import FINDINGS, RECONCILIATIONS, USAGE_DAYS, Table

NEW, CHANGED, REMOVED, KEPT = "new", "changed", "removed", "kept"
VERSION = ("known_from", "published_by")


@dataclasses.dataclass(frozen=True)
class Versions:
    """The statements for one table; `staging` is the database of its staged rows and verdicts."""

    table: Table
    staging: str

    @property
    def current(self) -> str:
        """What is known now."""
        return self.table.name

    @property
    def ledger(self) -> str:
        """What was known before."""
        return f"{self.table.name}_superseded"

    @property
    def staged(self) -> str:
        """What a night's run came to."""
        return f"{self.staging}.{self.table.name}"

    @property
    def changes(self) -> str:
        """The verdicts. With `overtakes`, what a later night published of the row gives way.

        `claimed_by` is the night whose word takes the place in a contested row.
        """
        return f"{self.staging}.{self.table.name}_changes"

    @property
    def contested(self) -> str:
        """The rows that other nights than their own have published too, of those that this is about."""
        return f"{self.staging}.{self.table.name}_contested"

    def create(self) -> tuple[str, str]:
        """Make empty tables of contested rows and of verdicts."""
        verdicts = ", ".join(f"'{verdict}'" for verdict in (NEW, CHANGED, REMOVED, KEPT))
        key = names(self.table.key)
        columns = f"PRIMARY KEY ({key})) SELECT {key} FROM {self.current} LIMIT 0"
        return (
            f"CREATE TABLE {self.contested} (fresh BOOLEAN, {columns}",
            f"CREATE TABLE {self.changes} (verdict ENUM ({verdicts}), overtakes BOOLEAN, claimed_by DATE, "
            f"{columns}",
        )

    def judge_staged(self) -> str:
        """Hold each of the night's staged rows against the published one; equal ones get no verdict."""
        return f"""
            INSERT INTO {self.changes} ({names(self.table.key)}, verdict, overtakes)
            SELECT {names(self.table.key, "staged")}, IF(current.night IS NULL, '{NEW}', '{CHANGED}'), FALSE
            FROM {self.staged} AS staged
            LEFT JOIN {self.current} AS current ON {self._match("current", "staged")}
            WHERE staged.night = %(night)s AND {self._uncontested("staged")}
                AND (current.night IS NULL OR NOT ({same(self.table.values, "staged", "current")}))"""

    def judge_missing(self) -> str:
        """Find the night's published rows that its run no longer comes to."""
        return f"""
            INSERT INTO {self.changes} ({names(self.table.key)}, verdict, overtakes)
            SELECT {names(self.table.key, "current")}, '{REMOVED}', FALSE
            FROM {self.current} AS current
            LEFT JOIN {self.staged} AS staged ON {self._match("staged", "current")}
            WHERE current.night = %(night)s AND staged.night IS NULL AND {self._uncontested("current")}"""

    def judge_for_rollback(self) -> tuple[str, str]:
        """Find what the night's runs published of it since `before`, and what they removed."""
        ours = f"""
            INSERT INTO {self.changes} ({names(self.table.key)}, verdict, overtakes)
            SELECT {names(self.table.key, "current")},
                IF(earlier.night IS NULL, '{REMOVED}', '{CHANGED}'), FALSE
            FROM {self.current} AS current
            LEFT JOIN {self.ledger} AS earlier ON {self._match("earlier", "current")} AND {_KNOWN_BEFORE}
            WHERE current.night = %(night)s AND current.known_from >= %(before)s
                AND {self._uncontested("current")}"""
        removed = f"""
            INSERT INTO {self.changes} ({names(self.table.key)}, verdict, overtakes)
            SELECT {names(self.table.key, "earlier")}, '{NEW}', FALSE
            FROM {self.ledger} AS earlier
            LEFT JOIN {self.current} AS current ON {self._match("current", "earlier")}
            WHERE earlier.night = %(night)s AND {_KNOWN_BEFORE} AND current.night IS NULL
                AND {self._uncontested("earlier")}"""
        return ours, removed

    def supersede(self, reason: str) -> tuple[str, str]:
        """Move the rows that change or go to the ledger; `reason` is SQL, and may look at `current.night`."""
        reasons = {"reason": reason} if self.table is USAGE_DAYS else {}
        columns = (*self.table.columns, *VERSION)
        end = ", ".join(("%(at)s", "%(night)s", *reasons.values()))
        gone = f"""
            FROM {self.changes} AS changes
            STRAIGHT_JOIN {self.current} AS current ON {self._match("current", "changes")}
            WHERE changes.verdict IN ('{CHANGED}', '{REMOVED}')"""
        return (
            f"INSERT INTO {self.ledger} ({names((*columns, 'known_until', 'night_by', *reasons))}) "
            f"SELECT {names(columns, 'current')}, {end}{gone}",
            f"DELETE current{gone}",
        )

    def put_night(self) -> str:
        """Publish all staged rows of a night of which nothing is published yet."""
        return (
            f"INSERT INTO {self.current} ({names((*self.table.columns, *VERSION))}) "
            f"SELECT {names(self.table.columns)}, %(at)s, %(night)s "
            f"FROM {self.staged} AS staged WHERE night = %(night)s AND {self._uncontested('staged')}"
        )

    def put_staged(self) -> str:
        """Publish the staged rows that are new or differ."""
        return self._put(self.staged, "")

    def put_back(self) -> str:
        """Publish again what was known before a publication."""
        return self._put(self.ledger, f"AND {_KNOWN_BEFORE}")

    def _put(self, source: str, which: str) -> str:
        return f"""
            INSERT INTO {self.current} ({names((*self.table.columns, *VERSION))})
            SELECT {names(self.table.columns, "earlier")}, %(at)s, %(night)s
            FROM {self.changes} AS changes
            STRAIGHT_JOIN {source} AS earlier ON {self._match("earlier", "changes")} {which}
            WHERE changes.verdict IN ('{NEW}', '{CHANGED}') AND changes.claimed_by IS NULL"""

    def _uncontested(self, row: str) -> str:
        return (
            f"NOT EXISTS (SELECT 1 FROM {self.contested} AS contested WHERE {self._match('contested', row)})"
        )

    def _match(self, one: str, other: str) -> str:
        return match(self.table.key, one, other)


VERSIONED = (USAGE_DAYS, FINDINGS, RECONCILIATIONS)
# The version of a row that the publication at `before`, or one after it, took the place of.
_KNOWN_BEFORE = "earlier.known_from < %(before)s AND earlier.known_until >= %(before)s"


def names(columns: Iterable[str], row: str = "") -> str:
    """Return a list of columns, of one of the rows of a statement."""
    return ", ".join(f"{row}.{column}" if row else column for column in columns)


def match(key: Iterable[str], one: str, other: str) -> str:
    """Return that two rows of a statement are the same by a key without nulls."""
    return " AND ".join(f"{one}.{column} = {other}.{column}" for column in key)


def same(columns: Iterable[str], one: str, other: str) -> str:
    """Return that two rows of a statement hold the same, nulls included."""
    return " AND ".join(f"{one}.{column} <=> {other}.{column}" for column in columns)
