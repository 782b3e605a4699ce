"""In words, why there is no usage of a period, or less than the whole period."""

from serving.figures.local_days import local_time
from serving.figures.truth import Layer

NOTHING_YET = "nothing heard yet"


def nothing_after(newest_at: int, zone: str) -> str:
    """Return why a period has no more usage than up to the newest register."""
    return f"nothing known after {local_time(newest_at, zone)}"


def counted_from_birth(layer: Layer, first_heard_at: int, zone: str) -> str:
    """Return why a period in which a meter was first heard is not counted from its start."""
    return f"{_first_heard(layer, first_heard_at, zone)}, counted from there"


def unborn(layer: Layer, first_heard_at: int, zone: str) -> str:
    """Return why a period that ends before a meter's first heartbeat has no usage."""
    return f"{_first_heard(layer, first_heard_at, zone)}, after this period"


def _first_heard(layer: Layer, first_heard_at: int, zone: str) -> str:
    at = "at" if layer is Layer.TRUTH else "in the hour from"
    return f"meter first heard {at} {local_time(first_heard_at, zone)}"
