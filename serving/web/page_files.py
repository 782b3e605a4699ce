"""The pages: documents, which hold no data, and the files that they load."""

import dataclasses
import html
import json
import pathlib
import string
from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.responses import HTMLResponse, RedirectResponse, Response

from serving.access.policy import PAGE, PUBLIC, Caller, Declared, guarded
from serving.access.session import LOGIN, home
from serving.web import vendored
from serving.web.kept_files import KeptFiles

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "pages"
VENDOR, LICENCES = "vendor", "licences.json"
KINDS = (".js", ".css", ".svg")
CHARTS = f"{VENDOR}/uplot/dist/uPlot.min.css"


@dataclasses.dataclass(frozen=True)
class Document:
    """What a page is made of: the shell around `{name}.html`, which `{name}.js` fills."""

    name: str
    title: str
    styles: tuple[str, ...]


COUNTRY = Document("company/country", "The country now", (CHARTS, "company/company.css"))
# What is in an address is read by the page's script, which says so where there is none of that name.
DOCUMENTS = {
    "/household/{user_id}": Document(
        "household/household", "Household", (CHARTS, "usage/usage.css", "household/household.css")
    ),
    "/region/{code}": Document(
        "company/region", "Region", (CHARTS, "usage/usage.css", "company/company.css")
    ),
    "/quality": Document("company/quality", "Data quality", ("company/company.css",)),
    "/operations": Document("company/operations", "Operations", ("company/company.css",)),
}
PUBLIC_DOCUMENTS = {
    LOGIN: Document("public/login", "Log in", ("public/login.css",)),
    "/licences": Document("public/licences", "Licences", ("company/company.css",)),
}


def add(app: FastAPI) -> None:
    """Add the documents, and under one address their files and third parties'."""
    files = kept_files()
    country = shown(COUNTRY, files)

    async def country_or_home(caller: Caller) -> Response:
        """Return the country's page, or for a household the way to its own: it finds nothing on the other."""
        own = home(caller)
        if own is None or own == "/":
            return _page(country)
        return RedirectResponse(own, 303, {"Cache-Control": "no-store"})

    app.add_api_route("/", country_or_home, include_in_schema=False, **guarded(PAGE))
    for policy, documents in ((PAGE, DOCUMENTS), (PUBLIC, PUBLIC_DOCUMENTS)):
        for path, document in documents.items():
            answer = _answering(shown(document, files))
            app.add_api_route(path, answer, include_in_schema=False, **guarded(policy))
    route = files.route()
    route.app = Declared(PUBLIC, route.app)
    app.routes.append(route)


def kept_files() -> KeptFiles:
    """Return our files by their paths, third parties' below `vendor`, and their licences."""
    ours = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in KINDS
    }
    theirs = {f"{VENDOR}/{name}": body for name, body in vendored.files().items()}
    licences = json.dumps({"items": vendored.licences()}).encode()
    missing = {f"{VENDOR}/{name}": f"{name} is missing: {vendored.REMEDY}" for name in vendored.FILES}
    return KeptFiles({**ours, **theirs, LICENCES: licences}, missing)


def shown(document: Document, files: KeptFiles) -> str:
    """Return a page's markup. It names all modules at once, so that none waits for another to ask for it."""
    root = files.root
    styles = [f'<link rel="stylesheet" href="{root}/{name}">' for name in ("style.css", *document.styles)]
    modules = files.imported_by(f"{document.name}.js")
    shell = string.Template((FOLDER / "shell.html").read_text())
    return shell.substitute(
        root=root,
        name=document.name.split("/")[-1],
        title=html.escape(document.title),
        styles="\n".join(styles),
        modules="\n".join(f'<link rel="modulepreload" href="{root}/{name}">' for name in modules),
        script=f"{root}/{document.name}.js",
        main=(FOLDER / f"{document.name}.html").read_text().rstrip(),
    )


def _answering(text: str) -> Callable[[], Awaitable[Response]]:
    async def page() -> Response:
        return _page(text)

    return page


def _page(text: str) -> Response:
    return HTMLResponse(text, headers={"Cache-Control": "no-cache"})
