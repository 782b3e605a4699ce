"""The real HTTP server: how long a request's head may be, and how long a request may take to come."""

import asyncio
import functools
import threading
import time

import pytest
import uvicorn

from serving.web import http_limits
from serving.web.connection import Connection
from serving.web.http_limits import HEAD_BYTES_MAX

PATIENCE_S = 0.5
TOLD_S_MAX = 10


async def echo(scope, receive, send):
    """Answer with the number of bytes of the body."""
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await asyncio.sleep(PATIENCE_S * 1.5 if scope["path"] == "/slow" else 0)
    answer = str(size).encode()
    head = [(b"content-type", b"text/plain"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": answer})


class Nothing:
    """A short way that answers each GET at once, as one without a body is answered by the other."""

    draining = False

    def ask(self, scope):
        answer = asyncio.get_running_loop().create_future()
        answer.set_result(b"0")
        return answer if scope["method"] == "GET" else None

    def head(self, scope):
        return b"content-type: text/plain\r\n"

    def count(self, status, began):
        pass


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(http_limits, "REQUEST_S_MAX", PATIENCE_S)
    config = uvicorn.Config(
        echo,
        port=0,
        http=functools.partial(Connection, short_way=Nothing()),
        ws="none",
        lifespan="off",
        log_level="critical",
        timeout_keep_alive=5,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.fixture
def patient(port, monkeypatch):
    """Time enough that only a bound on its size ends a request: what is kept until then fails `told`."""
    monkeypatch.setattr(http_limits, "REQUEST_S_MAX", 10 * TOLD_S_MAX)


def told(port, *parts, pause_s=0.0):
    """Send the parts of a request, each after a pause, and return what was answered until the end.

    Raises TimeoutError where the server neither answers the last of them nor ends the connection.
    """

    async def tell():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause_s)
        except ConnectionError:
            pass
        async with asyncio.timeout(TOLD_S_MAX):
            try:
                answered = await reader.read()
            except ConnectionError:
                answered = b""
        writer.close()
        return answered

    return asyncio.run(tell())


def request(path="/", fields=b"", body=b""):
    length = b"content-length: %d\r\nconnection: close\r\n" % len(body)
    return b"POST %s HTTP/1.1\r\nhost: test\r\n%s%s\r\n%s" % (path.encode(), length, fields, body)


class TestTheHead:
    def test_of_usual_size_is_read_and_any_body_with_it(self, port):
        sent = request(fields=b"cookie: %s\r\n" % (b"x" * 8_000), body=b"y" * 200_000)

        assert told(port, sent).endswith(b"\r\n\r\n200000")
        assert told(port, sent[:5], sent[5:300], sent[300:]).endswith(b"\r\n\r\n200000")

    @pytest.mark.parametrize(
        "sent",
        [
            pytest.param(request(path="/" + "x" * HEAD_BYTES_MAX), id="address"),
            pytest.param(request(fields=b"cookie: %s\r\n" % (b"x" * HEAD_BYTES_MAX)), id="field"),
            pytest.param(request(fields=b"x: y\r\n" * (HEAD_BYTES_MAX // 6)), id="fields"),
        ],
    )
    def test_too_long_is_refused(self, port, sent):
        answered = told(port, sent)

        assert answered.startswith(b"HTTP/1.1 431 ")
        assert b"application/problem+json" in answered

    def test_that_never_ends_is_not_kept(self, port, patient):
        parts = [b"GET / HTTP/1.1\r\nhost: test\r\nx: ", *[b"y" * 16_384] * 40]

        answered = told(port, *parts, pause_s=0.001)

        # What was still under way when the connection closed may have made the answer be lost.
        assert answered == b"" or answered.startswith(b"HTTP/1.1 431 ")

    @pytest.mark.parametrize("sent", [b"\x00\x01 garbage\r\n\r\n", b"G@T / HTTP/1.1\r\nhost: test\r\n\r\n"])
    def test_that_is_none_is_refused_by_a_problem_document(self, port, sent):
        answered = told(port, sent)

        assert answered.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in answered
        assert answered.endswith(b"}")

    def test_after_another_request_has_the_same_bound(self, port):
        first = b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\nabc"

        answered = told(port, first, request(fields=b"x: %s\r\n" % (b"y" * HEAD_BYTES_MAX)), pause_s=0.05)

        assert answered.count(b"HTTP/1.1 200 ") == 1
        assert b"HTTP/1.1 431 " in answered

    def test_begun_with_the_end_of_another_request_has_the_same_bound(self, port):
        head = request(fields=b"x: %s\r\n" % (b"y" * 60_000))

        answered = told(port, b"GET / HTTP/1.1\r\nhost: test\r\n\r\n" + head[:-4], head[-4:], pause_s=0.05)

        assert answered.count(b"HTTP/1.1 200 ") == 1
        assert b"HTTP/1.1 431 " in answered


class TestFieldsAfterABody:
    HEAD = b"POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"

    def test_of_usual_size_are_read(self, port):
        assert told(port, self.HEAD + b"x: y\r\n\r\n").endswith(b"\r\n\r\n3")

    def test_without_end_are_not_kept(self, port, patient):
        answered = told(port, self.HEAD, *[b"x: y\r\n" * 2_000] * 200, pause_s=0.001)

        assert b"HTTP/1.1 200 " not in answered


class TestARequest:
    @pytest.mark.parametrize(
        "sent",
        [
            pytest.param([], id="nothing"),
            pytest.param([b"GET / HTTP/1.1\r\nhost: te"], id="half-a-head"),
            pytest.param([request(body=b"abc")[:-1]], id="half-a-body"),
            pytest.param([bytes([one]) for one in request(fields=b"x: y\r\n" * 20)], id="drop-by-drop"),
        ],
    )
    def test_that_dawdles_is_given_up(self, port, sent):
        began = time.monotonic()

        answered = told(port, *sent, pause_s=0.05 if len(sent) > 1 else 0)

        assert b"200" not in answered
        assert time.monotonic() - began < 20 * PATIENCE_S

    def test_that_never_begins_is_given_up(self, port):
        """An empty line after an answer is no request, and yet something that came."""
        answered = told(port, b"GET / HTTP/1.1\r\nhost: test\r\n\r\n", b"\r\n", pause_s=0.1)

        assert answered.count(b"HTTP/1.1 ") == 1

    def test_may_be_answered_for_longer_than_it_took(self, port):
        assert told(port, request(path="/slow", body=b"abc")).endswith(b"\r\n\r\n3")

    def test_comes_on_the_same_connection_later(self, port):
        first = b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\nabc"

        answered = told(port, first, request(body=b"abcd"), pause_s=PATIENCE_S * 1.5)

        assert answered.count(b"HTTP/1.1 200 ") == 2
        assert answered.endswith(b"4")
