"""What a bench may know of a simulated day besides heartbeats: injected faults, and the real usage.

Written by the simulator to a local Parquet file on request, read by `infra/bench/vee.py`. Batch never sees
them.
"""

# One row a fault injected into a meter's UTC day; `rule` is of infra.contracts.quality.Rule, instants are ms.
LABELS_COLUMNS = {
    "user_id": "BIGINT",
    "utility": "STRING",
    "rule": "STRING",
    "from_ms": "BIGINT",
    "to_ms": "BIGINT",
}
# One row a meter: what was really used in each UTC hour, h00 to h23, in the utility's unit.
REAL_USAGE_KEYS = ("user_id", "utility")
