"""What a household should be told of: leaks, unusual base load, silent meters, and what was corrected. Pure.

From what validation found in the newest nights, the hours of those nights, and live state.
"""

import dataclasses
import enum
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import LiveState
from infra.contracts.quality import Quality, Rule
from infra.contracts.utility import UTILITIES, Utility

NIGHTS = 15  # whose findings and hours are looked at
SILENT_MS = 15 * 60_000
ALERTS_MAX = 50

# Base load is the least that any hour of a UTC day used. It is unusual where each of the newest nights is
# above what was usual before by RISE_PERCENT and by the floor: below that an appliance more is no news.
BASE_NIGHTS = 2
BASE_BEFORE_MIN = 7
RISE_PERCENT = 50
BASE_FLOORS = {Utility.ELECTRICITY: 100, Utility.GAS: 50, Utility.WATER: 10}


class Severity(enum.StrEnum):
    """Whether somebody should act."""

    INFO = "info"
    WARNING = "warning"


class AlertKind(enum.StrEnum):
    """What an alert is about; the names are stable."""

    LEAK = "leak"
    BASE_LOAD = "base_load"
    SILENT_METER = "silent_meter"
    GAP = "gap"
    STUCK = "stuck"
    ZERO = "zero"
    READ = "read"


class Finding(NamedTuple):
    """What validation found in UTC hours [hour_from, hour_to) of a night; `amount` is the usage concerned."""

    night_ms: int
    utility: Utility
    rule: Rule
    hour_from: int
    hour_to: int
    amount: int


class NightHours(NamedTuple):
    """A meter's published UTC day, as far as alerts look at it."""

    night_ms: int
    utility: Utility
    hours: tuple[int, ...]
    quality: str
    last_sent_at: int


@dataclasses.dataclass(frozen=True)
class Alert:
    """One thing to tell, of [since, until); `until` None: it lasts as far as is known. `amount` in `unit`."""

    kind: AlertKind
    utility: Utility
    since: int
    until: int | None
    message: str
    amount: int | None
    unit: str
    severity: Severity


def alerts(
    findings: Iterable[Finding],
    nights: Sequence[NightHours],
    live: LiveState | None,
    truth_until: int | None,
    now_ms: int,
) -> list[Alert]:
    """Return at most ALERTS_MAX alerts: what lasts first, then warnings, then the newest.

    Without live state no meter is called silent: nobody knows.
    """
    found: list[Alert] = []
    until = truth_until or 0
    for utility in UTILITIES:
        of_utility = sorted(
            (night for night in nights if night.utility is utility), key=lambda one: one.night_ms
        )
        mine = [finding for finding in findings if finding.utility is utility]
        meter = live.meters.get(utility) if live else None
        by_night = {night.night_ms: night for night in of_utility}
        told = list(_of_findings(mine, by_night, until, meter.sent_at if meter else 0))
        found += told
        # Water that never rests is a leak already.
        if not any(alert.kind is AlertKind.LEAK and alert.until is None for alert in told):
            found += _base_load(utility, of_utility, until)
        if live is not None:
            found += _silent(utility, live, of_utility, now_ms)
    found.sort(key=lambda one: (one.until is not None, one.severity is Severity.INFO, -one.since))
    return found[:ALERTS_MAX]


def _of_findings(
    findings: Iterable[Finding], nights: Mapping[int, NightHours], truth_until: int, heard_at: int
) -> Iterator[Alert]:
    for rule in (Rule.LEAK, Rule.GAP, Rule.STUCK, Rule.ZERO, Rule.READ):
        for run in _runs(finding for finding in findings if finding.rule is rule):
            since, end = _start(run[0]), _end(run[-1])
            over = rule is Rule.READ or (rule is Rule.GAP and heard_at >= end)
            lasts = end >= truth_until and not over
            message, amount = _told(rule, run, nights)
            yield Alert(
                AlertKind(rule.value),
                run[0].utility,
                since,
                None if lasts else end,
                message,
                amount,
                run[0].utility.unit,
                Severity.WARNING if rule is Rule.LEAK else Severity.INFO,
            )


def _runs(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    """Yield findings that follow one another without a break, together."""
    run: list[Finding] = []
    for finding in sorted(findings, key=_start):
        if run and _start(finding) > _end(run[-1]):
            yield run
            run = []
        run.append(finding)
    if run:
        yield run


def _told(rule: Rule, run: Sequence[Finding], nights: Mapping[int, NightHours]) -> tuple[str, int | None]:
    """Return what to say of a run of findings, and the amount it is about."""
    unit = run[0].utility.unit
    hours = (_end(run[-1]) - _start(run[0])) // HOUR_MS
    amount = sum(finding.amount for finding in run)
    if rule is Rule.LEAK:
        newest = nights.get(run[-1].night_ms)
        flow = min(newest.hours) if newest else None
        rest = "" if flow is None else f": at least {flow} {unit} in every hour"
        return f"Water has not rested for {hours} hours{rest}. Look at taps, cisterns and pipes.", flow
    # A finding names the hours that a silence touched, which are more than it lasted.
    within = "this hour" if hours == 1 else f"these {hours} hours"
    told = {
        Rule.GAP: f"Within {within} the meter was silent; {amount} {unit} of usage are estimated.",
        Rule.STUCK: f"The register stood still for {hours} hours while the meter reported a flow; "
        "these hours were corrected.",
        Rule.ZERO: f"Nothing was used for {hours} hours.",
        Rule.READ: "The utility's own read differed from the meter; usage was corrected by it.",
    }
    return told[rule], amount


def _base_load(utility: Utility, nights: Sequence[NightHours], truth_until: int) -> Iterator[Alert]:
    measured = [night for night in nights if not night.quality.strip(Quality.MEASURED)]
    if not measured or measured[-1].night_ms + DAY_MS != truth_until:
        return
    bases = [min(night.hours) for night in measured]
    newest, before = bases[-BASE_NIGHTS:], bases[:-BASE_NIGHTS]
    if len(before) < BASE_BEFORE_MIN:
        return
    usual = int(statistics.median(before))
    bound = max(usual * (100 + RISE_PERCENT) // 100, usual + BASE_FLOORS[utility])
    if min(newest) <= bound:
        return
    message = (
        f"At rest {newest[-1]} {utility.unit} an hour are used, against {usual} {utility.unit} "
        "in the days before. Something may have been left on."
    )
    yield Alert(
        AlertKind.BASE_LOAD,
        utility,
        measured[-BASE_NIGHTS].night_ms,
        None,
        message,
        newest[-1] - usual,
        utility.unit,
        Severity.WARNING,
    )


def _silent(utility: Utility, live: LiveState, nights: Sequence[NightHours], now_ms: int) -> Iterator[Alert]:
    meter = live.meters.get(utility)
    heard = [night.last_sent_at for night in nights] + ([meter.sent_at] if meter else [])
    if not heard or now_ms - max(heard) <= SILENT_MS:
        return
    minutes = (now_ms - max(heard)) // 60_000
    span = f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
    message = f"The meter has not been heard for {span}. Its figures end then, and are completed later."
    yield Alert(
        AlertKind.SILENT_METER, utility, max(heard), None, message, None, utility.unit, Severity.WARNING
    )


def _start(finding: Finding) -> int:
    return finding.night_ms + finding.hour_from * HOUR_MS


def _end(finding: Finding) -> int:
    return finding.night_ms + finding.hour_to * HOUR_MS
