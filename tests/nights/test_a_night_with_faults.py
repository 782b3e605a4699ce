"""Nights of a fleet whose meters go wrong in every way, told a second time by others.

The archive of three days is put straight onto S3. What the nights make of it is held against another engine
that reads the same Parquet in other words, against the simulator's ledger and its labels, and against prices
worked out an hour at a time.
"""

import collections
import datetime
import io
import itertools
import json
import zoneinfo

import duckdb
import pyarrow.parquet as pq
import pymysql.cursors
import pytest

from infra.bench import vee
from infra.bench.vee import Span
from infra.contracts import master_data
from infra.contracts.nightly import HOUR_COLUMNS
from infra.contracts.price_steps import decode, hour_costs
from infra.contracts.quality import FAULT_RULES, Quality, Rule
from infra.contracts.utility import UTILITIES
from infra.s3.server import client
from tests.support.archive import day_files
from tests.support.nights import cursor_of
from tests.support.services import Platform

USERS, SEED = (
    40,
    2,
)  # of which one moves in months later, and every kind of fault comes in the second and third night
FAULTS = "late=1%,doubled=1%,lost=1%"
METER_FAULTS = (
    "gap=4%,spike=4%,negative=4%,stuck=4%,zero=4%,rate=4%,clock=4%,read=4%,"
    "leak=1%,rollover=15%,reset=0.7%,exchange=0.7%"
)
# The last local day of March ends in the third of these.
NIGHTS = ("2026-03-30", "2026-03-31", "2026-04-01")
MONTH = "2026-03"
HOUR_MS, DAY_HOURS = 3_600_000, 24
LEDGER_USERS = 4  # every so many users' meters are asked for: the ledger works each answer out anew
START_MS = int(datetime.datetime.fromisoformat(f"{NIGHTS[0]}T00:00Z").timestamp()) * 1_000
BOUNDS = range(len(NIGHTS) * DAY_HOURS + 1)  # hours since the first night's start
MEASURED = Quality.MEASURED.value


class Published:
    """What the nights published: by meter its hours, one night after the other."""

    def __init__(self, platform) -> None:
        self.platform = platform
        with cursor_of(platform.settings, pymysql.cursors.DictCursor) as cursor:
            cursor.execute("SELECT * FROM usage_days ORDER BY user_id, utility, night")
            self.rows = cursor.fetchall()
            cursor.execute("SELECT * FROM findings")
            self.findings = cursor.fetchall()
            cursor.execute("SELECT * FROM reconciliations")
            self.reconciliations = cursor.fetchall()
        self.nights = collections.defaultdict(list)
        for row in self.rows:
            self.nights[row["user_id"], row["utility"]].append(row)
        self.hours = {
            meter: [row[name] for row in rows for name in HOUR_COLUMNS] for meter, rows in self.nights.items()
        }
        self.quality = {meter: "".join(row["quality"] for row in rows) for meter, rows in self.nights.items()}


@pytest.fixture(scope="module")
def published(stores_of):
    stores = stores_of({})
    platform = Platform(stores.settings)
    fleet = ("--users", str(USERS), "--seed", str(SEED))
    for night in NIGHTS:
        wrong = ("--faults", FAULTS, "--meter-faults", METER_FAULTS)
        done = platform.room("simulator", "archive", "--night", night, *fleet, *wrong)
        assert done.returncode == 0, done.stderr
    with stores.of_many_rows():
        stores.ask("backfill", "--from", NIGHTS[0], "--to", NIGHTS[-1], "--no-compact")
    return Published(platform)


def master(platform, path):
    """Return an object of master data."""
    settings = platform.settings
    body = client(settings).get_object(Bucket=settings.s3_bucket, Key=path)["Body"].read()
    return pq.read_table(io.BytesIO(body))


