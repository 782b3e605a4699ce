"""Asks a Flink cluster about the job through its REST interface, and stops it."""

import dataclasses
import json
import time
import urllib.error
import urllib.request
from typing import Any

TIMEOUT_S = 10
RETRY_S_MAX, RETRY_EVERY_S = 20, 0.5
SERVER_ERROR = 500
STOP_S_MAX = 120
FOLDED = "PythonGroupWindow"  # in the name of the task that follows the fold: what reached it is written
# What the operators count since their tasks began, by how the name of the task begins.
COUNTED = {
    "Source: heartbeats": ("pack.heartbeats", "pack.late", "pack.newest_event_ms"),
    "windows": ("windows.late",),
}
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
    watermark_ms: int | None  # windows that end before it are written
    newest_event_ms: int  # of all heartbeats read, -1 before the first
    heartbeats: int  # read since the job or its last recovery began
    late: int  # of these


class FlinkClient:
    """A cluster at an address such as http://127.0.0.1:19081."""

    def __init__(self, rest: str) -> None:
        self._rest = rest

    def job(self, name: str) -> JobStatus | None:
        """Return the live job of a name, None if there is none.

        :raises FlinkAwayError: if the cluster does not answer.
        """
        job = self._live(name)
        return self._status(job) if job else None

    def heard_at_ms(self) -> dict[str, int]:
        """Return when the cluster last heard from each task manager, by its id, in ms of the cluster's clock.

        :raises FlinkAwayError: if the cluster does not answer.
        """
        managers = self._get("/taskmanagers")["taskmanagers"]
        return {one["id"]: one["timeSinceLastHeartbeat"] for one in managers}  # Flink's name; it is a time

    def task_managers(self, job_id: str) -> set[str]:
        """Return the ids of the task managers that the tasks of a job are on, as far as the cluster knows.

        :raises FlinkAwayError: if the cluster does not answer.
        """
        path = f"/jobs/{job_id}"
        vertices = [self._get(f"{path}/vertices/{one['id']}") for one in self._get(path)["vertices"]]
        return {task["taskmanager-id"] for vertex in vertices for task in vertex["subtasks"]}

    def checkpoint(self, name: str) -> bool:
        """Ask the live job of a name for a checkpoint before its time; return whether there is one.

        Does not wait for it.

        :raises FlinkAwayError: if the cluster does not answer.
        """
        job = self._live(name)
        if job is not None:
            self._get(f"/jobs/{job['jid']}/checkpoints", {"checkpointType": "CONFIGURED"})
        return job is not None

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

    def _live(self, name: str) -> dict[str, Any] | None:
        jobs = [job for job in self._get("/jobs/overview")["jobs"] if job["name"] == name]
        return next((job for job in jobs if job["state"] in LIVE_STATES), None)

    def _status(self, job: dict[str, Any]) -> JobStatus:
        path = f"/jobs/{job['jid']}"
        checkpoints = self._get(f"{path}/checkpoints")
        completed = checkpoints["latest"]["completed"]
        vertices = {vertex["name"]: vertex["id"] for vertex in self._get(path)["vertices"]}
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
            watermark_ms=self._watermark_ms(path, vertices),
            **self._read(path, vertices),
        )

    def _watermark_ms(self, path: str, vertices: dict[str, str]) -> int | None:
        """Return the watermark behind the fold, None while there is none."""
        marks = [
            int(mark["value"])
            for name, vertex in vertices.items()
            if FOLDED in name
            for mark in self._get(f"{path}/vertices/{vertex}/watermarks")
        ]
        least = min(marks, default=-1)
        return least if least > 0 else None

    def _read(self, path: str, vertices: dict[str, str]) -> dict[str, int]:
        """Return what was read and what of it was late, and the newest event that any reader saw."""
        found: dict[str, dict[str, Any]] = {}
        for name, vertex in vertices.items():
            for begin, wanted in COUNTED.items():
                if name.startswith(begin):
                    metrics = f"{path}/vertices/{vertex}/subtasks/metrics?get={','.join(wanted)}"
                    found |= {metric["id"]: metric for metric in self._get(metrics)}

        def total(name: str) -> int:
            return int(found[name]["sum"]) if name in found else 0

        newest = found.get("pack.newest_event_ms")
        return {
            "newest_event_ms": int(newest["max"]) if newest else -1,
            "heartbeats": total("pack.heartbeats"),
            "late": total("pack.late") + total("windows.late"),
        }

    def _get(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._rest + path, data=data, headers=headers)
        deadline = time.monotonic() + RETRY_S_MAX
        while True:
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                # A cluster that has only just taken a job in fails to tell of it for a moment.
                if error.code < SERVER_ERROR or time.monotonic() > deadline:
                    raise FlinkAwayError(f"flink at {self._rest} refused {path}: {error}") from None
            except OSError as error:
                raise FlinkAwayError(
                    f"flink at {self._rest} does not answer ({error}); start it with `meterbeat up`"
                ) from None
            time.sleep(RETRY_EVERY_S)


def _first_line(failure: dict[str, Any]) -> str:
    return str(failure.get("stacktrace") or failure.get("stack-trace") or failure).splitlines()[0][:300]
