"""The pages' files: kept for good under their version, told anew under any other, and all that pages need."""

import asyncio
import gzip
import posixpath
import re

import httpx
import pytest
from starlette.applications import Starlette

from serving.web import page_files, vendored
from serving.web.kept_files import KEPT, KeptFiles

FILES = {
    "a.js": b'import { b } from "./lib/b.js";\nimport "../outside.js";\n' + b"// long\n" * 99,
    "lib/b.js": b'import { c } from "./c.js";\n',
    "lib/c.js": b'import { b } from "./b.js";\nexport const c = "import \\"./a.js\\"";\n',
    "style.css": b"p {}\n",
}
REMEDIES = {"lib/missing.js": "lib/missing.js is missing: fetch it"}
ALL = [page_files.COUNTRY, *page_files.DOCUMENTS.values(), *page_files.PUBLIC_DOCUMENTS.values()]
LISTED = re.compile(r'"(/pages/[^"]+)"')


def asked(files: KeptFiles, path: str, **headers: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=[files.route()]))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(
                path, headers={name.replace("_", "-"): text for name, text in headers.items()}
            )

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def files() -> KeptFiles:
    return KeptFiles(FILES, REMEDIES)


@pytest.fixture(scope="module")
def ours() -> KeptFiles:
    return page_files.kept_files()


class TestKept:
    def test_for_good_are_those_of_this_version_alone(self, files: KeptFiles) -> None:
        this, other = asked(files, f"{files.root}/style.css"), asked(files, "/pages/before/style.css")

        assert this.headers["cache-control"] == KEPT
        assert other.headers["cache-control"] == "no-cache"
        assert this.content == other.content == FILES["style.css"]

    @pytest.mark.parametrize("name", sorted(FILES))
    def test_versions_differ_with_any_file(self, files: KeptFiles, name: str) -> None:
        changed = KeptFiles({**FILES, name: FILES[name] + b" "}, {})

        assert changed.root != files.root
        assert KeptFiles(dict(reversed(FILES.items())), {}).root == files.root

    def test_files_that_a_browser_has_are_not_sent_again(self, files: KeptFiles) -> None:
        tag = asked(files, "/pages/before/style.css").headers["etag"]

        again = asked(files, "/pages/before/style.css", if_none_match=tag)

        assert (again.status_code, again.content) == (304, b"")

    def test_files_are_compressed_for_who_can_read_it(self, files: KeptFiles) -> None:
        zipped = asked(files, f"{files.root}/a.js", accept_encoding="gzip")
        plain = asked(files, f"{files.root}/a.js", accept_encoding="identity")

        assert zipped.content == plain.content == FILES["a.js"]
        assert zipped.headers["content-encoding"] == "gzip"
        assert int(zipped.headers["content-length"]) == len(gzip.compress(FILES["a.js"]))
        assert zipped.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
        assert "content-encoding" not in plain.headers

    def test_a_file_that_was_not_fetched_is_told_with_its_remedy(self, files: KeptFiles) -> None:
        answer = asked(files, f"{files.root}/lib/missing.js")

        assert (answer.status_code, answer.text) == (404, REMEDIES["lib/missing.js"])


class TestModules:
    def test_are_found_by_what_imports_them(self, files: KeptFiles) -> None:
        assert files.imported_by("a.js") == ["lib/b.js", "lib/c.js"]

    def test_of_ours_import_nothing_that_is_not_there(self, ours: KeptFiles) -> None:
        modules = [path.relative_to(page_files.FOLDER).as_posix() for path in page_files.FOLDER.rglob("*.js")]
        found = {name for module in modules for name in ours.imported_by(module)}

        for module in modules:
            for path in re.findall(r'\bfrom "([^"]+)"|\bimport "([^"]+)"', ours.text(module)):
                imported = posixpath.normpath(posixpath.join(posixpath.dirname(module), "".join(path)))
                assert imported in found, f"{module} imports {imported}"

    def test_none_is_left_over(self, ours: KeptFiles) -> None:
        needed = {f"{document.name}.js" for document in ALL} | {"scheme.js"}
        needed.update(*(ours.imported_by(f"{document.name}.js") for document in ALL))

        assert {
            path.relative_to(page_files.FOLDER).as_posix() for path in page_files.FOLDER.rglob("*.js")
        } == {name for name in needed if not name.startswith(page_files.VENDOR)}
        assert {f"vendor/{name}" for name in vendored.FILES if name.endswith(".js")} <= needed


class TestDocuments:
    @pytest.mark.parametrize("document", ALL)
    def test_name_nothing_that_is_not_there(self, ours: KeptFiles, document: page_files.Document) -> None:
        named = LISTED.findall(page_files.shown(document, ours))

        assert f"{ours.root}/{document.name}.js" in named
        assert [path for path in named if asked(ours, path).status_code != 200] == []
