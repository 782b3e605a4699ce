"""Rebuilds live state from the archive after Redis lost it, while the fold goes on writing what is new.

An active user's newest state needs no rebuild: the next window writes it. Lost are the hours' marks. A mark
is the register of the last heartbeat before its hour's end, and a meter beats every 5 s, so the quick pass
reads only the last REACH_MS of each hour, the beginning, and the archive's newest minutes. It looks first
into the files that were written just after an hour's end, then into the footers of all others, where late
heartbeats and those of a backlog are, and at last at the files that appeared meanwhile.

The quick pass is exact for every meter that sent something in the last REACH_MS of each hour. Otherwise
- a meter silent just then keeps the mark of the hour before: that hour shows too little, the next hour that
  much more, their sum is right;
- a meter that began within the range, after the archive's first minute, begins with the first heartbeat
  that was read: its first hour shows too little;
- a meter that has been silent since before the newest minutes shows its state as of an hour's end.
The thorough pass reads every row and is exact for those too. Of a register that falls (rollover, exchange)
within an hour that has a mark already, neither takes the lower value: that is left to batch.
"""

import dataclasses
import datetime
import time
from collections.abc import Callable, Iterable

import numpy as np

from infra.contracts.durations import DAY_MS, HOUR_MS
from infra.contracts.live_state import MARKS_MAX
from infra.contracts.utility import UTILITIES, Utility
from stream.archive_source import ArchiveFile, ArchiveSource, RowGroup, Stretch
from stream.hour_ends import HourEnds
from stream.redis_sink import RedisSink, Sentinel

REACH_MS = 30_000  # six beats: that all of them are lost happens once in 10**12 meters and hours at 1 % loss
BEGINNING_MS = 60_000
NEWEST_MS = 120_000
NEAR_MS = 300_000  # after an hour's end: the archive's checkpoint interval and what a checkpoint may take
DRIFT_MS = 120_000  # how far ahead of its own clock the broker accepts a heartbeat
USERS_PER_CHUNK = 10_000
CATCH_UP_S_MAX = 300
LOOK_EVERY_S = 3
LOOKS_MAX = 5


class RebuildRefused(ValueError):  # noqa: N818 - named by what happened, as batch names its own
    """A range that cannot be rebuilt: names it and what it may be."""


@dataclasses.dataclass
class Report:
    """What a rebuild did, all utilities together. Times in seconds since its start."""

    since: str
    hours: int  # the running one included
    thorough: bool = False
    files: int = 0
    rows_read: int = 0
    rows_kept: int = 0
    meters: int = 0
    meters_written: int = 0  # one that an archive file showed anew is written again
    hours_right_s: float = 0.0  # for all that was on time and archived when it began
    finished_s: float = 0.0
    archive_caught_up: bool = False  # it holds all that was sent before the start
    whole: bool = False  # nothing is missing, and Redis lost nothing meanwhile

    @property
    def text(self) -> str:
        """What a person wants to know of it."""
        if not self.whole:
            return (
                "not whole: "
                + ("redis lost its data again" if self.archive_caught_up else "the archive is behind")
                + "; run `meterbeat stream rebuild` again"
            )
        return (
            f"{self.meters:,} meters rebuilt since {self.since}: "
            f" {self.rows_read:,} rows of {self.files:,} files in {self.finished_s} s"
        )


