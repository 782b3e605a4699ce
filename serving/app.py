"""The application: API, pages and the headers every answer carries."""

import contextlib
import logging
import pathlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from serving import problems, routes, shapes
from serving.headers import Headers
from serving.lookup import Lookup
from serving.metrics import PATH, Measured, MeasuredLive, MeasuredTruth, ServingMetrics
from serving.sources import LiveSource, StoreState, TruthSource

LOG = logging.getLogger("serving")
PAGES = pathlib.Path(__file__).resolve().parent / "pages"
DESCRIPTION = (
    "Live and nightly usage of electricity, gas and water. Quantities are whole Wh or litres, rates W or "
    "litres per hour; every error is an application/problem+json document."
)


def build(live: LiveSource, truth: TruthSource, now: Callable[[], int]) -> FastAPI:
    """Return the application over two sources; `now` tells ms since 1970. Closes both sources at its end."""
    metrics = ServingMetrics()
    lookup = Lookup(MeasuredLive(live, metrics), MeasuredTruth(truth, metrics), now)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Read ahead, so that zones are at hand if MySQL goes away later.
        await lookup.masters()
        states = await lookup.states()
        for store, name in (("redis", "Redis"), ("mysql", "MySQL")):
            if states[store] is StoreState.AWAY:
                LOG.warning(
                    "%s is away: answers lack it until it is up (`meterbeat up` starts it here)", name
                )
        yield
        await live.close()
        await truth.close()

    app = FastAPI(
        title="Meterbeat",
        version="1",
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        # Their pages load scripts from elsewhere, which the content policy forbids.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    problems.install(app)
    app.include_router(routes.api(lookup, metrics.answered))
    app.include_router(routes.health(lookup))
    _add_pages(app)
    _describe_problems(app)
    app.add_route(PATH, metrics.show, include_in_schema=False)
    app.add_middleware(Headers)
    app.add_middleware(Measured, requested=metrics.requested)
    return app


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def country_page() -> FileResponse:
        return _page("country.html")

    @app.get("/household/{user_id}", include_in_schema=False)
    async def household_page(user_id: str) -> FileResponse:
        # The page itself asks for the user and says so if there is none.
        del user_id
        return _page("household.html")

    app.mount("/pages", StaticFiles(directory=PAGES), "pages")


def _page(name: str) -> FileResponse:
    return FileResponse(PAGES / name, headers={"Cache-Control": "no-cache"})


def _describe_problems(app: FastAPI) -> None:
    """Add the problem document's schema, which no route names as its answer, to the OpenAPI document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schemas = generate()["components"]["schemas"]
            schemas["Problem"] = shapes.Problem.model_json_schema()
            # The framework describes 422 by a shape of its own, which is never sent.
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
