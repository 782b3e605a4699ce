"""Nothing of a user is asked for by a bare id: who may be asked for is decided once, in serving.access."""

import ast
import pathlib

SERVING = pathlib.Path(__file__).resolve().parents[3] / "serving"
MODULES = {path: ast.parse(path.read_text()) for path in sorted(SERVING.rglob("*.py"))}
ACCESS = SERVING / "access" / "identity.py"
# What asks a store, or stands between it and a route.
ASKING = ("source", "queries", "lookup", "sources", "lists", "metrics")


def names_of(tree: ast.Module) -> set[str]:
    loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return loaded | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


class TestOwnedUsers:
    def test_are_made_where_it_is_known_who_asks(self) -> None:
        makers = {
            path.relative_to(SERVING).as_posix()
            for path, tree in MODULES.items()
            if "OwnedUser(" in ast.unparse(tree)
        }
        machines = {
            path.relative_to(SERVING).as_posix()
            for path, tree in MODULES.items()
            if path != ACCESS and "owned_by_this_machine" in names_of(tree)
        }
        requests = {
            path.relative_to(SERVING).as_posix()
            for path, tree in MODULES.items()
            if path != ACCESS and "owned_by" in names_of(tree)
        }

        assert makers == {"access/identity.py"}
        assert machines == {"__main__.py"}
        assert requests == {"access/policy.py"}

    def test_are_what_every_question_about_a_user_takes(self) -> None:
        asked = [
            (path.name, function.name, argument)
            for path, tree in MODULES.items()
            if path.stem.rpartition("_")[2] in ASKING
            for function in functions(tree)
            if not function.name.startswith("_")
            for argument in [*function.args.args, *function.args.kwonlyargs]
            if argument.arg in ("user", "user_id", "users", "user_ids")
        ]

        assert len(asked) > 10
        for module, function, argument in asked:
            said = ast.unparse(argument.annotation) if argument.annotation else ""
            assert (argument.arg, said) in (("user", "OwnedUser"), ("users", "Sequence[OwnedUser]")), (
                f"{module}: {function}({argument.arg}: {said})"
            )

    def test_are_what_a_route_with_a_user_in_its_path_takes(self) -> None:
        routes = [
            (path.name, function)
            for path, tree in MODULES.items()
            if path.parent.name == "api"
            for function in functions(tree)
            if any("{user_id}" in ast.unparse(decorator) for decorator in function.decorator_list)
        ]

        assert len(routes) >= 5
        for module, function in routes:
            arguments = {one.arg: ast.unparse(one.annotation) for one in function.args.args if one.annotation}
            assert arguments.get("user") == "Owned", f"{module}: {function.name}"
            assert "user_id" not in arguments, f"{module}: {function.name}"
            assert "OWN_HOUSEHOLD" in ast.unparse(function.decorator_list[0]), f"{module}: {function.name}"
