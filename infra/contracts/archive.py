"""The raw archive on S3: every heartbeat once, Parquet, by utility and UTC day; stream writes, batch reads.

Path: raw/utility={utility}/day={YYYY-MM-DD}/*; both partition columns come from the path.
A file whose name begins with `.` or `_` is not (yet) part of the archive.
"""

from infra.contracts.utility import Utility

PREFIX = "raw"
# Column -> Parquet type as both engines name it in SQL. `sent_at` in ms since 1970, UTC.
COLUMNS = {
    "user_id": "BIGINT",
    "sent_at": "BIGINT",
    "register": "BIGINT",
    "rate": "INT",
    "region": "STRING",
}


def day_path(utility: Utility, day: str) -> str:
    """Return the folder of one utility's UTC day, inside the bucket."""
    return f"{PREFIX}/utility={utility}/day={day}"
