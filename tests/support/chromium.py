"""The system's Chromium for the pages' tests: the one that is there, else Debian's, which root installs."""

import os
import shutil
import subprocess

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Without fonts it draws boxes.
PACKAGES = ("chromium", "fonts-liberation")
INSTALL_S_MAX = 400
LOCK_S_MAX = 120  # another apt-get may be at work


def chromium() -> str:
    """Return the path of a Chromium; the test fails, with what to do, where none is to be had."""
    return _found() or _installed()


def _found() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


def _installed() -> str:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.fail(
            "no Chromium is found for the pages' tests: `apt-get install chromium`, or your system's own"
        )
    apt = ("apt-get", "-q", "-o", f"DPkg::Lock::Timeout={LOCK_S_MAX}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for step in (("update",), ("install", "-y", "--no-install-recommends", *PACKAGES)):
        done = subprocess.run(
            [*apt, *step],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            timeout=INSTALL_S_MAX,
            check=False,
        )
    found = _found()
    if done.returncode or found is None:
        said = "".join(done.stdout.strip().splitlines(keepends=True)[-5:])
        pytest.fail(f"no Chromium is found for the pages' tests, and apt-get cannot install it: {said}")
    return found
