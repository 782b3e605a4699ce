"""Households as published: master data of users, and the currency of their costs."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch.literal_rows import literal_rows
from batch.meters import MasterFrames
from batch.night import Night, NightRefused
from batch.tariffs import ROWS_NAMED_MAX, Tariffs
from infra.contracts import master_data
from infra.contracts.nightly import HOUSEHOLDS_COLUMNS


def households_of(spark: SparkSession, master: MasterFrames, tariffs: Tariffs, night: Night) -> DataFrame:
    """Return a row a user, in the contract's columns.

    Where all plans are in one currency, so is everybody's cost, and no agreement is looked at.

    :raises NightRefused: naming users who pay in two currencies on that day.
    """
    currencies = {plan.currency for plan in tariffs.plans}
    if len(currencies) == 1:
        return master.users.withColumn("currency", F.lit(*currencies)).select(*HOUSEHOLDS_COLUMNS)
    plans = [(plan.name, plan.utility, plan.currency) for plan in tariffs.plans]
    priced = literal_rows(spark, plans, "plan STRING, utility STRING, currency STRING")
    agreements = master.agreements.join(F.broadcast(priced), ["plan", "utility"])
    _refuse_two(agreements, night)
    newest = agreements.groupBy("user_id").agg(F.expr("MAX_BY(currency, moved_in_on) AS currency"))
    return master.users.join(newest, "user_id", "left").select(*HOUSEHOLDS_COLUMNS)


def _refuse_two(agreements: DataFrame, night: Night) -> None:
    """Refuse a night on which a user pays for one utility in another currency than for the next."""
    standing = agreements.where(
        f"moved_in_on <= DATE'{night}' AND COALESCE(moved_out_on > DATE'{night}', TRUE)"
    )
    told = standing.groupBy("user_id").agg(F.expr("COUNT(DISTINCT currency) AS currencies"))
    users = told.where("currencies > 1").orderBy("user_id").limit(ROWS_NAMED_MAX).collect()
    if users:
        named = ", ".join(str(row["user_id"]) for row in users)
        raise NightRefused(
            f"{master_data.AGREEMENTS_PATH} has agreements in two currencies on {night} of users {named}; "
            "give each user plans of one currency"
        )