class Rebuild:
    """One rebuild of the hours [since, until) and of what is newer; its steps are repeatable."""

    def __init__(
        self,
        archive: ArchiveSource,
        sink: RedisSink,
        tell: Callable[[str], None],
        since_ms: int,
        now_ms: int,
    ) -> None:
        """Take a range; `tell` is told of progress.

        :raises RebuildRefused: if `since_ms` lies ahead, or so far back that Redis does not keep its hours.
        """
        hours = (now_ms + DRIFT_MS) // HOUR_MS - since_ms // HOUR_MS + 1
        since = datetime.datetime.fromtimestamp(since_ms / 1000, datetime.UTC).isoformat()
        if since_ms > now_ms:
            raise RebuildRefused(f"--since is {since}, which is ahead; give an instant of the last two days")
        if hours >= MARKS_MAX:
            raise RebuildRefused(
                f"--since is {since}, {hours} hours back; Redis keeps {MARKS_MAX}: give a later instant"
            )
        self._archive, self._sink, self._tell = archive, sink, tell
        self._since_ms = since_ms - since_ms % HOUR_MS
        first_hour = self._since_ms // HOUR_MS - 1
        self._range: Stretch = (first_hour * HOUR_MS, (first_hour + hours + 1) * HOUR_MS)
        self._ends = {utility: HourEnds(utility, first_hour, hours + 1) for utility in UTILITIES}
        self._row_groups: dict[Utility, dict[ArchiveFile, list[RowGroup]]] = {u: {} for u in UTILITIES}
        self._read: dict[RowGroup, set[Stretch]] = {}
        self.report = Report(since=since, hours=hours)

    def quick(self, *, near_only: bool) -> None:
        """Read the hours' ends in what the archive holds at this moment, and write what they tell.

        `near_only` leaves out files that were not written around the end of an hour.

        :raises ArchiveAwayError: if the archive does not answer.
        :raises redis.exceptions.RedisError: if Redis does not.
        """
        for utility in UTILITIES:
            files = self._files(utility)
            self._look(utility, near(files, self._range) if near_only else files)
            groups = self._known(utility)
            self._take(utility, groups, hour_ends(self._range, groups))
        self._write()

    def thorough(self) -> None:
        """Read every row of what the archive holds at this moment, the newest first, and write it.

        :raises ArchiveAwayError: if the archive does not answer.
        :raises redis.exceptions.RedisError: if Redis does not.
        """
        self.report.thorough = True
        for utility in UTILITIES:
            self._look(utility, self._files(utility))
            self._take(utility, self._known(utility), [self._range])
        self._write()

    def _files(self, utility: Utility) -> list[ArchiveFile]:
        """Return the files that may hold rows of the range, the newest first."""
        # What was written before the range's first stretch cannot hold it; and the end of the day before is
        # not worth reading that day whole, which a compacted file asks for.
        earliest = self._since_ms - REACH_MS - DRIFT_MS
        since_day = _day(self._since_ms).isoformat()
        files = self._archive.list_files(utility, _day(self._range[0]))
        return [file for file in files if file.written_ms >= earliest or _compacted_since(file, since_day)]

    def _look(self, utility: Utility, files: Iterable[ArchiveFile]) -> None:
        known = self._row_groups[utility]
        strangers = [file for file in files if file not in known]
        self.report.files += len(strangers)
        for file, groups in self._archive.row_groups(strangers):
            known[file] = groups
            self._tell(f"{utility}: {self.report.files:,} files looked into")

    def _known(self, utility: Utility) -> list[RowGroup]:
        return [group for groups in self._row_groups[utility].values() for group in groups]

    def _take(self, utility: Utility, groups: list[RowGroup], stretches: list[Stretch]) -> None:
        """Read what was not read before of the stretches, and write the meters that it changes."""
        wanted = []
        for group in sorted(groups, key=lambda group: group.last_ms, reverse=True):
            read = self._read.setdefault(group, set())
            parts = [part for part in stretches if part not in read and group.overlaps(part)]
            if parts:
                wanted.append((group, parts))
                read.update(parts)
                self.report.rows_read += group.rows
        ends = self._ends[utility]
        for columns in self._archive.read(wanted):
            if columns and len(columns["user_id"]):
                ends.add(**columns)
                self.report.rows_kept += len(columns["user_id"])
            self._tell(f"{utility}: {self.report.rows_read:,} rows read, {self.report.rows_kept:,} of use")

    def _write(self) -> None:
        """Write the users of whom anything changed, the newest heartbeats before the marks."""
        users = np.unique(np.concatenate([ends.changed_users() for ends in self._ends.values()]))
        for start in range(0, len(users), USERS_PER_CHUNK):
            chunk = users[start : start + USERS_PER_CHUNK]
            taken = [ends.take(chunk) for ends in self._ends.values()]
            newest, marks = (np.concatenate(rows) for rows in zip(*taken, strict=True))
            self._sink.write_live(newest[np.argsort(newest["user_id"], kind="stable")])
            self._sink.write_marks(marks[np.argsort(marks["user_id"], kind="stable")])
            self.report.meters_written += len(newest)
            self._tell(f"{self.report.meters_written:,} meters written")
        self.report.meters = sum(ends.meters for ends in self._ends.values())


