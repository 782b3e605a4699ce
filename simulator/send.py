"""One run from start to record: master data first, heartbeats at their pace, the record kept up to date.

Runs add up to one story: what a run would contradict is refused before anything is written or sent.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.utility import UTILITIES
from simulator.faults import Faults
from simulator.fleet import Pace, Progress
from simulator.fleet import run as run_fleet
from simulator.kafka_sink import KafkaSink
from simulator.lane import lanes_of
from simulator.ledger import Run, check_fates, check_joins
from simulator.load_curves import use_until
from simulator.meter_faults import NONE, MeterFaults
from simulator.options import Rate
from simulator.s3_sink import S3AwayError, S3Sink
from simulator.schedule import Span, live_spans, paced_spans, spans, step_ms
from simulator.upkeep import Upkeep

RECORD_INTERVAL_S = 2.0


class Send:
    """A fleet that is ready to send: the broker answers, earlier runs are read, every meter is known.

    :raises KafkaAwayError, KafkaRefusalError, S3AwayError: if a service is not as it must be.
    :raises LedgerError: if runs of another seed are recorded.
    """

    def __init__(
        self,
        seed: int,
        users: int,
        faults: Faults,
        s3: S3Sink,
        kafka: KafkaSink[Progress],
        meter_faults: MeterFaults = NONE,
    ) -> None:
        self._seed = seed
        self._users = users
        self._faults = faults
        self._meter_faults = meter_faults
        self._s3 = s3
        self._kafka = kafka
        s3.make_bucket()
        self._runs = s3.read_runs()
        check_joins(self._runs, seed)
        self._upkeep = Upkeep(s3, seed, users, meter_faults, self._runs)
        for utility in UTILITIES:
            use_until(utility)
        self._partitions = {utility: kafka.partitions[utility] for utility in UTILITIES}
        self._lanes = lanes_of(seed, users, self._partitions, faults, meter_faults)

    def prepare(self, from_ms: int, to_ms: int | None) -> None:
        """Write the master data that a run of this period needs: for many users, that takes seconds.

        :raises LedgerError: if a recorded run had other faults in the period; nothing is written then.
        """
        check_fates(self._runs, self._faults, from_ms, to_ms, self._meter_faults)
        self._upkeep.write(from_ms, to_ms)

    def run(
        self,
        *,
        from_ms: int,
        to_ms: int | None,
        rate: Rate,
        clock: Callable[[], float],
        stop: threading.Event,
        on_progress: Callable[[Progress], None],
        on_trouble: Callable[[str], None],
    ) -> Run:
        """Send the period, to its end or until `stop` is set, and return the run as recorded last.

        `clock` gives the wall clock's seconds. While the run lasts, a record that cannot be written is
        only reported; the last one must be.

        :raises LedgerError: if a recorded run had other faults in the period; nothing is written then.
        """
        check_fates(self._runs, self._faults, from_ms, to_ms, self._meter_faults)
        fleet_heartbeats_s = self._users * len(UTILITIES) * 1_000 / INTERVAL_MS
        speed = rate.speed(fleet_heartbeats_s)
        planned = Run(
            self._seed,
            self._users,
            from_ms,
            to_ms,
            self._faults,
            from_ms,
            finished=False,
            counts={},
            started_at=round(clock() * 1_000),
            meter_faults=self._meter_faults,
        )
        start = Progress(from_ms, {})
        with _Recorder(self._s3, planned, self._kafka, self._upkeep, on_trouble) as recorder:
            pace = Pace(from_ms, rate.from_s(from_ms, clock()), speed, clock, stop.wait)
            period = self._spans(from_ms, to_ms, speed, clock if rate.real_time else None)
            progress = start
            for progress in run_fleet(self._lanes, period, self._kafka, pace, start):
                on_progress(progress)
            return recorder.finish(progress)

    def _spans(
        self, from_ms: int, to_ms: int | None, speed: float | None, live: Callable[[], float] | None
    ) -> Iterator[Span]:
        """Return the period's spans; those of a live fleet by the clock it keeps to."""
        users_per_partition = self._users / min(self._partitions.values())
        step = step_ms(users_per_partition, speed)
        if live is None and speed is not None and step < INTERVAL_MS:
            return paced_spans(from_ms, to_ms, step, speed)
        if live is None:
            return spans(from_ms, to_ms, step)
        return live_spans(from_ms, to_ms, step, step_ms(users_per_partition, None), lambda: live() * 1_000)


class _Recorder:
    """Writes what is acknowledged every RECORD_INTERVAL_S beside the run, and whatever happens once more.

    So it does with what the utility learns as days end.
    """

    def __init__(
        self,
        s3: S3Sink,
        planned: Run,
        kafka: KafkaSink[Progress],
        upkeep: Upkeep,
        on_trouble: Callable[[str], None],
    ) -> None:
        self._s3 = s3
        self._run = planned
        self._kafka = kafka
        self._upkeep = upkeep
        self._on_trouble = on_trouble
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._record_often, name="recorder", daemon=True)

    def __enter__(self) -> "_Recorder":
        self._s3.put_run(self._run)
        self._thread.start()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._ended.set()
        self._thread.join()
        if not self._run.finished:
            self._record_or_report()

    def finish(self, progress: Progress) -> Run:
        """Record the run as finished where it has come to."""
        self._ended.set()
        self._thread.join()
        finished = dataclasses.replace(_at(self._run, progress), to_ms=progress.until_ms, finished=True)
        self._s3.put_run(finished)
        self._run = finished
        self._upkeep.keep_up(finished.from_ms, finished.until_ms)
        return finished

    def _record_often(self) -> None:
        while not self._ended.wait(RECORD_INTERVAL_S):
            self._record_or_report()

    def _record_or_report(self) -> None:
        acknowledged = self._kafka.acknowledged
        if acknowledged is not None:
            try:
                self._s3.put_run(_at(self._run, acknowledged))
                self._upkeep.keep_up(self._run.from_ms, acknowledged.until_ms)
            except S3AwayError as error:
                self._on_trouble(str(error))


def _at(run: Run, progress: Progress) -> Run:
    return dataclasses.replace(run, acknowledged_until=progress.until_ms, counts=progress.counts)
