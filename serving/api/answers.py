"""What routes share: the JSON of an answer, and OpenAPI's description of the errors."""

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import Request, Response

from serving.render import household as render
from serving.web import problems

PREFIX = "/api/v1"
JSON = "application/json"
# It holds what is true at this moment.
NOT_KEPT = {"Cache-Control": "no-store"}


def json_answer(document: render.Json) -> Response:
    """Return an answer that nobody keeps."""
    return Response(orjson.dumps(document), headers=NOT_KEPT, media_type=JSON)


def tagged_answer(request: Request, document: render.Json, volatile: Sequence[str] = ("as_of",)) -> Response:
    """Return an answer that a caller may keep and must ask again about: 304 where its tag is still that.

    The tag is over all but the `volatile` members: what changes with every answer and tells nothing new.
    """
    lasting = {name: value for name, value in document.items() if name not in volatile}
    digest = hashlib.blake2b(orjson.dumps(lasting), digest_size=12).hexdigest()
    # Weak: answers of one tag say the same, not byte for byte.
    headers = {"ETag": f'W/"{digest}"', "Cache-Control": "private, no-cache"}
    if _matches(request.headers.get("if-none-match", ""), digest):
        return Response(status_code=304, headers=headers)
    return Response(orjson.dumps(document), headers=headers, media_type=JSON)


def _matches(if_none_match: str, digest: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or f'"{digest}"' in tags


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of the errors of a route."""
    titles = {
        304: "What the caller has is still right",
        401: "No token, or none that is valid now",
        403: "The token's role may not take this route",
        409: "What was asked for cannot be done now",
        404: "No store knows the user, or the user is another's",
        422: "The request is malformed",
        429: "Too many requests; see Retry-After",
        500: "A fault of ours",
        503: "The stores that could answer are away; see Retry-After",
    }
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {problems.MEDIA_TYPE: {"schema": schema}}
    return {
        status: {"description": titles[status]} | ({"content": content} if status >= 400 else {})
        for status in statuses
    }
