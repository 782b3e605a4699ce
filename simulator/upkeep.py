"""Master data kept up for a run: written before it, and as days end while it goes on."""

from collections.abc import Sequence

from infra.contracts import master_data as contract
from infra.contracts.durations import DAY_MS
from simulator.ledger import Run
from simulator.master_data import each_table
from simulator.meter_faults import MeterFaults
from simulator.meter_list import meters_table
from simulator.options import day_text
from simulator.reads import reads_table
from simulator.s3_sink import S3Sink
from simulator.users import user_ids


class Upkeep:
    """What the utility knows on S3 of a fleet and of all that ran before. Every write may be repeated.

    :raises S3AwayError: from every method; what was not written then is written by the next call.
    """

    def __init__(
        self, s3: S3Sink, seed: int, users: int, meter_faults: MeterFaults, runs: Sequence[Run]
    ) -> None:
        self._s3 = s3
        self._seed = seed
        self._users = users
        self._meter_faults = meter_faults
        self._runs = runs
        # Users who beat in an earlier run stay in the archive.
        self._known_users = max([users, *(run.users for run in runs)])
        self._read_days: set[int] = set()
        self._known_until_ms = 0

    def write(self, from_ms: int, to_ms: int | None) -> None:
        """Write all master data, and for a run whose end is set the reads of all days that end in it."""
        until_ms = max(to_ms or from_ms, *(run.until_ms for run in self._runs), self._known_until_ms)
        since_ms = self._since_ms(from_ms)
        for path, table in each_table(self._seed, self._known_users, self._meter_faults, since_ms, until_ms):
            self._s3.put_table(path, table)
        self._known_until_ms = until_ms
        if to_ms is not None:
            self._write_reads(from_ms, to_ms)

    def keep_up(self, from_ms: int, until_ms: int) -> None:
        """Write what became known when days of a run ended that has come to `until_ms`: seconds a day."""
        day_end_ms = until_ms // DAY_MS * DAY_MS
        if self._meter_faults.exchange_ppm and day_end_ms > max(self._known_until_ms, from_ms):
            self._write_meters(from_ms, day_end_ms)
        self._write_reads(from_ms, until_ms)

    def _write_meters(self, from_ms: int, until_ms: int) -> None:
        user_id = user_ids(self._known_users)
        table = meters_table(self._seed, user_id, self._meter_faults, self._since_ms(from_ms), until_ms)
        self._s3.put_table(contract.METERS_PATH, table)
        self._known_until_ms = until_ms

    def _write_reads(self, from_ms: int, until_ms: int) -> None:
        """Write the reads of each UTC day whose end lies in (from_ms, until_ms], once."""
        for day in range(from_ms // DAY_MS, until_ms // DAY_MS):
            if day not in self._read_days:
                table = reads_table(self._seed, self._users_at((day + 1) * DAY_MS), self._meter_faults, day)
                self._s3.put_table(contract.reads_path(day_text(day)), table)
                self._read_days.add(day)

    def _since_ms(self, from_ms: int) -> int:
        return min([from_ms, *(run.from_ms for run in self._runs)])

    def _users_at(self, at_ms: int) -> int:
        """Return how many users beat up to an instant in this run, or in a recorded one of the same time."""
        others = (run.users for run in self._runs if run.from_ms < at_ms <= run.until_ms)
        return max([self._users, *others])
