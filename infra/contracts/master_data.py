"""Master data on S3: who is metered and where; simulator writes in the utility's stead, batch reads.

Each is one Parquet object of the columns below, all NOT NULL save `removed_at`. Names and addresses
live here only; no heartbeat carries them.
"""

USERS_PATH = "master/users/users.parquet"
# kind is home or business; zone is an IANA time zone.
USERS_COLUMNS = {
    "user_id": "BIGINT",
    "kind": "STRING",
    "name": "STRING",
    "address": "STRING",
    "region": "STRING",
    "zone": "STRING",
}

METERS_PATH = "master/meters/meters.parquet"
# A meter serves a user from installed_at until removed_at (ms since 1970; null: still there).
METERS_COLUMNS = {
    "meter_id": "STRING",
    "user_id": "BIGINT",
    "utility": "STRING",
    "installed_at": "BIGINT",
    "removed_at": "BIGINT",
}

REGIONS_PATH = "master/regions/regions.parquet"
REGIONS_COLUMNS = {"region": "STRING", "name": "STRING", "zone": "STRING"}

KINDS = ("home", "business")