@pytest.fixture(scope="module")
def readings(published):
    """By meter and bound, if something was heard in the hour before: what the dial showed last, and moved.

    What it moved since the bound before counts across rollovers, resets and exchanges; None: not known.
    """
    platform = published.platform
    engine = duckdb.connect()
    engine.register("meters", master(platform, master_data.METERS_PATH))
    found = {}
    for utility in UTILITIES:
        files = [file for night in NIGHTS for file in day_files(platform.settings, utility, night)]
        rows = engine.sql(
            f"""
            WITH once AS (
                SELECT user_id, sent_at, max(register) AS register FROM read_parquet({files}) GROUP BY ALL
            ), by_its_clock AS (
                SELECT *, (sent_at - {START_MS}) // {HOUR_MS} + 1 AS bound,
                    sent_at % 5000 = mode(sent_at % 5000) OVER (PARTITION BY user_id) AS usual
                FROM once
            ), ends AS (
                SELECT user_id, bound, register, max(register) OVER of_hour AS greatest,
                    min_by(register, sent_at) OVER of_hour AS first_shown
                FROM by_its_clock WHERE usual
                WINDOW of_hour AS (PARTITION BY user_id, bound)
                QUALIFY row_number() OVER (PARTITION BY user_id, bound ORDER BY sent_at DESC) = 1
            ), steps AS (
                SELECT *, lag(register) OVER of_meter AS before, lag(bound) OVER of_meter AS bound_before
                FROM ends WINDOW of_meter AS (PARTITION BY user_id ORDER BY bound)
            ), dials AS (
                SELECT user_id, any_value(register_max) + 1 AS figures, any_value(rate_max) AS rate_max,
                    max(installed_at) AS installed_at, max_by(register_initial, installed_at) AS initial,
                    max(register_final) AS final
                FROM meters WHERE utility = '{utility}' GROUP BY user_id
            )
            SELECT user_id, bound, register, CASE
                WHEN before IS NULL THEN register - first_shown
                WHEN bound_before <> bound - 1 THEN NULL
                WHEN (installed_at - {START_MS}) // {HOUR_MS} + 1 = bound AND final IS NOT NULL
                    THEN register - initial + final - before
                WHEN register >= before THEN register - before
                WHEN register + figures - before <= rate_max THEN register + figures - before
                ELSE register + greatest - before
            END
            FROM steps JOIN dials USING (user_id)
            """
        ).fetchall()
        found |= {
            (user_id, str(utility), bound): (register, moved) for user_id, bound, register, moved in rows
        }
    return found


def measured_hours(published):
    """Yield meter, number of the hour since the first night's start, and usage of every measured hour."""
    for meter, letters in published.quality.items():
        for hour, letter in enumerate(letters):
            if letter == MEASURED:
                yield meter, hour, published.hours[meter][hour]


