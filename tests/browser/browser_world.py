"""A small world for the pages to show: users whose registers are a formula of time.

The sinks of stream and batch write it: Redis and MySQL hold what the real layers leave there.
"""

import dataclasses
import datetime
import functools
import time
import zoneinfo
from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np

from batch.database_sink import Database
from batch.night import Night
from infra.contracts.durations import HOUR_MS
from infra.contracts.invoices import INVOICE_LINES_COLUMNS, INVOICES_COLUMNS
from infra.contracts.nightly import REGION_DAYS_COLUMNS, REGION_DAYS_TABLE
from infra.contracts.quality import Rule
from infra.contracts.utility import UTILITIES, Utility
from infra.settings import Settings
from stream.fold import PACKED, REGION_SHARE, fold, region_shares
from stream.redis_sink import RedisSink
from tests.contract import night_builders

ZONE = "America/New_York"
ADA, GIANT, NOBODY, FAR_AWAY, EVE = range(10_000_001, 10_000_006)
TOLD = (ADA, EVE)  # of whom all is told: a leak, estimates, a revision, invoices
NEIGHBOURS = range(10_000_100, 10_000_130)
LONG_NAME = "Consolidated Amalgamated Aluminium Smelting and Refining Company of the Upper Mississippi Valley"
REGIONS = [
    (code, name, zone)
    for zone, places in {
        "America/New_York": "NY:New York,PA:Pennsylvania,OH:Ohio,GA:Georgia,NC:North Carolina,MI:Michigan,"
        "NJ:New Jersey,VA:Virginia,MA:Massachusetts,FL:Florida,MD:Maryland,IN:Indiana,SC:South Carolina,"
        "KY:Kentucky,CT:Connecticut,WV:West Virginia,NH:New Hampshire,ME:Maine,RI:Rhode Island,DE:Delaware,"
        "VT:Vermont,DC:District of Columbia",
        "America/Chicago": "TX:Texas,IL:Illinois,TN:Tennessee,MO:Missouri,WI:Wisconsin,MN:Minnesota,"
        "AL:Alabama,LA:Louisiana,OK:Oklahoma,IA:Iowa,AR:Arkansas,MS:Mississippi,KS:Kansas,NE:Nebraska,"
        "SD:South Dakota,ND:North Dakota",
        "America/Denver": "CO:Colorado,UT:Utah,NM:New Mexico,ID:Idaho,MT:Montana,WY:Wyoming",
        "America/Los_Angeles": "CA:California,WA:Washington,OR:Oregon,NV:Nevada",
        "America/Phoenix": "AZ:Arizona",
        "America/Anchorage": "AK:Alaska",
        "Pacific/Honolulu": "HI:Hawaii",
    }.items()
    for code, _, name in (place.partition(":") for place in places.split(","))
]
REGIONS = [(f"US-{code}", name, zone) for code, name, zone in REGIONS]
# By their people, so that the map is shaded as one knows it.
BY_PEOPLE = (
    "CA TX FL NY PA IL OH GA NC MI NJ VA WA AZ TN MA IN MD MO CO WI MN SC AL LA KY OR OK CT UT IA NV AR KS "
    "MS NM NE ID WV HI NH ME MT RI DE SD ND AK DC VT WY"
)
FEW = {"US-WY", "US-VT", "US-DC", "US-ND"}  # too few users to be shown singly
EVENING_ENDS = 22


def evening(now_s: float) -> tuple[str, str]:
    """The region, and its zone, whose day is furthest and not over: a picture shows much of a day."""

    def hour(region: tuple[str, str, str]) -> int:
        there = datetime.datetime.fromtimestamp(now_s, zoneinfo.ZoneInfo(region[2])).hour
        return there if there < EVENING_ENDS else -1

    code, _, zone = max(REGIONS, key=hour)
    return code, zone


EVES_REGION, EVES_ZONE = evening(time.time())
HOUSEHOLDS = [
    (ADA, "home", "Ada Miller", "2 Oak Lane", "US-NY", ZONE, "USD"),
    (GIANT, "business", LONG_NAME, "1 Mill Road", "US-NY", ZONE, "USD"),
    (NOBODY, "home", "Nobody Yet", "4 Elm Street", "US-NY", ZONE, "USD"),
    (EVE, "home", "Eve Moreau", "6 Pine Street", EVES_REGION, EVES_ZONE, "USD"),
    (FAR_AWAY, "home", "Kalani Kai", "5 Palm Street", "US-NY", "Pacific/Honolulu", "USD"),
    *(
        (user_id, "home", f"Neighbour {user_id % 1_000}", "3 Elm Street", "US-NY", ZONE, "USD")
        for user_id in NEIGHBOURS
    ),
]
MEAN = {Utility.ELECTRICITY: 900, Utility.GAS: 300, Utility.WATER: 34}  # Wh or litres an hour
SCALE = {ADA: 1.0, EVE: 1.0, GIANT: 800_000.0, FAR_AWAY: 0.6}
DAY = datetime.timedelta(days=1)
WINDOW_MS = 300_000
RECENT_NIGHTS = 9  # today, yesterday and the same weekday last week


