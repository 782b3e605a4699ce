"""Limits of the wire, which the server itself has none of: how long a request's head may be, and may take."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 32 * 1024
REQUEST_S_MAX = 15  # a head and its body are sent within
TOO_LARGE = (
    b"431 Request Header Fields Too Large",
    b'{"type":"urn:meterbeat:problem:request-header-fields-too-large","title":"Request Header Fields Too '
    b'Large","status":431,"detail":"address and header fields exceed 32768 bytes"}',
)
MALFORMED = (
    b"400 Bad Request",
    b'{"type":"urn:meterbeat:problem:bad-request","title":"Bad Request","status":400,'
    b'"detail":"this is no request of HTTP/1.1"}',
)


class BoundedHttp(HttpToolsProtocol):
    """A connection whose requests have bounded heads and do not dawdle."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._head_bytes = self._unread_bytes = self._read_at_once = self._begun_in = 0
        self._in_head, self._in_request = True, False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head has become too long."""
        self._read_at_once = len(data)
        self._unread_bytes += self._read_at_once
        super().data_received(data)
        # Nearly every request comes in one piece, and needs no deadline. A piece that is no part of any has
        # stopped the time that a connection may be idle.
        if self._deadline is None and (self._in_request or self._waits_for_nothing()):
            self._wait()
        # The parser keeps a field until it is whole, and tells of none before.
        if self._unread_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            if self._in_head:
                self._refuse(*TOO_LARGE)
            else:  # fields after a body in chunks, when an answer may be on its way
                self.transport.abort()

    def on_message_begin(self) -> None:
        """Begin a request's head."""
        super().on_message_begin()
        self._head_bytes, self._in_head, self._in_request = 0, True, True
        self._begun_in = self._read_at_once

    def on_headers_complete(self) -> None:
        """End a request's head, unless it has become too long."""
        # What came in one piece was not counted on its way; small pieces hold no long head.
        if self._begun_in + self._unread_bytes > HEAD_BYTES_MAX:
            fields = sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)
            self._head_bytes = len(self.url) + fields
            if self._head_bytes > HEAD_BYTES_MAX:
                raise ValueError("a request's head is too long")
        self._unread_bytes, self._in_head = 0, False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, whose size the application bounds."""
        self._unread_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request: what comes next is a head again."""
        self._stop_waiting()
        self._unread_bytes, self._in_head, self._in_request = 0, True, False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser gave up on, by our own limit or its own rules."""
        del msg
        self._refuse(*(TOO_LARGE if self._head_bytes > HEAD_BYTES_MAX else MALFORMED))

    def _waits_for_nothing(self) -> bool:
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and self.timeout_keep_alive_task is None

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_S_MAX, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self.transport.close()

    def _refuse(self, status: bytes, document: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 %s\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n"
            b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (status, len(document), document)
        )
        self.transport.close()
