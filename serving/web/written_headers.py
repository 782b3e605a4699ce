"""Headers that many answers share, written once: the server reads and writes each of each answer anew."""

from collections.abc import Iterable
from typing import Self

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

Header = tuple[bytes, bytes]


class WrittenHeaders(tuple[Header, ...]):
    """Headers as ASGI has them, for the body's length as well, and as they go over the wire.

    Whoever changes headers on their way does so in a list of their own, which then is no longer one of these.
    """

    body_bytes: int
    written: bytes

    def __new__(cls, headers: Iterable[Header], body_bytes: int = 0, written: bytes = b"") -> Self:
        """Return the headers; `written` is known of those that have been written before."""
        told = super().__new__(cls, headers)
        told.body_bytes = body_bytes
        told.written = written or b"".join(b"%s: %s\r\n" % header for header in told)
        return told

    def of_body(self, body_bytes: int) -> "WrittenHeaders":
        """Return the headers of an answer of so many bytes."""
        length = b"%d" % body_bytes
        written = b"%scontent-length: %s\r\n" % (self.written, length)
        return WrittenHeaders((*self, (b"content-length", length)), body_bytes, written)


class WritingCycle(RequestResponseCycle):
    """A request and its answer, whose headers may be written already: such an answer is logged nowhere."""

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of an answer."""
        headers = message.get("headers")
        if not (isinstance(headers, WrittenHeaders) and message["type"] == "http.response.start"):
            await super().send(message)
            return
        usual = self.keep_alive and not (self.response_started or self.disconnected or self.flow.write_paused)
        if not usual or self.scope["method"] != "GET":
            await super().send(message)
            return
        self.response_started, self.waiting_for_100_continue = True, False
        self.chunked_encoding, self.expected_content_length = False, headers.body_bytes
        always = b"".join([b"%s: %s\r\n" % header for header in self.default_headers])
        self.transport.write(b"%s%s%s\r\n" % (STATUS_LINE[message["status"]], always, headers.written))