@functools.lru_cache(maxsize=200_000)
def hour_usage(user_id: int, utility: Utility, hour: int) -> int:
    """Usage of one hour since 1970, in the utility's unit: a home's day with a morning and an evening."""
    zone = EVES_ZONE if user_id == EVE else ZONE
    local = datetime.datetime.fromtimestamp(hour * 3_600, zoneinfo.ZoneInfo(zone)).hour
    shape = 0.35 + 0.9 * np.exp(-((local - 7.5) ** 2) / 5) + 1.3 * np.exp(-((local - 19) ** 2) / 8)
    jitter = 0.5 + (hour * 7_919 + user_id * 104_729 + utility.code * 31) % 1_000 / 1_000
    return int(MEAN[utility] * shape * jitter * SCALE.get(user_id, 0.8))


def clock_change(before: datetime.date) -> datetime.date:
    """The newest date before one whose local day has 23 or 25 hours."""
    zone = zoneinfo.ZoneInfo(ZONE)
    date = before
    while True:
        date -= DAY
        start, end = (datetime.datetime.combine(day, datetime.time(), zone) for day in (date, date + DAY))
        if end.timestamp() - start.timestamp() != 86_400:
            return date


@dataclasses.dataclass(frozen=True)
class World:
    """What the pages show; `now_ms` is when it was made."""

    now_ms: int

    @functools.cached_property
    def changed(self) -> datetime.date:
        """A published local date of 23 or 25 hours."""
        return clock_change(
            datetime.datetime.fromtimestamp(self.now_ms / 1_000, datetime.UTC).date() - 2 * DAY
        )

    @functools.cached_property
    def nights(self) -> list[Night]:
        """Published nights, ascending: those of the clock change, of yesterday's month, and the last ones.

        Where today is the first of a month of UTC, homes west of it still live the one before.
        """
        today = datetime.datetime.fromtimestamp(self.now_ms / 1_000, datetime.UTC).date()
        dates = {self.changed, self.changed + DAY}
        nights_of_month = (today - DAY).day
        dates |= {today - DAY * back for back in range(1, max(nights_of_month, RECENT_NIGHTS) + 1)}
        return [Night(date) for date in sorted(dates)]

    def register(self, user_id: int, utility: Utility, hour: int) -> int:
        """What a dial shows at the start of an hour since 1970; it began 60 days before the first night."""
        first = self.nights[0].start_ms // HOUR_MS
        return 1_000_000 + sum(hour_usage(user_id, utility, one) for one in range(first, hour))

    def publish(self, database: Database) -> None:
        """Publish the nights as batch does; the last but one twice, the second time with late data."""
        users = [ADA, GIANT, FAR_AWAY, EVE, *NEIGHBOURS]
        at = {(user, utility): 1_000_000 for user in users for utility in UTILITIES}
        last_end = self.nights[0].start_ms
        with mock.patch.object(night_builders, "REGIONS", REGIONS):
            for night in self.nights:
                for key in at:
                    at[key] += sum(
                        hour_usage(*key, hour)
                        for hour in range(last_end // HOUR_MS, night.start_ms // HOUR_MS)
                    )
                days = [self._day(user, utility, register, night) for (user, utility), register in at.items()]
                for user, utility in at:
                    at[user, utility] += sum(hour_usage(user, utility, hour) for hour in _hours(night))
                last_end = night.end_ms
                self._switch(database, night, days)

    def bill(self, settings: Settings) -> None:
        """Issue an invoice of last month, credit it and issue it again, as rows of the contract."""
        for user in TOLD:
            self._bill(settings, user)

    def _bill(self, settings: Settings, user: int) -> None:
        month = (self.nights[-1].day.replace(day=1) - DAY).replace(day=1)
        issued_at = datetime.datetime.combine(month + 33 * DAY, datetime.time(2))
        with night_builders.connected(settings) as cursor:
            for version, kind, total in ((1, "invoice", 8_390), (1, "credit", -8_390), (2, "invoice", 8_412)):
                number = f"{month:%Y-%m}-{user}-{version}{'-credit' if kind == 'credit' else ''}"
                reverses = f"{month:%Y-%m}-{user}-1" if kind == "credit" else None
                head = (
                    number,
                    kind,
                    month,
                    user,
                    version,
                    reverses,
                    ZONE,
                    "USD",
                    total,
                    issued_at,
                    issued_at,
                    "0" * 16,
                )
                _insert(cursor, "invoices", INVOICES_COLUMNS, head)
                for line in _lines(number, month, total):
                    _insert(cursor, "invoice_lines", INVOICE_LINES_COLUMNS, line)

    def settle(self, settings: Settings) -> None:
        """Sum the nights of the whole country by region, as rows of the contract.

        Only these matter of its other users. GIANT's are not among them: no load would show beside it.
        """
        rows = [
            self._region_day(night, region, utility)
            for night in self.nights
            for region, *_ in REGIONS
            for utility in UTILITIES
        ]
        with night_builders.connected(settings) as cursor:
            cursor.execute(f"DELETE FROM {REGION_DAYS_TABLE}")
            cursor.executemany(_statement(REGION_DAYS_TABLE, REGION_DAYS_COLUMNS), rows)

    def _region_day(self, night: Night, region: str, utility: Utility) -> tuple:
        users, pace = users_of(region), 84 + night.day.toordinal() * 7 % 11
        hours = [
            users * _smooth(utility, int((hour + 0.5) * HOUR_MS)) * pace // 100 for hour in _hours(night)
        ]
        return (str(night), region, str(utility), users, users // 40, sum(hours), sum(hours) // 60, *hours)

    def _switch(self, database: Database, night: Night, days: list[tuple]) -> None:
        published_at = datetime.datetime.fromtimestamp(night.end_ms / 1_000 + 4_000, datetime.UTC)
        if night == self.nights[-2]:
            less = [_cut(day) if day[0] in TOLD else day for day in days]
            self._publish(database, night, less, published_at)
            published_at += DAY
        self._publish(database, night, days, published_at)

    def _publish(self, database: Database, night: Night, days: list[tuple], at: datetime.datetime) -> None:
        found = {"findings": self._findings(night), "reconciliations": self._reconciliations(night)}
        night_builders.publish(database, night, days, at, households=HOUSEHOLDS, **found)

    def _findings(self, night: Night) -> list[tuple]:
        """Water that never rests, and what else a night finds, by neighbours."""
        rules = [rule for index, rule in enumerate(Rule) for _ in range(12 - index)]
        spread = zip(NEIGHBOURS, rules[: len(NEIGHBOURS)], strict=False)
        of_others = [(user, str(night), "electricity", str(rule), 7, 9, 12) for user, rule in spread]
        leaks = [(user, str(night), "water", str(Rule.LEAK), 0, 24, 432) for user in TOLD]
        return [*leaks, *of_others]

    def _reconciliations(self, night: Night) -> list[tuple]:
        return [
            (NEIGHBOURS[0], str(night), "water", 280, 310, None, 310, "validated", "late data"),
            (NEIGHBOURS[1], str(night), "gas", None, 7_100, 7_420, 7_420, "billing", "utility read"),
        ]

    def _day(self, user_id: int, utility: Utility, register: int, night: Night) -> tuple:
        hours = {index: hour_usage(user_id, utility, hour) for index, hour in enumerate(_hours(night))}
        estimated = (
            {"quality": "M" * 10 + "EE" + "M" * 12, "usage_estimated": hours[10] + hours[11]}
            if user_id in TOLD
            else {}
        )
        return night_builders.usage_day(utility, register, hours, night=night, user_id=user_id, **estimated)

    def beat(self, url: str, now_ms: int, *, rate: int = 1_370) -> None:
        """Let every meter be heard now: live state, today's hours and the regions."""
        sink = RedisSink(url, epoch=1)
        rows = []
        for user in (ADA, GIANT, FAR_AWAY, EVE, *NEIGHBOURS):
            region = EVES_REGION if user == EVE else "US-NY"
            rows += self._heard(user, region, now_ms, rate if user in TOLD else None)
        records = fold(np.array(rows, PACKED))
        sink.write_live(records)
        country = fold(np.array(self._country(now_ms), PACKED))
        sink.write_live(country)
        # One who uses as much as a country would leave the map pale: it is left out of the regions.
        of_now = records[(records["sent_at"] > now_ms - 5_000) & (records["user_id"] != GIANT)]
        sink.write_regions(region_shares(np.concatenate([of_now, country]), now_ms // 5_000 * 5_000))

    def course(self, url: str) -> None:
        """Let the last day's windows of 5 minutes end one after the other, as the stream writes regions."""
        sink = RedisSink(url, epoch=1)
        last = self.now_ms // WINDOW_MS * WINDOW_MS
        for window_end in range(last - 288 * WINDOW_MS, last, WINDOW_MS):
            shares = np.zeros(len(REGIONS) * len(UTILITIES), REGION_SHARE)
            rows = ((region, utility) for region, *_ in REGIONS for utility in UTILITIES)
            for share, (region, utility) in zip(shares, rows, strict=True):
                users = users_of(region)
                share["tag"] = tag_of(region, utility)
                share["window_end"] = window_end
                share["rate"] = users * _smooth(utility, window_end)
                share["active_meters"] = users
            sink.write_regions(shares)

    def _heard(self, user: int, region: str, now_ms: int, rate: int | None) -> list[tuple]:
        """The newest heartbeat of each hour since T, and one now."""
        rows = []
        for utility in UTILITIES:
            tag = tag_of(region, utility)
            first, running = self.nights[-1].end_ms // HOUR_MS, now_ms // HOUR_MS
            register = self.register(user, utility, first)
            for hour in range(first, running):
                register += hour_usage(user, utility, hour)
                at = (hour + 1) * HOUR_MS - 1
                rows.append((tag, at, register, user, MEAN[utility]))
            register += hour_usage(user, utility, running) * (now_ms % HOUR_MS) // HOUR_MS
            told = rate is not None and utility is Utility.ELECTRICITY
            now_rate = rate if told else hour_usage(user, utility, running)
            rows.append((tag, now_ms - 1_000, register, user, min(now_rate, 2**32 - 1)))
        return rows

    def _country(self, now_ms: int) -> list[tuple]:
        """Heartbeats of now by users of whom only the region matters."""
        rows = []
        for utility in UTILITIES:
            mean = _smooth(utility, now_ms)
            for index, (region, *_) in enumerate(REGIONS):
                tag, first = tag_of(region, utility), 20_000_000 + index * 1_000
                for user in range(first, first + users_of(region)):
                    rate = mean * (700 + user * 7_919 % 600) // 1_000
                    rows.append((tag, now_ms - 1_000, 5_000_000, user, rate))
        return rows


def users_of(region: str) -> int:
    """How many users the country has in a region, beside those with a page in these tests."""
    return 5 if region in FEW else 16 + 400 // (BY_PEOPLE.index(region[3:]) // 3 + 3)


@functools.lru_cache(maxsize=20_000)
def _smooth(utility: Utility, at_ms: int) -> int:
    """A mean meter's rate at an instant: a day's course without jitter."""
    local = (at_ms / HOUR_MS - 5) % 24
    evening = np.exp(-((local - 19) ** 2) / 10) + np.exp(-((local + 24 - 19) ** 2) / 10)
    return int(MEAN[utility] * (0.6 + 0.5 * np.exp(-((local - 8) ** 2) / 8) + 0.8 * evening))


def tag_of(region: str, utility: Utility) -> int:
    """A region and a utility as the stream packs them."""
    return int.from_bytes(region.encode().ljust(6, b"\0"), "big") << 2 | utility.code


def _insert(cursor: Any, table: str, columns: Sequence[str], row: Sequence[Any]) -> None:
    cursor.execute(_statement(table, columns), row)


def _statement(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"


def _lines(number: str, month: datetime.date, total: int) -> list[tuple]:
    """Energy, a standing charge and a tax that come to a total."""
    until = (month + 32 * DAY).replace(day=1)
    days, tax = (until - month).days, total // 6
    standing = 31 * days * (1 if total > 0 else -1)
    return [
        (
            number,
            1,
            "electricity",
            "energy",
            "peak",
            0,
            214_802,
            318,
            "Wh",
            29_000,
            total - tax - standing,
            month,
            until,
            month,
            until - DAY,
            7,
        ),
        (
            number,
            2,
            "electricity",
            "standing",
            "grid",
            0,
            days,
            0,
            "day",
            31_000_000,
            standing,
            month,
            until,
            None,
            None,
            None,
        ),
        (
            number,
            3,
            "electricity",
            "tax",
            "state tax",
            0,
            total - tax,
            0,
            "minor",
            200_000,
            tax,
            month,
            until,
            None,
            None,
            None,
        ),
    ]


def _hours(night: Night) -> range:
    return range(night.start_ms // HOUR_MS, night.end_ms // HOUR_MS)


def _cut(day: tuple) -> tuple:
    """A day's row as it was told while data were late: less in the last hour, and in all that sums it."""
    columns = night_builders.USAGE_DAYS_COLUMNS
    row = dict(zip(columns, day, strict=True))
    less = row["h23"] // 2
    for name in ("h23", "usage_total", "register_end", "month_usage"):
        row[name] -= less
    for name in ("cost", "month_cost"):
        row[name] -= 29_000 * less
    return tuple(row[name] for name in columns)
