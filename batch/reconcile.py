"""The stream's answer, the meter's and the utility's own: where they differ, and who wins by rank.

A billing-grade read comes first, then what was validated, then what was estimated. A row is kept for a user's
night whose answers are not one.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch.edited_rows import READ_AGREES, READ_REFUSED, READ_UNKNOWN, READ_WINS
from batch.night import Night
from infra.contracts.nightly import FINDINGS_COLUMNS, RECONCILIATIONS_COLUMNS, WINNERS

BILLING, VALIDATED, ESTIMATED = WINNERS


def reconciliations(rows: DataFrame, marks: DataFrame, night: Night) -> DataFrame:
    """Return the contract's rows of a night; `marks` is what the stream held, where it left any."""
    # A dial that fell has the stream at a loss until a night has told what happened.
    fell = "CASE WHEN register_end >= register_start THEN register_end - register_start END"
    stream = marks.selectExpr("user_id", "utility", f"{fell} AS usage_stream")
    sides = rows.where("known").join(stream, ["user_id", "utility"], "left")
    told = sides.selectExpr(
        "user_id",
        f"'{night}' AS night",
        "utility",
        "usage_stream",
        "usage_meter AS usage_batch",
        f"CASE WHEN read_rank <> {READ_UNKNOWN} THEN usage_read END AS usage_read",
        "usage_total AS figure",
        f"CASE WHEN read_rank = {READ_WINS} THEN '{BILLING}'"
        f" WHEN usage_estimated = 0 THEN '{VALIDATED}' ELSE '{ESTIMATED}' END AS winner",
        f"CASE WHEN read_rank = {READ_WINS} THEN 'utility read'"
        f" WHEN read_rank = {READ_REFUSED} THEN 'utility read refused'"
        " WHEN SIZE(findings) > 0 THEN findings[0].rule ELSE 'stream' END AS reason",
        f"read_rank NOT IN ({READ_UNKNOWN}, {READ_AGREES})"
        " OR (usage_stream IS NOT NULL AND usage_stream <> usage_total) AS differs",
    )
    return told.where("differs").select(*RECONCILIATIONS_COLUMNS)


def findings(rows: DataFrame, night: Night) -> DataFrame:
    """Return what validation found in a night, in the contract's columns."""
    one = rows.where("known").selectExpr("user_id", f"'{night}' AS night", "utility", "INLINE(findings)")
    return one.select(*FINDINGS_COLUMNS)


def summary(reconciled: DataFrame) -> list[dict[str, int | str]]:
    """Return how many users a night adjusted and by how much, by reason and utility: a few dozen rows."""
    moved = reconciled.groupBy("reason", "utility").agg(
        F.expr("COUNT(1) AS users"),
        F.expr("COALESCE(SUM(figure - COALESCE(usage_stream, usage_batch)), 0L) AS adjusted"),
    )
    return [row.asDict() for row in moved.orderBy("reason", "utility").collect()]
