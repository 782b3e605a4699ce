"""What the modules of queries share: the way to ask, and instants out of MySQL's columns."""

import abc
import datetime
from collections.abc import Sequence
from typing import Any

from infra.contracts.nightly import HOUR_COLUMNS

Rows = Sequence[Sequence[Any]]
# The hours travel as one text: the driver spends its time on columns, not on bytes.
HOURS = f"CONCAT_WS(',', {', '.join(f'u.{column}' for column in HOUR_COLUMNS)})"


class Queries(abc.ABC):
    """Statements of one resource. Tables and columns are the contract's; what is asked for is a parameter."""

    @abc.abstractmethod
    async def ask(self, sql: str, parameters: tuple[object, ...]) -> Rows:
        """Return the rows of one statement.

        :raises StoreAway: where MySQL did not answer in time.
        """

    @abc.abstractmethod
    async def ask_wide(self, sql: str, parameters: tuple[object, ...]) -> Rows:
        """Return the rows of one statement over all users or regions, which may take longer.

        :raises StoreAway: where MySQL did not answer in time.
        """


def ms(utc: datetime.datetime) -> int:
    """Return ms since 1970 of a DATETIME, which is UTC."""
    return round(utc.replace(tzinfo=datetime.UTC).timestamp() * 1000)


def utc(instant: int) -> datetime.datetime:
    """Return the DATETIME of ms since 1970, to the millisecond."""
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=instant)  # noqa: DTZ001 - as columns have it


def ms_of_night(night: datetime.date) -> int:
    """Return the instant at which a UTC day begins."""
    return ms(datetime.datetime.combine(night, datetime.time()))


def night_of_ms(instant: int) -> datetime.date:
    """Return the UTC day of an instant."""
    return datetime.datetime.fromtimestamp(instant / 1000, datetime.UTC).date()
