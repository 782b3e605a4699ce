"""How long an hour and a day of UTC are, in the units that instants are told in."""

HOUR_S = 3_600
HOUR_MS = 1_000 * HOUR_S
DAY_MS = 24 * HOUR_MS
