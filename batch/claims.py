"""Who says what of rows that more than one night has published, in SQL: a night may restate earlier ones.

The rule: of what standing publications say of a row, what was said last is published. A night that says the
same again while only later nights have said otherwise since has not said it anew, so that a rerun changes
nothing; one that says something else overtakes later nights, which must then run again. A later night that no
longer restates a row, or stands no longer, gives it back to who spoke before it.

A row is contested from its first restatement on, for ever; few are, and all others are left to
batch/versions.py. Parameters by name as there. What will stand after a publication is put together in the
staging database first.
"""

import dataclasses

from batch.versions import CHANGED, KEPT, NEW, REMOVED, VERSION, Versions, match, names, same
from infra.contracts.nightly import CLAIMS_TABLE

# Stands for the instant of a publication that is still being judged: after every other.
SAID_NOW = "TIMESTAMP'9999-12-31 00:00:00'"
_SAYS = ("published_by", "claimed_at", "absent")


@dataclasses.dataclass(frozen=True)
class Claims:
    """The statements; `usage` are those for the rows themselves."""

    usage: Versions

    @property
    def standing(self) -> str:
        """What will stand of the contested rows that a publication is about."""
        return f"{self.usage.staging}.{CLAIMS_TABLE}"

    def create(self) -> str:
        """Make an empty table of what will stand."""
        key = names((*self.usage.table.key, "published_by"))
        columns = names((*self.usage.table.columns, *_SAYS))
        return (
            f"CREATE TABLE {self.standing} (PRIMARY KEY ({key})) SELECT {columns} FROM {CLAIMS_TABLE} LIMIT 0"
        )

    def find(self) -> str:
        """Find the contested rows that a publication is about: it restates them, did so, or they are its own.

        `fresh` are those that become contested by it.
        """
        key = names(self.usage.table.key)
        return f"""
            INSERT INTO {self.usage.contested} ({key}, fresh)
            SELECT {key}, FALSE FROM {CLAIMS_TABLE} WHERE night = %(night)s
            UNION SELECT {key}, FALSE FROM {CLAIMS_TABLE}
            WHERE published_by = %(night)s AND known_until IS NULL
            UNION SELECT {key}, NOT EXISTS (
                SELECT 1 FROM {CLAIMS_TABLE} AS claim WHERE {self._match("claim", "staged")})
            FROM {self.usage.staged} AS staged WHERE night < %(night)s"""

    def find_for_rollback(self) -> str:
        """Find the contested rows of the night, and those it has said something of since `before`."""
        key = names(self.usage.table.key)
        return f"""
            INSERT INTO {self.usage.contested} ({key}, fresh)
            SELECT {key}, FALSE FROM {CLAIMS_TABLE} WHERE night = %(night)s
            UNION SELECT {key}, FALSE FROM {CLAIMS_TABLE}
            WHERE published_by = %(night)s AND (known_from >= %(before)s OR known_until >= %(before)s)"""

    def gather(self) -> tuple[str, ...]:
        """Put together what will stand after a publication: what other nights say, and what this one does."""
        columns = self.usage.table.columns
        said_as_before = (
            f"NOT old.absent AND {self._same('staged', 'old')} AND NOT EXISTS ({self._overtaken()})"
        )
        said = f"""
            SELECT {names(columns, "staged")}, %(night)s,
                IF({said_as_before}, old.claimed_at, {SAID_NOW}), FALSE
            FROM {self.usage.contested} AS contested
            JOIN {self.usage.staged} AS staged ON {self._match("staged", "contested")}
            LEFT JOIN {CLAIMS_TABLE} AS old ON {self._match("old", "staged")} AND {_stands("old", "=")}"""
        no_longer = f"""
            SELECT {names(columns, "old")}, %(night)s, IF(old.absent, old.claimed_at, {SAID_NOW}), TRUE
            FROM {self.usage.contested} AS contested
            JOIN {CLAIMS_TABLE} AS old ON {self._match("old", "contested")} AND {_stands("old", "=")}
            LEFT JOIN {self.usage.staged} AS staged ON {self._match("staged", "contested")}
            WHERE contested.night = %(night)s AND staged.night IS NULL"""
        return (*self._others(), *(f"{self._into_standing()} {rows}" for rows in (said, no_longer)))

    def gather_for_rollback(self) -> tuple[str, ...]:
        """Put together what will stand after a rollback: of the night, what it said just before `before`."""
        earlier = f"""
            SELECT {names((*self.usage.table.columns, *_SAYS), "claim")}
            FROM {self.usage.contested} AS contested
            JOIN {CLAIMS_TABLE} AS claim ON {self._match("claim", "contested")}
            WHERE claim.published_by = %(night)s AND claim.known_from < %(before)s
                AND COALESCE(claim.known_until >= %(before)s, TRUE)"""
        return (*self._others(), f"{self._into_standing()} {earlier}")

    def judge(self) -> tuple[str, str]:
        """Hold what was said last of each row against what is published, and say whose that is."""
        key = self.usage.table.key
        last = f"""
            FROM {self.usage.contested} AS contested
            LEFT JOIN {self.usage.current} AS current ON {self._match("current", "contested")}
            LEFT JOIN {self.standing} AS last ON {self._match("last", "contested")}
                AND last.claimed_at = (SELECT MAX(one.claimed_at) FROM {self.standing} AS one
                    WHERE {self._match("one", "contested")})"""
        there = "COALESCE(NOT last.absent, FALSE)"
        equal = f"IF({there}, COALESCE({self._same('current', 'last')}, FALSE), current.night IS NULL)"
        before = f"""
            SELECT claim.published_by FROM {CLAIMS_TABLE} AS claim
            WHERE {self._match("claim", "contested")} AND claim.known_until IS NULL
            ORDER BY claim.claimed_at DESC LIMIT 1"""
        into = f"INSERT INTO {self.usage.changes} ({names(key)}, verdict, overtakes, claimed_by)"
        differing = f"""
            {into} SELECT {names(key, "contested")},
                CASE WHEN NOT {there} THEN '{REMOVED}' WHEN current.night IS NULL THEN '{NEW}'
                     ELSE '{CHANGED}' END,
                COALESCE(({before}) > %(night)s, FALSE), IF({there}, last.published_by, NULL)
            {last} WHERE NOT {equal}"""
        kept = f"""
            {into} SELECT {names(key, "contested")}, '{KEPT}', FALSE, last.published_by
            {last} WHERE {equal} AND contested.night = %(night)s AND last.published_by > %(night)s"""
        return differing, kept

    def remember(self) -> tuple[str, str]:
        """Take over, for rows that become contested, what the one night that published them ever said."""
        columns = self.usage.table.columns
        said = f"FALSE, {{0}}.known_from, {{0}}.known_from, {names((*columns, 'published_by'), '{0}')}"
        into = (
            f"INSERT INTO {CLAIMS_TABLE} (known_until, absent, claimed_at, known_from, "
            f"{names((*columns, 'published_by'))})"
        )
        return tuple(  # type: ignore[return-value]
            f"{into} SELECT {until}, {said.format('one')} FROM {self.usage.contested} AS contested "
            f"JOIN {table} AS one ON {self._match('one', 'contested')} WHERE contested.fresh"
            for table, until in ((self.usage.ledger, "one.known_until"), (self.usage.current, "NULL"))
        )

    def change(self) -> tuple[str, str]:
        """Carry out what the night says otherwise than before."""
        ended = f"""
            UPDATE {self.usage.contested} AS contested
            JOIN {CLAIMS_TABLE} AS claim ON {self._match("claim", "contested")}
            LEFT JOIN {self.standing} AS said
                ON {self._match("said", "claim")} AND said.published_by = %(night)s
            SET claim.known_until = %(at)s
            WHERE {_stands("claim", "=")} AND NOT claim.claimed_at <=> said.claimed_at"""
        begun = f"""
            {self._into_claims()}
            SELECT {names(self.usage.table.columns, "said")}, said.published_by, %(at)s, said.absent, %(at)s
            FROM {self.standing} AS said
            WHERE said.published_by = %(night)s AND said.claimed_at = {SAID_NOW}"""
        return ended, begun

    def roll_back(self) -> tuple[str, str]:
        """Let the night say again what it said before `before`."""
        ended = f"""
            UPDATE {CLAIMS_TABLE} AS claim SET claim.known_until = %(at)s
            WHERE {_stands("claim", "=")} AND claim.known_from >= %(before)s"""
        begun = f"""
            {self._into_claims()}
            SELECT {names((*self.usage.table.columns, *_SAYS))}, %(at)s FROM {CLAIMS_TABLE} AS earlier
            WHERE published_by = %(night)s AND known_from < %(before)s AND known_until >= %(before)s"""
        return ended, begun

    def put(self) -> str:
        """Publish what was said last, where that is something else than is published."""
        columns = self.usage.table.columns
        return f"""
            INSERT INTO {self.usage.current} ({names((*columns, *VERSION))})
            SELECT {names(columns, "last")}, %(at)s, last.published_by
            FROM {self.usage.changes} AS changes
            JOIN {self.standing} AS last ON {self._match("last", "changes")}
                AND last.published_by = changes.claimed_by
            WHERE changes.verdict IN ('{NEW}', '{CHANGED}')"""

    def _others(self) -> tuple[str, str]:
        """Gather what other nights say; of a row that becomes contested that is what is published."""
        columns = self.usage.table.columns
        claimed = f"""
            SELECT {names((*columns, *_SAYS), "claim")}
            FROM {self.usage.contested} AS contested
            JOIN {CLAIMS_TABLE} AS claim
                ON {self._match("claim", "contested")} AND {_stands("claim", "<>")}"""
        published = f"""
            SELECT {names((*columns, *VERSION[::-1]), "current")}, FALSE
            FROM {self.usage.contested} AS contested
            JOIN {self.usage.current} AS current ON {self._match("current", "contested")}
            WHERE contested.fresh"""
        return f"{self._into_standing()} {claimed}", f"{self._into_standing()} {published}"

    def _overtaken(self) -> str:
        """Find an earlier night that has spoken of the row since."""
        return f"""
            SELECT 1 FROM {CLAIMS_TABLE} AS earlier
            WHERE {self._match("earlier", "old")} AND {_stands("earlier", "<")}
                AND earlier.claimed_at > old.claimed_at"""

    def _into_standing(self) -> str:
        return f"INSERT INTO {self.standing} ({names((*self.usage.table.columns, *_SAYS))})"

    def _into_claims(self) -> str:
        columns = (*self.usage.table.columns, *_SAYS, "known_from")
        return f"INSERT INTO {CLAIMS_TABLE} ({names(columns)})"

    def _match(self, one: str, other: str) -> str:
        return match(self.usage.table.key, one, other)

    def _same(self, one: str, other: str) -> str:
        return same(self.usage.table.values, one, other)


def _stands(claim: str, whose: str) -> str:
    """Return that a claim stands, and whose it is: the night's own (=), others' (<>), earlier nights' (<)."""
    return f"{claim}.known_until IS NULL AND {claim}.published_by {whose} %(night)s"
