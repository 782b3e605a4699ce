"""The headers every answer carries, and the last door: what no policy let through does not leave."""

import copy
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access.policy import identity_of, policy_taken

HEADERS = {
    # Trusted types forbid turning text into markup or script at all, which no page here does.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), autoplay=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
        "magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), usb=()"
    ),
}
SECURE_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}
KEPT_BY_ITS_READER = re.compile(r"\b(?:no-store|private)\b")
DENIED = (
    b'{"type":"urn:meterbeat:problem:no-policy","title":"Not allowed","status":403,'
    b'"detail":"this route has no policy, so nobody may take it"}'
)


class Headers:
    """Puts the headers on every answer, and puts a refusal in the place of one that no policy let through.

    Routes are held to their policies where they are taken. This holds for what is not a route of the
    framework as well, whatever is added one day.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        headers = {**HEADERS, **SECURE_HEADERS} if secure else HEADERS
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, adding to its answer's headers."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "nothing here is a web socket"})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        denied = False

        async def send_with_headers(message: Message) -> None:
            nonlocal denied
            if denied:
                return
            if message["type"] == "http.response.start":
                denied = message["status"] < 400 and policy_taken(scope) is None
                if denied:
                    message = _denied_start()
                self.dress(message, scope)
            await send(message)
            if denied:
                await send({"type": "http.response.body", "body": DENIED})

        await self._app(scope, receive, send_with_headers)

    def passed(self, app: ASGIApp) -> ASGIApp:
        """Return another application behind the same headers."""
        other = copy.copy(self)
        other._app = app
        return other

    def dress(self, start: Message, scope: Scope) -> None:
        """Put the headers on the start of an answer."""
        told = {name for name, _ in start["headers"]}
        added = [header for header in self._headers if header[0] not in told]
        start["headers"] = [*start["headers"], *added]
        _keep_private(scope, MutableHeaders(scope=start))


def _keep_private(scope: Scope, headers: MutableHeaders) -> None:
    """Keep an answer that somebody logged in for to them, whoever stores it on the way."""
    if identity_of(scope) is None:
        return
    kept = headers.get("Cache-Control", "no-store")
    headers["Cache-Control"] = kept if KEPT_BY_ITS_READER.search(kept) else f"private, {kept}"
    headers.add_vary_header("Authorization")
    headers.add_vary_header("Cookie")


def _denied_start() -> Message:
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(DENIED)).encode()),
        (b"cache-control", b"no-store"),
    ]
    return {"type": "http.response.start", "status": 403, "headers": headers}
