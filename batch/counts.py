"""What a night's edited rows count, for its report and its checks; a few numbers each, never rows."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention


def of_rows(rows: DataFrame) -> dict[str, int]:
    """Return the counts of `batch.report.Report` by their names, all but findings."""
    [row] = rows.selectExpr(
        "COUNT(DISTINCT user_id) FILTER (WHERE known) AS users",
        "COUNT(1) FILTER (WHERE known) AS rows",
        "SUM(heartbeats) FILTER (WHERE known) AS heartbeats",
        "SUM(heartbeats_read - heartbeats) FILTER (WHERE known) AS doubled",
        "SUM(heartbeats_read) FILTER (WHERE NOT known) AS set_aside",
        "COUNT(1) FILTER (WHERE known AND heartbeats_read = 0) AS silent",
        "COUNT(1) FILTER (WHERE known AND fell) AS fell",
    ).collect()
    return {name: int(value or 0) for name, value in row.asDict().items()}


def unsound(rows: DataFrame) -> int:
    """Return how many heartbeats had no user, rate or register, or were not of the day."""
    [[number]] = rows.selectExpr("SUM(heartbeats_read) FILTER (WHERE user_id IS NULL)").collect()
    return int(number or 0)


def newest_sent_at(rows: DataFrame) -> dict[str, int]:
    """Return when the newest heartbeat of each utility that was heard was sent, over all known users."""
    heard = rows.where("known AND heartbeats_read > 0")
    newest = heard.groupBy("utility").agg(F.max("last_sent_at").alias("sent_at"))
    return {row["utility"]: row["sent_at"] for row in newest.collect()}
