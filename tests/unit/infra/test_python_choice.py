"""Which Python the environment is made of: the fastest that will do, or the one that is named."""

import os
import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).parents[3] / "infra" / "python.sh"
# Answers what the script asks: whether its version will do, has venv, which it is, and how fast. Any real one
# is slower than these.
STUB = """#!/bin/sh
case "$2" in
*"not (3, 11)"*) exit {fits} ;;
*ensurepip*) exit {venv} ;;
*"print(*sys"*) echo 3 11 ;;
*) echo {us} ;;
esac
"""


@pytest.fixture
def chosen(tmp_path):
    """Return what the script says, and its exit code, of stubs by name and what is named."""

    def run(stubs: dict[str, dict[str, int]], *named: str) -> tuple[str, int]:
        for name, answers in stubs.items():
            stub = tmp_path / name
            stub.write_text(STUB.format(**{"fits": 0, "venv": 0, "us": 10} | answers))
            stub.chmod(0o755)
        said = subprocess.run(
            ["/bin/sh", str(SCRIPT), *named],
            env={**os.environ, "PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        return (said.stdout or said.stderr).strip(), said.returncode

    return run


@pytest.mark.parametrize(
    ("first_us", "other_us", "python"),
    [
        pytest.param(10, 5, "python3.11", id="another-is-much-faster"),
        pytest.param(5, 10, "python3", id="the-first-is-faster"),
        pytest.param(100, 95, "python3", id="another-is-hardly-faster"),
    ],
)
def test_the_fastest_is_taken(chosen, first_us, other_us, python):
    assert chosen({"python3": {"us": first_us}, "python3.11": {"us": other_us}}) == (python, 0)


@pytest.mark.parametrize("lacking", ["fits", "venv"])
def test_one_that_will_not_do_is_not_taken_for_its_speed(chosen, lacking):
    assert chosen({"python3": {}, "python3.11": {"us": 1, lacking: 1}}) == ("python3", 0)


def test_the_one_that_is_named_is_taken_however_slow(chosen):
    assert chosen({"python3": {"us": 1}, "own python": {"us": 99}}, "own python") == ("own python", 0)


@pytest.mark.parametrize(
    ("lacking", "remedy"), [("fits", "make PYTHON=python3.11"), ("venv", "python3-venv")]
)
def test_one_that_is_named_and_will_not_do_is_refused(chosen, lacking, remedy):
    said, code = chosen({"own": {lacking: 1}}, "own")

    assert (code, said.startswith("error: own "), remedy in said) == (1, True, True)
