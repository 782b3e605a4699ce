"""The published truth in MySQL: batch writes, serving reads. DDL: infra/mysql/schema.

`nights` has one row a published night; the greatest `truth_until` is T, the instant up to which batch
truth is published. `usage_days` has one row a user, utility and UTC day: the register as of the day's
start and end (the last heartbeat sent before that instant) and the usage of each UTC hour h00 to h23,
so that h00 + ... + h23 = usage_total = register_end - register_start, to the unit. For a meter first heard on
that day register_start is its first register and `first_sent_at` says when that was; otherwise
`first_sent_at` is null. `households` and `regions` are the master data a page needs.

These registers are continued: the first meter's dial, counted on across rollovers, resets and exchanges,
wrong registers left out and silences filled in. `register_offset` is what to add to what the dial shows from
the day's end on; it is 0 until something of that kind happened. `quality` has a letter an hour
(infra/contracts/quality.py); `usage_estimated` is the part of usage_total in hours that are not M. `cost` is
the day's energy in micro-cents, `price_steps` what each unit of it cost (infra/contracts/price_steps.py);
month_usage and month_cost run from the start of the household's local month, or from the last move in or out,
to T. `households.currency` is what its costs are in, by its newest agreement; null where no plan tells it.

`known_from` is when this version of a row was published. A row that later changed has its predecessors in
`usage_days_superseded`, with `known_until` and the reason: what was known at an instant is the version with
known_from <= instant < known_until.

A night may restate rows of earlier ones. `usage_days_claims` keeps, for rows that more than one night has
published, what each of them says: of what stands (`known_until` is null), what was said last (`claimed_at`)
is the row in `usage_days`. It is for batch alone.

`region_days` is the sum of `usage_days` over each region's households, by their regions in `households` now;
`users` says of how many, and `users_estimated` of how many a part of that is estimated.

Rows of a night and its `nights` row are switched in one transaction: a reader sees all of it or none.
"""

from infra.contracts.master_data import USERS_COLUMNS

NIGHTS_TABLE = "nights"
USAGE_DAYS_TABLE = "usage_days"
SUPERSEDED_TABLE = "usage_days_superseded"
CLAIMS_TABLE = "usage_days_claims"
FINDINGS_TABLE = "findings"
RECONCILIATIONS_TABLE = "reconciliations"
HOUSEHOLDS_TABLE = "households"
REGIONS_TABLE = "regions"
REGION_DAYS_TABLE = "region_days"
INVOICES_TABLE = "invoices"
INVOICE_LINES_TABLE = "invoice_lines"

HOUR_COLUMNS = tuple(f"h{hour:02}" for hour in range(24))
USAGE_DAYS_COLUMNS = (
    "user_id",
    "night",
    "utility",
    "register_start",
    "register_end",
    "register_offset",
    "first_sent_at",
    "last_sent_at",
    "heartbeats",
    "usage_total",
    "usage_estimated",
    "quality",
    "cost",
    "price_steps",
    "month_usage",
    "month_cost",
    *HOUR_COLUMNS,
)
REGION_DAYS_SUMS = ("usage_total", "usage_estimated", *HOUR_COLUMNS)
REGION_DAYS_COLUMNS = ("night", "region", "utility", "users", "users_estimated", *REGION_DAYS_SUMS)
HOUSEHOLDS_COLUMNS = (*USERS_COLUMNS, "currency")
# What validation found: `rule` in UTC hours [hour_from, hour_to) of a night; `amount` is the usage that it
# concerns, in the utility's unit.
FINDINGS_COLUMNS = ("user_id", "night", "utility", "rule", "hour_from", "hour_to", "amount")
# The three answers for a user's night, where they are not one: what the stream held, what batch came to from
# the meter's registers alone, what the utility read (null: unknown). `figure` is the one that was published,
# `winner` whose it is by rank.
RECONCILIATIONS_COLUMNS = (
    "user_id",
    "night",
    "utility",
    "usage_stream",
    "usage_batch",
    "usage_read",
    "figure",
    "winner",
    "reason",
)
WINNERS = ("billing", "validated", "estimated")  # by rank, the first wins
# Why a published row has a successor.
REASONS = ("late data", "gap closed", "utility read", "tariff", "rollback", "recomputed")
