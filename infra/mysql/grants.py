"""What each of the two users may do, and nothing else.

Batch adds everywhere, so that ledgers and invoices only grow, and changes or removes only what a night
replaces. It makes and drops tables in the staging database alone. Serving reads.
"""

import pymysql

# Replaced by each night, or made equal to the newest master data.
CHANGED_TABLES = (
    *("nights", "usage_days", "usage_days_claims", "findings", "reconciliations"),
    *("households", "regions", "region_days"),
)
PROCEDURES = ("lock_holders",)


def staging_database(database: str) -> str:
    """Return the database beside the published one in which a night is staged."""
    return f"{database}_staging"


def grant_batch(cursor: pymysql.cursors.Cursor, user: str, password: str, database: str) -> None:
    """Make batch's user, or take from it what it should not have."""
    staging = staging_database(database)
    _only(cursor, user, password, "SELECT, INSERT", database)
    _only(cursor, user, password, "SELECT, INSERT, DELETE, CREATE, DROP", staging)
    for table in CHANGED_TABLES:
        cursor.execute(f"GRANT UPDATE, DELETE ON `{database}`.`{table}` TO %s@'%%'", (user,))
    for procedure in PROCEDURES:
        cursor.execute(f"GRANT EXECUTE ON PROCEDURE `{database}`.`{procedure}` TO %s@'%%'", (user,))


def grant_serving(cursor: pymysql.cursors.Cursor, user: str, password: str, database: str) -> None:
    """Make serving's user, or take from it what it should not have."""
    _only(cursor, user, password, "SELECT", database)


def _only(cursor: pymysql.cursors.Cursor, user: str, password: str, rights: str, database: str) -> None:
    """Give a user these rights on a database, and take all others that it has on all of it."""
    pattern = database.replace("_", "\\_")  # a bare underscore in a grant stands for any character
    cursor.execute("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s", (user, password))
    cursor.execute(
        "SELECT db FROM mysql.db WHERE user = %s AND host = '%%' AND db IN (%s, %s)",
        (user, database, pattern),
    )
    for (granted,) in cursor.fetchall():
        cursor.execute(f"REVOKE ALL PRIVILEGES ON `{granted}`.* FROM %s@'%%'", (user,))
    cursor.execute(f"GRANT {rights} ON `{pattern}`.* TO %s@'%%'", (user,))
