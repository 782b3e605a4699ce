"""The pages' third-party files: npm packages that `make setup` fetched, served from a list and no further."""

import json
import logging
import pathlib
from typing import Any

LOG = logging.getLogger("serving")
FOLDER = pathlib.Path(__file__).resolve().parents[2] / ".vendor" / "node_modules"
FILES = frozenset(
    {
        "uplot/dist/uPlot.esm.js",
        "uplot/dist/uPlot.min.css",
        "topojson-client/src/feature.js",
        "topojson-client/src/identity.js",
        "topojson-client/src/reverse.js",
        "topojson-client/src/transform.js",
        "us-atlas/states-albers-10m.json",
    }
)
PACKAGES = tuple(sorted({name.split("/")[0] for name in FILES}))
REMEDY = "fetch the pages' libraries with `make setup`"


def files(folder: pathlib.Path = FOLDER) -> dict[str, bytes]:
    """Return the files of the list that are in a folder of packages; logs what it lacks."""
    missing = sorted(name for name in FILES if not (folder / name).is_file())
    if missing:
        LOG.warning("pages lack %s: %s", ", ".join(missing), REMEDY)
    return {name: (folder / name).read_bytes() for name in sorted(FILES.difference(missing))}


def licences(folder: pathlib.Path = FOLDER) -> list[dict[str, Any]]:
    """Return name, version, licence and its text of each package that is there, as the package tells."""
    return [_licence(folder / name) for name in PACKAGES if (folder / name / "package.json").is_file()]


def _licence(package: pathlib.Path) -> dict[str, Any]:
    told = json.loads((package / "package.json").read_text())
    [*texts] = sorted(path for path in package.iterdir() if path.name.upper().startswith("LICEN"))
    return {
        "name": told["name"],
        "version": told["version"],
        "licence": told["license"],
        "description": told.get("description"),
        "homepage": told.get("homepage"),
        "text": "\n".join(path.read_text() for path in texts),
    }
