"""What must hold of everything shown to Prometheus: no series a user, few of each, all written down."""

import pathlib
import re
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from batch.stages import NIGHT

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
LABELS = {
    "topic": {"electricity", "gas", "water"},
    "kind": {"late", "doubled", "lost", "malformed", "counted", "set_aside"},
    "job_name": {"meterbeat-fold", "meterbeat-archive"},
    "store": {"kafka", "flink", "redis", "mysql"},
    "question": {
        *("user", "usage", "revisions", "invoices", "alerts", "regions", "load", "history", "quality", "ping")
    },
    "sources": {"both", "redis", "mysql"},
    "stage": {*NIGHT},
    "route": None,  # held to the application's own templates by its test
    "status": None,
    "le": None,
}


def samples_of(text: str) -> list[Sample]:
    """Read what an endpoint or a file tells."""
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def shown(registry: CollectorRegistry) -> list[Sample]:
    """Return what a registry tells, by way of the text that Prometheus gets."""
    return samples_of(generate_latest(registry).decode())


def without_values(text: str) -> str:
    """Return the lines without what each ends in: a value may by chance hold the digits of a user."""
    return "\n".join(line.rpartition(" ")[0] for line in text.splitlines())


def value(samples: Iterable[Sample], name: str, **labels: str) -> float:
    """Return the one sample of a name with exactly these labels."""
    [found] = [sample.value for sample in samples if sample.name == name and sample.labels == labels]
    return found


def assert_fit(samples: Iterable[Sample]) -> None:
    """Assert that each name is documented, no label is unknown, and none holds but one of a few values."""
    documented = DOCS.read_text()
    for sample in samples:
        name = re.sub("_(total|count|sum|bucket)$", "", sample.name)
        assert re.search(rf"`{name}(_total)?`", documented), f"{sample.name} is not in {DOCS.name}"
        for label, text in sample.labels.items():
            assert label in LABELS, f"{sample.name} has the label {label}"
            allowed = LABELS[label]
            assert allowed is None or text in allowed, f"{sample.name}: {label} is {text!r}"
