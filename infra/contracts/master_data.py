"""Master data on S3: who is metered, how and at what price; simulator writes for the utility, batch reads.

Each is one Parquet object of the columns below, NOT NULL save those of NULLABLE. Names and addresses
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
# A meter serves a user from installed_at until removed_at (ms since 1970; null: still there); an exchange
# removes one and installs the next at the same instant. register_initial and register_final are what its
# dial showed then, read by the fitter. After register_max the dial begins again at 0. rate_max is what the
# connection can carry, in W or L/h: usage above it is not the user's.
METERS_COLUMNS = {
    "meter_id": "STRING",
    "user_id": "BIGINT",
    "utility": "STRING",
    "installed_at": "BIGINT",
    "removed_at": "BIGINT",
    "register_initial": "BIGINT",
    "register_final": "BIGINT",
    "register_max": "BIGINT",
    "rate_max": "BIGINT",
}

REGIONS_PATH = "master/regions/regions.parquet"
REGIONS_COLUMNS = {"region": "STRING", "name": "STRING", "zone": "STRING"}

AGREEMENTS_PATH = "master/agreements/agreements.parquet"
# Who pays for what, by which plan: from the local day moved_in_on until before moved_out_on (null: still).
# A place nobody has an agreement for is vacant.
AGREEMENTS_COLUMNS = {
    "user_id": "BIGINT",
    "utility": "STRING",
    "plan": "STRING",
    "moved_in_on": "DATE",
    "moved_out_on": "DATE",
}

TARIFFS_PATH = "master/tariffs/tariffs.parquet"
# One row a component of a plan: valid on local days from valid_from until before valid_until (null: open).
# energy    price of one unit (Wh or L) within local hours [hour_from, hour_to) of `days`, for the part of the
#             local month's usage from tier_from on, up to the next tier of the same hours
#   standing  price of one local day with an agreement, whatever is used
#   tax       parts per million of the sum of all other lines
# Prices are in millionths of the currency's minor unit (micro-cents). On every valid day the energy rows of a
# plan cover each hour of each kind of day exactly once a tier, and the first tier begins at 0.
TARIFFS_COLUMNS = {
    "plan": "STRING",
    "utility": "STRING",
    "component": "STRING",
    "label": "STRING",
    "days": "STRING",
    "hour_from": "INT",
    "hour_to": "INT",
    "tier_from": "BIGINT",
    "price_micro": "BIGINT",
    "currency": "STRING",
    "valid_from": "DATE",
    "valid_until": "DATE",
}

READS_PREFIX = "master/reads"
# The utility's own billing-grade register reads as of a UTC day's end, not of every meter: the dial's figure.
READS_COLUMNS = {"user_id": "BIGINT", "utility": "STRING", "register": "BIGINT"}

NULLABLE = ("removed_at", "register_final", "moved_out_on", "valid_until")
KINDS = ("home", "business")
COMPONENTS = ("energy", "standing", "tax")
TARIFF_DAYS = ("all", "workday", "weekend")  # weekend: Saturday and Sunday


def reads_path(day: str) -> str:
    """Return the object that holds the reads as of the end of a UTC day, YYYY-MM-DD."""
    return f"{READS_PREFIX}/night={day}/reads.parquet"
