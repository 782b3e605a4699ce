"""The pages' third-party files: those of the list, with their licences, and nothing beside them."""

import json
import pathlib

import pytest

from serving.web import vendored

ROOT = pathlib.Path(__file__).resolve().parents[3]
LOCK = json.loads((ROOT / "serving" / "npm" / "package-lock.json").read_text())
PINNED = json.loads((ROOT / "serving" / "npm" / "package.json").read_text())["dependencies"]


class TestFiles:
    def test_of_the_list_are_there_and_none_beside_them(self) -> None:
        assert set(vendored.files()) == vendored.FILES, vendored.REMEDY

    def test_that_were_not_fetched_are_told(
        self, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert vendored.files(tmp_path) == {}
        assert vendored.licences(tmp_path) == []
        assert vendored.REMEDY in caplog.text


class TestLicences:
    def test_are_those_of_every_package_served(self) -> None:
        items = vendored.licences()

        assert [item["name"] for item in items] == list(vendored.PACKAGES)
        assert {item["name"]: item["version"] for item in items} == PINNED
        assert all(item["licence"] in ("MIT", "ISC") for item in items)
        assert all("copyright" in item["text"].lower() for item in items)


class TestLock:
    def test_pins_every_package_by_its_content_and_names_no_address(self) -> None:
        packages = [package for path, package in LOCK["packages"].items() if path]

        assert all(package["integrity"].startswith("sha512-") for package in packages)
        assert "resolved" not in json.dumps(LOCK)
        assert "://" not in json.dumps(LOCK)
