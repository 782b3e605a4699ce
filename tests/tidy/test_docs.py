"""What a user can set, type or read about is written down."""

import dataclasses
import pathlib
import re

from infra.contracts import dead_letter, nightly, tick
from infra.contracts.utility import UTILITIES
from infra.settings import Settings

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
DOCS = README + ARCHITECTURE + "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))


class TestDocs:
    def test_every_setting_is_named(self):
        missing = [f.name for f in dataclasses.fields(Settings) if f"METERBEAT_{f.name.upper()}" not in DOCS]

        assert missing == []

    def test_every_topic_and_table_is_named(self):
        tables = [
            nightly.NIGHTS_TABLE,
            nightly.USAGE_DAYS_TABLE,
            nightly.HOUSEHOLDS_TABLE,
            nightly.REGIONS_TABLE,
            nightly.REGION_DAYS_TABLE,
        ]
        names = [*UTILITIES, dead_letter.TOPIC, tick.TOPIC, *tables]

        assert [name for name in names if f"`{name}`" not in DOCS] == []

    def test_every_make_target_is_named(self):
        targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)

        assert [target for target in targets if f"make {target}" not in DOCS] == []

    def test_every_test_that_a_decision_names_exists(self):
        named = re.findall(r"`(tests/[\w/]+\.py)`", ARCHITECTURE)

        assert named
        assert [name for name in named if not (ROOT / name).is_file()] == []

    def test_every_file_that_the_documents_link_to_exists(self):
        for document in ("README.md", "ARCHITECTURE.md"):
            links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / document).read_text())
            assert [link for link in links if not (ROOT / link).exists()] == [], document

    def test_nothing_tracked_names_a_development_machine(self):
        words = re.compile(r"/(?:work|root|home/[a-z]+)/")
        for room in ("simulator", "stream", "batch", "serving", "infra", "tests"):
            for path in (ROOT / room).rglob("*.py"):
                if path != pathlib.Path(__file__):
                    assert not words.search(path.read_text()), path
