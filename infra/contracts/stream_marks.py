"""What live state held at a UTC day's end, as Parquet on S3: stream writes, batch reads it to reconcile.

    live/night={YYYY-MM-DD}/marks.parquet

One row a user and utility that live state knows both registers of.
"""

PREFIX = "live"
# The dial's registers as of the day's start and end, as the stream would answer for them.
COLUMNS = {
    "user_id": "BIGINT",
    "utility": "STRING",
    "register_start": "BIGINT",
    "register_end": "BIGINT",
}


def marks_path(day: str) -> str:
    """Return the object of a UTC day, YYYY-MM-DD."""
    return f"{PREFIX}/night={day}/marks.parquet"
