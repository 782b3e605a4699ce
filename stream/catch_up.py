"""Tells when the archive holds every heartbeat that had been sent by an instant, and hastens it."""

import contextlib
import time

from stream.flink_client import FlinkAwayError, FlinkClient
from stream.kafka_source import KafkaSource

ASK_EVERY_S = 20


class CatchUp:
    """The topics' ends as they were when this was made, against what the archive job has committed."""

    def __init__(self, source: KafkaSource, flink: FlinkClient, job_name: str) -> None:
        """Note where the topics end; `source` reads as the archive job's group.

        :raises KafkaAwayError: if the broker does not answer.
        """
        self._source, self._flink, self._job_name = source, flink, job_name
        self._ends = source.ends()
        self._asked_s = float("-inf")

    def reached(self) -> bool:
        """Return whether all is archived; ask the job for a checkpoint if not, as files end with those.

        :raises KafkaAwayError: if the broker does not answer.
        """
        if self._source.covers(self._ends):
            return True
        if time.monotonic() - self._asked_s > ASK_EVERY_S:
            self._asked_s = time.monotonic()
            self._ask_for_checkpoint()
        return False

    def _ask_for_checkpoint(self) -> None:
        # A cluster that is away makes its checkpoints when it is back.
        with contextlib.suppress(FlinkAwayError):
            self._flink.checkpoint(self._job_name)
