"""Headers that many answers share, written once: the server reads and writes each of each answer anew."""

from collections.abc import Iterable

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

Header = tuple[bytes, bytes]


class WrittenHeaders(list[Header]):
    """Headers as ASGI has them, for the body's length as well, and as they go over the wire.

    Whoever changes headers on their way does so in a list of their own, which then is no longer one of these.
    """

    def __init__(self, headers: Iterable[Header], body_bytes: int = 0, written: bytes = b"") -> None:
        super().__init__(headers)
        self.body_bytes = body_bytes
        self.written = written or b"".join(b"%s: %s\r\n" % header for header in self)

    def of_body(self, body_bytes: int) -> "WrittenHeaders":
        """Return the headers of an answer of so many bytes."""
        length = b"%d" % body_bytes
        written = b"%scontent-length: %s\r\n" % (self.written, length)
        return WrittenHeaders((*self, (b"content-length", length)), body_bytes, written)


class WritingCycle(RequestResponseCycle):
    """A request and its answer, whose headers may have been written before."""

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
