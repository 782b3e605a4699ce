"""The published truth in MySQL: batch writes, serving reads. DDL: infra/mysql/schema.

`nights` has one row a published night; the greatest `truth_until` is T, the instant up to which batch
truth is published. `usage_days` has one row a user, utility and UTC day: the register as of the day's
start and end (the last heartbeat sent before that instant) and the usage of each UTC hour h00 to h23,
so that h00 + ... + h23 = usage_total = register_end - register_start, to the unit. For a meter first heard on
that day register_start is its first register and `first_sent_at` says when that was; otherwise
`first_sent_at` is null. `households` and `regions` are the master data a page needs.

Rows of a night and its `nights` row are switched in one transaction: a reader sees all of it or none.
"""

NIGHTS_TABLE = "nights"
USAGE_DAYS_TABLE = "usage_days"
HOUSEHOLDS_TABLE = "households"
REGIONS_TABLE = "regions"

HOUR_COLUMNS = tuple(f"h{hour:02}" for hour in range(24))
USAGE_DAYS_COLUMNS = (
    "user_id",
    "night",
    "utility",
    "register_start",
    "register_end",
    "first_sent_at",
    "last_sent_at",
    "heartbeats",
    "usage_total",
    *HOUR_COLUMNS,
)
# The quality of a figure that rests on two registers read from the meter.
QUALITY_MEASURED = "measured"