class TestNightsOfMetersThatGoWrong:
    def test_have_every_meter_every_night_and_no_seam_between_them(self, published):
        assert len(published.rows) == USERS * len(UTILITIES) * len(NIGHTS)
        for rows in published.nights.values():
            for before, after in itertools.pairwise(rows):
                assert before["register_end"] == after["register_start"], after
            for row in rows:
                assert row["usage_total"] == row["register_end"] - row["register_start"]
                hours = [row[name] for name in HOUR_COLUMNS]
                assert row["usage_total"] == sum(hours)
                steps = decode(row["price_steps"])  # none where nobody lives
                assert row["cost"] == (sum(hour_costs(steps, hours)) if steps else 0)

    def test_are_measured_as_another_engine_measures_them(self, published, readings):
        replaced = {
            ((one["user_id"], one["utility"]), (NIGHTS.index(str(one["night"])) + 1) * DAY_HOURS)
            for one in published.reconciliations
            if one["winner"] == "billing"
        }
        compared = 0
        for meter, hour, usage in measured_hours(published):
            if (meter, hour) in replaced:
                continue  # It begins where the utility's own read left the night before, not at the dial's.
            if (*meter, hour + 1) in readings:
                assert usage == readings[*meter, hour + 1][1], (meter, hour)
                compared += 1
            else:
                # Before its first heartbeat a meter has used nothing that anybody knows of.
                assert usage == 0, (meter, hour)
        assert compared > 0.8 * USERS * len(UTILITIES) * (len(BOUNDS) - 1)

    def test_fill_silences_with_what_the_dial_moved_meanwhile(self, published, readings):
        filled = 0
        for meter, letters in published.quality.items():
            for begin, end in silences(letters):
                before, after = (readings[*meter, bound][0] for bound in (begin, end))
                if after >= before:
                    assert sum(published.hours[meter][begin:end]) == after - before, (meter, begin, end)
                    filled += 1
        assert filled >= 10

    def test_are_measured_as_the_ledger_knows_them(self, published):
        began_anew = {
            (one["user_id"], one["utility"])
            for one in published.findings
            if one["rule"] in (Rule.ROLLOVER, Rule.RESET, Rule.EXCHANGE)
        }
        meters = [meter for meter in published.nights if meter in began_anew or meter[0] % LEDGER_USERS == 0]
        counted = ledger(published, meters)

        # What flowed in the moment of a reset is on neither of its sides.
        slack = {
            (
                (one["user_id"], one["utility"]),
                NIGHTS.index(str(one["night"])) * DAY_HOURS + one["hour_from"],
            ): 1
            for one in published.findings
            if one["rule"] == Rule.RESET
        }
        differing = {}
        for meter, hour, usage in measured_hours(published):
            if meter in meters:
                used = counted[*meter, hour + 1] - counted[*meter, hour]
                if not 0 <= used - usage <= slack.get((meter, hour), 0):
                    differing[meter, hour] = usage, used

        assert differing == {}

    @pytest.mark.soak
    def test_are_published_as_a_recount_has_them(self, published):
        done = published.platform.room("batch", "verify", "--night", NIGHTS[1], "--json")

        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["users_differing"] == 0

    def test_find_what_was_injected(self, published, tmp_path):
        scores = collections.defaultdict(vee.Score)
        for night in NIGHTS[1:]:  # the first has no past: a silence from before it is nobody's
            to = tmp_path / night
            done = published.platform.room("simulator", "labels", "--night", night, "--to", str(to))
            assert done.returncode == 0, done.stderr
            labels = [span_of_label(night, row) for row in pq.read_table(to).to_pylist()]
            found = [
                Span(night, (one["user_id"], one["utility"]), one["rule"], one["hour_from"], one["hour_to"])
                for one in published.findings
                if str(one["night"]) == night
            ]
            vee.judge(scores, labels, found)

        for rule in (*FAULT_RULES, Rule.RESET, Rule.EXCHANGE):
            score = scores[rule]
            assert score.labels, f"no {rule} was injected"
            assert score.found == score.labels, (rule, score)
            assert score.right >= 0.95 * score.findings, (rule, score)
        rolled = {(one["user_id"], one["utility"]) for one in published.findings if one["rule"] == "rollover"}
        assert rolled

    def test_cost_what_their_hours_cost_one_by_one(self, published):
        platform = published.platform
        users = {row["user_id"]: row for row in master(platform, master_data.USERS_PATH).to_pylist()}
        since = {
            (row["user_id"], row["utility"]): row
            for row in master(platform, master_data.AGREEMENTS_PATH).to_pylist()
            if row["moved_out_on"] is None
        }
        prices = collections.defaultdict(list)
        for row in master(platform, master_data.TARIFFS_PATH).to_pylist():
            if row["component"] == "energy":
                prices[row["plan"], row["utility"]].append(row)
        vacant = 0
        for meter, rows in published.nights.items():
            told = cost_by_hand(rows, users[meter[0]]["zone"], since.get(meter), prices)
            assert [(row["cost"], row["month_cost"]) for row in rows] == told, meter
            vacant += not any(cost for cost, _ in told)
        assert vacant == len(UTILITIES), "one household has not moved in yet"

    def test_make_the_months_invoices(self, published):
        def issue():
            done = published.platform.room("batch", "invoice", "issue", "--month", MONTH, "--json")
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        first, again = issue(), issue()

        assert first["users"] == again["users"] == USERS
        assert (first["issued"], first["vacant"], first["incomplete"]) == (USERS - 1, 1, 0)
        assert (again["issued"], again["credited"], again["unchanged"]) == (0, 0, USERS - 1)

    def test_are_not_a_month_yet_that_goes_on(self, published):
        done = published.platform.room("batch", "invoice", "issue", "--month", "2026-04")

        assert done.returncode == 1
        assert "month 2026-04 is not complete" in done.stderr


