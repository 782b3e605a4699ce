"""Errors as RFC 9457 problem documents: whatever goes wrong, the answer has this shape."""

import http
import logging

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from serving.access.policy import held_to_policy
from serving.access.refusal import Refusal
from serving.figures.household import UserNotFound
from serving.figures.usage_range import RangeRefused
from serving.lookups.cursors import CursorRefused
from serving.stores.sources import StoreAway

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
LOG = logging.getLogger("serving")


def problem(
    status: int, kind: str, title: str, detail: str, headers: dict[str, str] | None = None
) -> Response:
    """Return a problem document; `kind` names it for programs, `detail` explains it to people."""
    document = {"type": f"urn:meterbeat:problem:{kind}", "title": title, "status": status, "detail": detail}
    return Response(
        orjson.dumps(document), status, {"Cache-Control": "no-store", **(headers or {})}, MEDIA_TYPE
    )


def install(app: FastAPI) -> None:
    """Make an application answer every error with a problem document."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(UserNotFound, _not_found)
    app.add_exception_handler(StoreAway, _away)
    app.add_exception_handler(RangeRefused, _range_refused)
    app.add_exception_handler(CursorRefused, _cursor_refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem(error.status, error.kind, error.title, error.detail, error.headers)


async def _not_found(_: Request, error: Exception) -> Response:
    return problem(404, "user-unknown", "User is unknown", str(error))


async def _away(_: Request, error: Exception) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return problem(503, "store-away", "No store can answer", f"{error}; try again soon", headers)


async def _range_refused(_: Request, error: Exception) -> Response:
    return problem(422, "range-refused", "Range cannot be answered", str(error))


async def _cursor_refused(_: Request, error: Exception) -> Response:
    return problem(422, "cursor-invalid", "Cursor is invalid", str(error))


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    try:
        # Who may not take a route is told nothing of what it takes.
        await held_to_policy(request)
    except Refusal as refusal:
        return await _refused(request, refusal)
    details = [f"{'.'.join(map(str, entry['loc'][1:]))}: {entry['msg']}" for entry in error.errors()]
    return problem(422, "request-malformed", "Request is malformed", "; ".join(details))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    title = http.HTTPStatus(error.status_code).phrase
    kind = title.lower().replace(" ", "-")
    detail = (
        f"nothing answers {request.method} {request.scope['path']}" if error.detail == title else error.detail
    )
    return problem(error.status_code, kind, title, detail, dict(error.headers or {}))


async def _bug(request: Request, error: Exception) -> Response:
    LOG.error("request failed: path=%r", request.scope["path"], exc_info=error)
    return problem(500, "bug", "Internal error", "the request failed by a fault of ours; it was logged")
