"""Asks a Flink cluster about the job through its REST interface, and stops it."""

import dataclasses
import json
import time
import urllib.error
import urllib.request
from typing import Any

TIMEOUT_S = 10
STOP_S_MAX = 120
FOLD = "PythonGroupWindow"  # as Flink names the folds among the tasks
LIVE_STATES = ("CREATED", "INITIALIZING", "RUNNING", "RESTARTING", "FAILING", "RECONCILING")


class FlinkAwayError(RuntimeError):
    """The cluster does not answer. Transient: names the address and the remedy."""


@dataclasses.dataclass(frozen=True)
class JobStatus:
    """What the cluster says of one job."""

    job_id: str
    state: str
    uptime_s: int
    tasks_running: int
    tasks: int
    checkpoints_completed: int
    checkpoints_failed: int
    checkpoint_ms_last: int | None
    restarts: int
    failure: str | None  # the first line of the last one
    watermark_ms: int | None  # the least of the folds'; windows that end before it are written


class FlinkClient:
    """A cluster at an address such as http://127.0.0.1:19081."""

    def __init__(self, rest: str) -> None:
        self._rest = rest

    def job(self, name: str) -> JobStatus | None:
        """Return the live job of a name, None if there is none.

        :raises FlinkAwayError: if the cluster does not answer.
        """
        jobs = [job for job in self._get("/jobs/overview")["jobs"] if job["name"] == name]
        live = [job for job in jobs if job["state"] in LIVE_STATES]
        return self._status(live[0]) if live else None

    def stop(self, job_id: str, savepoint_dir: str) -> str:
        """Stop a job with a savepoint and return where the savepoint is.

        :raises FlinkAwayError: if the cluster does not answer or takes longer than STOP_S_MAX.
        """
        body = {"targetDirectory": savepoint_dir, "drain": False}
        trigger = self._get(f"/jobs/{job_id}/stop", body)["request-id"]
        deadline = time.monotonic() + STOP_S_MAX
        while time.monotonic() < deadline:
            answer = self._get(f"/jobs/{job_id}/savepoints/{trigger}")
            if answer["status"]["id"] == "COMPLETED":
                operation = answer["operation"]
                if "location" in operation:
                    return str(operation["location"])
                raise FlinkAwayError(
                    f"job {job_id} could not be stopped: {_first_line(operation['failure-cause'])}"
                )
            time.sleep(0.5)
        raise FlinkAwayError(f"job {job_id} is not stopped after {STOP_S_MAX} s")

    def _status(self, job: dict[str, Any]) -> JobStatus:
        path = f"/jobs/{job['jid']}"
        checkpoints = self._get(f"{path}/checkpoints")
        completed = checkpoints["latest"]["completed"]
        failures = self._get(f"{path}/exceptions")["exceptionHistory"]["entries"]
        return JobStatus(
            job_id=job["jid"],
            state=job["state"],
            uptime_s=job["duration"] // 1000,
            tasks_running=job["tasks"]["running"],
            tasks=job["tasks"]["total"],
            checkpoints_completed=checkpoints["counts"]["completed"],
            checkpoints_failed=checkpoints["counts"]["failed"],
            checkpoint_ms_last=completed["end_to_end_duration"] if completed else None,
            restarts=len(failures),
            failure=_first_line(failures[0]) if failures else None,
            watermark_ms=self._watermark_ms(path),
        )

    def _watermark_ms(self, path: str) -> int | None:
        """Return the least watermark over all folds, None while one of them has none."""
        marks = []
        for vertex in self._get(path)["vertices"]:
            if FOLD in vertex["name"]:
                found = self._get(f"{path}/vertices/{vertex['id']}/watermarks")
                marks += [int(mark["value"]) for mark in found] or [-1]
        least = min(marks, default=-1)
        return least if least > 0 else None

    def _get(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._rest + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise FlinkAwayError(f"flink at {self._rest} refused {path}: {error}") from None
        except OSError as error:
            raise FlinkAwayError(
                f"flink at {self._rest} does not answer ({error}); start it with `meterbeat up`"
            ) from None


def _first_line(failure: dict[str, Any]) -> str:
    return str(failure.get("stacktrace") or failure.get("stack-trace") or failure).splitlines()[0][:300]
