"""The rooms' cards are law: what a room imports is what its card says, and the tree keeps its shape."""

import ast
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ROOMS = ("simulator", "stream", "batch", "serving", "infra")
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70


def modules(room: str) -> list[pathlib.Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(path: pathlib.Path) -> set[str]:
    """Top-level names that a module imports, the standard library left out."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names)


def card(room: str) -> str:
    return ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text())) or ""


@pytest.mark.parametrize("room", ROOMS)
class TestRoom:
    def test_imports_only_what_its_card_allows(self, room):
        [line] = re.findall(r"^Imports:(.*(?:\n         .*)*)", card(room), re.MULTILINE)
        allowed = {room, *re.findall(r"\w+", line)}

        found = {path.relative_to(ROOT).as_posix(): imports(path) - allowed for path in modules(room)}

        assert {path: names for path, names in found.items() if names} == {}

    def test_card_has_all_its_lines(self, room):
        assert re.findall(r"^(Reads|Writes|Imports|Never):", card(room), re.MULTILINE) == [
            "Reads",
            "Writes",
            "Imports",
            "Never",
        ]

    def test_modules_fit_and_say_what_they_are(self, room):
        for path in modules(room):
            text = path.read_text()
            assert len(text.splitlines()) <= MODULE_LINES_MAX, path
            assert ast.get_docstring(ast.parse(text)), path

    def test_functions_fit_a_screen(self, room):
        for path in modules(room):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES_MAX, f"{path}: {node.name}"


class TestSettings:
    def test_only_one_module_reads_the_environment(self):
        readers = {
            path.relative_to(ROOT).as_posix()
            for room in ROOMS
            for path in modules(room)
            if re.search(r"\bos\.environ\.get|\bos\.environ\[[^]]*\](?!\s*=)|\bgetenv\(", path.read_text())
        }

        assert readers <= {"infra/settings.py"}

    def test_only_mains_read_settings(self):
        readers = {
            path.relative_to(ROOT).as_posix()
            for room in ROOMS
            if room != "infra"
            for path in modules(room)
            if "infra.settings" in path.read_text() and path.name != "__main__.py"
        }

        assert readers == set()


class TestPipes:
    def test_one_client_one_module_a_room(self):
        clients = {"redis", "pymysql", "asyncmy", "boto3"}
        for room in ("simulator", "stream", "batch", "serving"):
            for client in clients:
                users = [path.name for path in modules(room) if client in imports(path)]
                assert len(users) <= 1, f"{client} in {room}: {users}"
                assert all(name.endswith(("_sink.py", "_source.py")) for name in users), users
