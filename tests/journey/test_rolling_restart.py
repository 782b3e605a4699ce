"""Serving is restarted, and loses a process, under load: every request is answered, every stream resumes."""

import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
import urllib3

from infra.haproxy import server as haproxy
from infra.process import launch, recorded_pid
from tests.support.services import Platform, running_platform

PORT_BASE = 21_500
USERS = 200
FIRST_USER = 10_000_000
CLIENTS = 6
RATE = 20  # requests a second of each client
START_S_MAX = 90
STORES = {  # a platform of Redis and MySQL: what is elsewhere is not started
    "kafka_bootstrap": "elsewhere:9092",
    "s3_endpoint": "http://elsewhere:9000",
    "flink_rest": "http://elsewhere:8081",
}


@dataclasses.dataclass(frozen=True)
class Served:
    platform: Platform
    process: "subprocess.Popen[bytes]"
    token: str

    @property
    def url(self) -> str:
        return self.platform.settings.serving_url

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def pids(self) -> dict[str, int | None]:
        home = self.platform.settings.home
        return {path.parent.name: recorded_pid(path) for path in home.glob("serving-*/service.pid")}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("rolling")
    changes = {**STORES, "serving_rate_limit_per_minute": 1_000_000}
    with running_platform(home, port_base=PORT_BASE, **changes) as platform:
        loaded = platform.room("stream", "load", "--users", str(USERS), "--json")
        assert loaded.returncode == 0, loaded.stderr
        token = platform.ask("token", "--role", "operator")["token"]
        # What a run of three processes leaves that was killed.
        launch(["sleep", "600"], home / "serving-3", dict(os.environ), home)
        with (home / "serve.log").open("wb") as log:
            process = platform.start("serve", output=log)
        try:
            wait_until_up(platform, process, home / "serve.log")
            yield Served(platform, process, token)
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=40)
            assert process.poll() == 0, (home / "serve.log").read_text()


def wait_until_up(platform: Platform, process: "subprocess.Popen[bytes]", log: pathlib.Path) -> None:
    deadline = time.monotonic() + START_S_MAX
    while list(haproxy.states(platform.settings).values()) != ["UP", "UP"]:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


