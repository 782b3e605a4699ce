"""Every figure in README.md and ARCHITECTURE.md is one of docs/results.json, or a truth that is checked here.

A figure is a number with a unit. To write one down: record a bench (`meterbeat bench NAME --record`), or add
what was seen and how to `observed` in docs/results.json, then put what `meterbeat bench table` prints into
ARCHITECTURE.md. Prose may repeat a figure as it stands in the table. What is decided, not measured, goes into
DECIDED with the code that makes it true.
"""

import pathlib
import re

import pytest

from infra.bench import results
from infra.contracts import heartbeat
from infra.contracts.utility import UTILITIES
from infra.settings import Settings
from stream.fold import PACKED

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DOCUMENTS = {name: (ROOT / name).read_text() for name in ("README.md", "ARCHITECTURE.md")}
RESULTS = results.load()

COUNTRY = 8_000_000  # users of the country that the platform is for
DECIDED = {
    "5 seconds": heartbeat.INTERVAL_MS == 5 * 1_000,
    "32 bytes": heartbeat.VALUE_BYTES == PACKED.itemsize == 32,
    "5 second": Settings().window_s == 5,
    "2 minutes": heartbeat.AHEAD_MS_MAX == 2 * 60_000,
    "8 million users": COUNTRY == 8 * 10**6,
    "24 million rows": len(UTILITIES) * COUNTRY == 24 * 10**6,
    "576 million": len(UTILITIES) * COUNTRY * 24 == 576 * 10**6,
    "2 s": "quiet_ms = (settings.idle_s + 2) * 1000" in (ROOT / "stream/__main__.py").read_text(),
    "1 %": "late=1%" in (ROOT / "tests/journey/test_a_day_through_every_layer.py").read_text(),
}

NUMBER = r"\d+(?:[.,]\d+)*"
NUMBERS = rf"{NUMBER}(?:(?: to | and | or | instead of ){NUMBER})*"
PREFIX = r"(?:(?:[KMG]|thousand|million|billion)\b ?)"
UNIT = (
    r"(?:%|/s\b|(?:ms|s|min|h|d|[kKMG]?i?B|W|Wh)\b"
    r"|(?:(?:milli)?second|minute|hour|byte|heartbeat|message|row|user|figure|meter|core|CPU s)s?\b)"
)
FIGURE = re.compile(rf"(?<![\w.,#/:-]){NUMBERS}[ -]?(?:{PREFIX}?{UNIT}|{PREFIX})")
# What is quoted, linked, drawn or run is not said in prose.
UNSAID = re.compile(r"```.*?```|^    [^\n]*$|`[^`]*`|\]\([^)]*\)", re.DOTALL | re.MULTILINE)


def figures(prose: str) -> list[str]:
    """Return the figures of a text, written one way."""
    said = re.sub(r"\s+", " ", UNSAID.sub(" ~ ", prose))
    return [found.replace("-", " ").strip() for found in FIGURE.findall(said)]


def table_in(text: str) -> str:
    return text[text.index(results.BEGIN) : text.index(results.END) + len(results.END)]


def prose_of(name: str) -> str:
    text = DOCUMENTS[name]
    return text.replace(table_in(text), "") if results.BEGIN in text else text


class TestTheTable:
    def test_is_what_the_results_file_says(self):
        assert table_in(DOCUMENTS["ARCHITECTURE.md"]) == results.table(RESULTS), (
            "put what `meterbeat bench table` prints into ARCHITECTURE.md"
        )

    def test_says_of_everything_how_it_was_seen(self):
        for one in RESULTS["observed"]:
            assert set(one) == {"what", "figure", "command", "machine", "date"}
            assert all(one.values()), one
        for name, result in RESULTS["measured"].items():
            assert name == results.name_of(result)
            assert {*results.ALWAYS} <= set(result), name

    def test_names_no_host_and_no_folder(self):
        assert re.search(r"/(?:work|root|home|tmp)/|\d+\.\d+\.\d+\.\d+|localhost", str(RESULTS)) is None


class TestProse:
    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_gives_only_figures_of_the_table_and_what_is_decided(self, name):
        known = {*figures(results.table(RESULTS)), *DECIDED}

        unknown = [figure for figure in figures(prose_of(name)) if figure not in known]

        assert unknown == [], f"{name}: see the head of {pathlib.Path(__file__).name}"

    def test_gives_what_is_decided_as_the_code_has_it(self):
        said = {figure for name in DOCUMENTS for figure in figures(prose_of(name))}

        assert [figure for figure, true in DECIDED.items() if not true] == []
        assert [figure for figure in DECIDED if figure not in said] == []

    @pytest.mark.parametrize(
        ("prose", "found"),
        [
            ("It folds 212,345 heartbeats/s there.", ["212,345 heartbeats"]),
            ("It folds 212 K heartbeats a second.", ["212 K heartbeats"]),
            ("p99 is 9.4 s,\n  or 12 instead of 13 ms", ["9.4 s", "12 instead of 13 ms"]),
            ("| a | 9.1 bytes |", ["9.1 bytes"]),
            ("at 250 K/s and 3.5M/s", ["250 K/s", "3.5M/s"]),
            ("A 10-second window of 512 MB; 99 % of 4 GiB", ["10 second", "512 MB", "99 %", "4 GiB"]),
            ("took 1 min 28 s", ["1 min", "28 s"]),
            ("half a million", []),
            ("`retention.ms=5 s`, decision 11, Python 3.11, ISO 3166-2, http://x:19080/s", []),
        ],
    )
    def test_is_searched_for_every_way_to_write_a_figure(self, prose, found):
        assert figures(prose) == found
