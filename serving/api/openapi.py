"""The API's own description."""

from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Response

from serving.access.policy import PUBLIC, guarded
from serving.api import shapes
from serving.api.answers import PREFIX

BEARER = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def routes(app: FastAPI, cookie: str) -> APIRouter:
    """Return the route of the OpenAPI document, which it completes by what no route names as its answer.

    `cookie` is the name of the session's.
    """
    security = {"bearer": BEARER, "session": {"type": "apiKey", "in": "cookie", "name": cookie}}
    told: list[bytes] = []
    router = APIRouter(prefix=PREFIX)
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            components = generate()["components"]
            components["securitySchemes"] = security
            components["schemas"]["Problem"] = shapes.Problem.model_json_schema()
            # The framework describes 422 by a shape of its own, which is never sent.
            for unused in ("HTTPValidationError", "ValidationError"):
                components["schemas"].pop(unused, None)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

    @router.get("/openapi.json", include_in_schema=False, **guarded(PUBLIC))
    async def show() -> Response:
        # It is large, anybody may ask for it, and it never changes.
        if not told:
            told.append(orjson.dumps(app.openapi()))
        return Response(told[0], headers={"Cache-Control": "no-store"}, media_type="application/json")

    return router
