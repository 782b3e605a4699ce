"""The pages' files as browsers keep them: under an address with their version, not to be asked for again."""

import dataclasses
import gzip
import hashlib
import mimetypes
import posixpath
import re
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = "/pages"
KEPT = "public, max-age=31536000, immutable"
VERSION_DIGITS = 12
# Modules name each other by relative paths, so that the version in the address of one is in that of all.
IMPORT = re.compile(r'^import\b[^"]*"(\.[^"]+)";$', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class KeptFile:
    """A file as it is sent."""

    media_type: str
    body: bytes
    zipped: bytes


class KeptFiles:
    """Files by name, held in memory: what is not among them is not to be had, whatever an address says."""

    def __init__(self, files: Mapping[str, bytes], remedies: Mapping[str, str]) -> None:
        """`remedies` tells of each file that should be there and is not how to get it."""
        self._files = {name: _kept(name, body) for name, body in files.items()}
        self._remedies = remedies
        digest = hashlib.sha256()
        for name, body in sorted(files.items()):
            digest.update(b"%s %d\n" % (name.encode(), len(body)) + body)
        self._version = digest.hexdigest()[:VERSION_DIGITS]

    @property
    def root(self) -> str:
        """The address that all files are under."""
        return f"{PATH}/{self._version}"

    def text(self, name: str) -> str:
        """Return a file's text."""
        return self._files[name].body.decode()

    def imported_by(self, module: str) -> list[str]:
        """Return the modules that one imports, and those that these import, each once."""
        found: dict[str, None] = {}
        left = [module]
        while left:
            name = left.pop()
            for path in IMPORT.findall(self.text(name)):
                imported = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
                if imported not in found and imported in self._files:
                    found[imported] = None
                    left.append(imported)
        return sorted(found)

    def route(self) -> Route:
        """Return the route that answers for all files."""
        return Route(f"{PATH}/{{version}}/{{name:path}}", self._answer, include_in_schema=False)

    async def _answer(self, request: Request) -> Response:
        """Answer with a file; one of another version is what there is now, and not to be kept.

        While processes are restarted in turn, a page of one may ask the other for its files.
        """
        name, version = request.path_params["name"], request.path_params["version"]
        file = self._files.get(name)
        if file is None:
            raise HTTPException(404, self._remedies.get(name))
        tag = f'"{self._version}"'
        headers = {
            "Cache-Control": KEPT if version == self._version else "no-cache",
            "ETag": tag,
            "Vary": "Accept-Encoding",
        }
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", "") and len(file.zipped) < len(file.body):
            return Response(
                file.zipped, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"}
            )
        return Response(file.body, media_type=file.media_type, headers=headers)


def _kept(name: str, body: bytes) -> KeptFile:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return KeptFile(media_type, body, gzip.compress(body, mtime=0))