class Load:
    """Clients that ask at a steady rate and never twice: whatever is not answered is counted."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._ended = threading.Event()
        self.answers: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        # Half of the clients keep their connection, half open one a request.
        with urllib3.PoolManager(1, retries=False, timeout=20) as pool:
            user = FIRST_USER + number
            while not self._ended.wait(1 / RATE):
                url = f"{self._served.url}/api/v1/households/{user}"
                headers = self._served.headers | ({"Connection": "close"} if number % 2 else {})
                try:
                    found = str(pool.request("GET", url, headers=headers).status)
                except urllib3.exceptions.HTTPError as error:
                    found = repr(error)
                with self._lock:
                    self.answers[found] += 1
                user = FIRST_USER + (user - FIRST_USER + CLIENTS) % USERS


class TestCores:
    def test_each_process_stays_on_its_own_where_there_are_as_many(self, served):
        cores = os.sched_getaffinity(0)
        bound = sorted((os.sched_getaffinity(pid) for pid in served.pids().values()), key=sorted)

        assert bound == ([{core} for core in sorted(cores)] if len(cores) == 2 else [cores, cores])


class TestRestart:
    def test_is_not_of_what_an_earlier_run_left(self, served):
        assert served.pids().keys() == {"serving-1", "serving-2"}

    def test_in_turn_loses_no_request(self, served):
        before = served.pids()

        with Load(served) as load:
            time.sleep(1)
            restarted = served.platform.ask("restart-serving")
            time.sleep(1)

        after = served.pids()
        assert set(load.answers) == {"200"}, load.answers
        assert load.answers["200"] > CLIENTS * RATE
        assert restarted["restart_s"] > 2 * served.platform.settings.serving_drain_s
        assert len(after) == 2 and None not in after.values()
        assert not set(before.values()) & set(after.values())

    def test_a_stream_ends_and_resumes_with_another_process(self, served):
        url = f"{served.url}/api/v1/households/{FIRST_USER}/live"
        with urllib3.PoolManager(retries=False, timeout=60) as pool:
            stream = pool.request("GET", url, headers=served.headers, preload_content=False)
            first = event_of(stream)
            restart = served.platform.start("restart-serving")
            # The stream ends by itself, whichever process had it.
            for _ in stream.stream():
                pass
            stream.release_conn()

            again = pool.request(
                "GET", url, headers=served.headers | {"Last-Event-ID": first["id"]}, preload_content=False
            )
            assert again.status == 200
            again.close()
            assert restart.wait(timeout=60) == 0
        assert json.loads(first["data"])["utilities"].keys() == {"electricity", "gas", "water"}

    def test_that_cannot_go_on_stops_and_leaves_the_others_serving(self, served):
        keys = pathlib.Path(served.platform.settings.serving_token_keys)
        keys.chmod(0o644)  # which no process starts with
        try:
            with Load(served) as load:
                stopped = served.platform.meterbeat("restart-serving")
        finally:
            keys.chmod(0o600)
        wait_until_up(
            served.platform, served.process, served.platform.settings.home / "serving-1" / "service.log"
        )

        assert stopped.returncode == 1
        assert "the restart stopped: serving-1 does not start" in stopped.stderr
        assert set(load.answers) == {"200"}, load.answers


class TestAProcessThatIsKilled:
    def test_costs_at_most_the_answers_it_was_writing_and_is_started_again(self, served):
        before = served.pids()

        with Load(served) as load:
            time.sleep(0.5)
            os.kill(before["serving-1"], signal.SIGKILL)
            wait_until_pids(served, lambda pids: pids.get("serving-1") not in (None, before["serving-1"]))
            time.sleep(1)
        wait_until_up(
            served.platform, served.process, served.platform.settings.home / "serving-1" / "service.log"
        )

        # What a client has the head of cannot be asked of another process.
        cut = {answer for answer in load.answers if "IncompleteRead" in answer}
        assert set(load.answers) - cut == {"200"}, load.answers
        assert sum(load.answers[answer] for answer in cut) <= CLIENTS
        assert load.answers["200"] > CLIENTS * RATE


class TestTheBalancer:
    @pytest.mark.parametrize(
        ("head", "status"),
        [
            pytest.param(f"GET /{'a' * 3_000} HTTP/1.1", 414, id="long-address"),
            pytest.param("POST /api/v1/session HTTP/1.1\r\nContent-Length: 70000", 413, id="large-body"),
            pytest.param("POST /api/v1/session HTTP/1.1\r\nTransfer-Encoding: chunked", 411, id="no-length"),
            pytest.param("GET /metrics HTTP/1.1", 404, id="metrics"),
            pytest.param("GET /%6detrics HTTP/1.1", 404, id="metrics-encoded"),
            pytest.param(f"GET / HTTP/1.1\r\nX-Long: {'a' * 40_000}", 431, id="long-head"),
            pytest.param("GET /healthz HTTP/1.1", 200, id="health"),
        ],
    )
    def test_holds_requests_to_limits(self, served, head, status):
        with socket.create_connection(
            ("127.0.0.1", served.platform.settings.serving_port), timeout=10
        ) as one:
            one.sendall(f"{head}\r\nHost: here\r\nConnection: close\r\n\r\n".encode())
            with contextlib.suppress(ConnectionResetError):
                answer = b""
                while part := one.recv(65_536):
                    answer += part

        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        if status > 400:
            assert b"application/problem+json" in answer
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == status

    def test_processes_show_their_own_metrics(self, served):
        for number in (1, 2):
            port = served.platform.settings.port_base + 200 + number
            text = urllib3.request("GET", f"http://127.0.0.1:{port}/metrics").data
            assert b"meterbeat_serving_request_seconds_count" in text

    @pytest.mark.parametrize("port", ["serving_port", "a process's own"])
    def test_nobody_is_believed_who_says_to_be_another_address(self, served, port):
        number = served.platform.settings.port_base + 201 if port != "serving_port" else None
        url = f"http://127.0.0.1:{number or served.platform.settings.serving_port}/api/v1/regions"

        answers = [
            urllib3.request("GET", url, headers={"X-Forwarded-For": f"203.0.113.{one}"}, retries=False).status
            for one in range(100)
        ]

        # Attempts are counted by address: one address has made all of these.
        assert 429 in answers
        assert set(answers) <= {401, 429}

    def test_a_second_one_is_refused_in_one_line(self, served):
        done = served.platform.meterbeat("serve")

        assert done.returncode == 1
        assert "serving runs already" in done.stderr


def event_of(stream: urllib3.BaseHTTPResponse) -> dict[str, str]:
    """Return the fields of a stream's first event with data."""
    fields: dict[str, str] = {}
    for line in (raw.decode().rstrip("\n") for raw in stream):
        if not line and "data" in fields:
            return fields
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
    raise AssertionError(fields)


def wait_until_pids(served: Served, true) -> None:
    deadline = time.monotonic() + START_S_MAX
    while not true(served.pids()):
        assert time.monotonic() < deadline, served.pids()
        time.sleep(0.1)