def silences(letters):
    """Yield the hours [begin, end) in a row that were filled in, where both ends are measured."""
    hour = 0
    for filled, run in itertools.groupby(letters, lambda letter: letter in "IE"):
        begin, hour = hour, hour + len(list(run))
        measured = begin and letters[begin - 1] == MEASURED and letters[hour : hour + 1] == MEASURED
        if filled and measured:
            yield begin, hour


def ledger(published, meters):
    """Return the true register of meters as of every bound."""
    queries = [
        {"user_id": user_id, "utility": utility, "at": START_MS + bound * HOUR_MS}
        for user_id, utility in meters
        for bound in BOUNDS
    ]
    done = published.platform.room("simulator", "ledger", "--json", stdin=json.dumps(queries))
    assert done.returncode == 0, done.stderr
    found = {}
    for query, answer in zip(queries, json.loads(done.stdout), strict=True):
        meter, bound = (query["user_id"], query["utility"]), (query["at"] - START_MS) // HOUR_MS
        found[*meter, bound] = answer and answer["counted"]
        if answer:
            # As of an instant before its first heartbeat a meter shows what that one showed.
            for earlier in range(bound):
                if found[*meter, earlier] is None:
                    found[*meter, earlier] = answer["first_counted"]
    return found


def span_of_label(night, row):
    """Return a label's whole hours of the night."""
    start_ms = START_MS + NIGHTS.index(night) * DAY_HOURS * HOUR_MS
    since, until = row["from_ms"] - start_ms, row["to_ms"] - start_ms
    return Span(night, (row["user_id"], row["utility"]), row["rule"], since // HOUR_MS, -(-until // HOUR_MS))


def cost_by_hand(rows, zone, agreement, prices):
    """Return the cost of each of a meter's nights and of its month so far, in micro-cents."""
    used, paid, month, told = 0, 0, None, []
    for number, row in enumerate(rows):
        cost = 0
        for hour, name in enumerate(HOUR_COLUMNS):
            at_ms = START_MS + (number * DAY_HOURS + hour) * HOUR_MS
            local = datetime.datetime.fromtimestamp(at_ms / 1_000, zoneinfo.ZoneInfo(zone))
            if local.month != month:
                used, paid, month = 0, 0, local.month
            if agreement and agreement["moved_in_on"] <= local.date():
                spent = hour_by_hand(used, row[name], local, prices[agreement["plan"], agreement["utility"]])
                cost, paid = cost + spent, paid + spent
            used += row[name]
        told.append((cost, paid))
    return told


def hour_by_hand(used, usage, local, prices):
    """Return what an hour's usage costs on top of what the month has used."""
    kinds = ("all", "weekend" if local.weekday() >= 5 else "workday")
    tiers = {
        price["tier_from"]: price["price_micro"]
        for price in prices
        if price["days"] in kinds
        and price["hour_from"] <= local.hour < price["hour_to"]
        and price["valid_from"] <= local.date() < (price["valid_until"] or datetime.date.max)
    }
    cost = 0
    for since, until in itertools.pairwise([*sorted(tiers), None]):
        end = used + usage if until is None else min(used + usage, until)
        cost += max(end - max(used, since), 0) * tiers[since]
    return cost