def run(rebuild: Rebuild, sentinel: Sentinel, caught_up: Callable[[], bool], *, thorough: bool) -> Report:
    """Rebuild from what is archived, then from what the archive gets later of before the start.

    `caught_up` answers whether the archive holds all that was sent before the start. The sentinel is set
    if Redis is whole at the end.

    :raises ArchiveAwayError: if the archive does not answer.
    :raises redis.exceptions.RedisError: if Redis does not.
    """
    report, began = rebuild.report, time.monotonic()
    run_id = sentinel.begin()
    if thorough:
        rebuild.thorough()
    else:
        rebuild.quick(near_only=True)
        report.hours_right_s = round(time.monotonic() - began, 1)
    rebuild.quick(near_only=False)
    while not (report.archive_caught_up or time.monotonic() - began > CATCH_UP_S_MAX):
        time.sleep(LOOK_EVERY_S)
        report.archive_caught_up = caught_up()
    _look_again(rebuild)
    report.whole = report.archive_caught_up and sentinel.finish(run_id)
    report.finished_s = round(time.monotonic() - began, 1)
    return report


def _look_again(rebuild: Rebuild) -> None:
    """Read what appeared meanwhile; files may do so a moment after the job says that they are there."""
    for _ in range(LOOKS_MAX):
        time.sleep(LOOK_EVERY_S)
        files = rebuild.report.files
        rebuild.quick(near_only=False)
        if rebuild.report.files == files:
            return


def since_ms_of(text: str) -> int:
    """Return the instant of an ISO-8601 text with Z or offset, in ms since 1970.

    :raises RebuildRefused: if it is none.
    """
    try:
        instant: datetime.datetime | None = datetime.datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise RebuildRefused(f"--since is {text!r}; give an instant such as 2026-03-29T00:00Z")
    return int(instant.timestamp() * 1000)


def _compacted_since(file: ArchiveFile, day: str) -> bool:
    return not file.written_ms and file.day >= day


def _day(at_ms: int) -> datetime.date:
    return datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC).date()


def default_since_ms(archive: ArchiveSource, now_ms: int) -> int:
    """Return the start of yesterday UTC, or of today if yesterday is compacted: then batch answers for it.

    :raises ArchiveAwayError: if the archive does not answer.
    """
    today_ms = now_ms - now_ms % DAY_MS
    answered = all(archive.compacted(utility, _day(today_ms - 1)) for utility in UTILITIES)
    return today_ms if answered else today_ms - DAY_MS


def near(files: list[ArchiveFile], whole: Stretch) -> list[ArchiveFile]:
    """Return those written soon after an hour's end, and the first and the last that were written."""
    written = [file.written_ms for file in files if file.written_ms]
    if not written:
        return []
    first, last = min(written), max(written)

    def chosen(at: int) -> bool:
        after_end = (at + REACH_MS) % HOUR_MS <= NEAR_MS + REACH_MS
        in_range = whole[0] <= at
        return (in_range and after_end) or at <= first + NEWEST_MS or at >= last - NEAR_MS

    return [file for file in files if file.written_ms and chosen(file.written_ms)]


def hour_ends(whole: Stretch, groups: list[RowGroup]) -> list[Stretch]:
    """Return the stretches of the range that tell its marks, its beginning and its newest state."""
    inside = [group for group in groups if group.overlaps(whole)]
    if not inside:
        return []
    first = max(min(group.first_ms for group in inside), whole[0] + HOUR_MS)
    last = min(max(group.last_ms for group in inside), whole[1] - 1)
    ends = [(end - REACH_MS, end) for end in range(whole[0] + HOUR_MS, whole[1] + 1, HOUR_MS)]
    newest = (max(last - NEWEST_MS, whole[0]), whole[1])
    return [*ends, (first, first + BEGINNING_MS), newest]
