"""One run from start to record: master data first, heartbeats at their pace, the record kept up to date."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

from infra.contracts.heartbeat import INTERVAL_MS
from infra.contracts.utility import UTILITIES
from simulator.faults import Faults
from simulator.fleet import Pace, Progress
from simulator.fleet import run as run_fleet
from simulator.kafka_sink import KafkaSink
from simulator.lane import lanes_of
from simulator.ledger import Run
from simulator.load_curves import use_until
from simulator.master_data import master_tables
from simulator.options import Rate
from simulator.s3_sink import S3AwayError, S3Sink
from simulator.schedule import spans, step_ms

RECORD_INTERVAL_S = 2.0


class Send:
    """A fleet that is ready to send: the broker answers, master data is written, every meter is known.

    :raises KafkaAwayError, KafkaRefusalError, S3AwayError: if a service is not as it must be.
    """

    def __init__(self, seed: int, users: int, faults: Faults, s3: S3Sink, kafka: KafkaSink[Progress]) -> None:
        self._seed = seed
        self._users = users
        self._faults = faults
        self._s3 = s3
        self._kafka = kafka
        s3.make_bucket()
        for path, table in master_tables(seed, users).items():
            s3.put_table(path, table)
        for utility in UTILITIES:
            use_until(utility)
        self._partitions = {utility: kafka.partitions[utility] for utility in UTILITIES}
        self._lanes = lanes_of(seed, users, self._partitions, faults)

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

        While it lasts, a record that cannot be written is only reported; the last one must be.
        """
        fleet_heartbeats_s = self._users * len(UTILITIES) * 1_000 / INTERVAL_MS
        speed = rate.speed(fleet_heartbeats_s)
        step = step_ms(self._users / min(self._partitions.values()), speed)
        planned = Run(
            self._seed, self._users, from_ms, to_ms, self._faults, from_ms, finished=False, counts={}
        )
        start = Progress(from_ms, {})
        with _Recorder(self._s3, planned, self._kafka, on_trouble) as recorder:
            pace = Pace(from_ms, speed, clock, stop.wait)
            progress = start
            for progress in run_fleet(self._lanes, spans(from_ms, to_ms, step), self._kafka, pace, start):
                on_progress(progress)
            return recorder.finish(progress)


class _Recorder:
    """Writes what is acknowledged every RECORD_INTERVAL_S beside the run, and whatever happens once more."""

    def __init__(
        self, s3: S3Sink, planned: Run, kafka: KafkaSink[Progress], on_trouble: Callable[[str], None]
    ) -> None:
        self._s3 = s3
        self._run = planned
        self._kafka = kafka
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
        return finished

    def _record_often(self) -> None:
        while not self._ended.wait(RECORD_INTERVAL_S):
            self._record_or_report()

    def _record_or_report(self) -> None:
        acknowledged = self._kafka.acknowledged
        if acknowledged is not None:
            try:
                self._s3.put_run(_at(self._run, acknowledged))
            except S3AwayError as error:
                self._on_trouble(str(error))


def _at(run: Run, progress: Progress) -> Run:
    return dataclasses.replace(run, acknowledged_until=progress.until_ms, counts=progress.counts)
