"""Spark's failures, pages long, in the one line that helps."""

import re

LINE_CHARACTERS_MAX = 300
OBJECT_PATTERN = re.compile(r"s3a://[^\s,;)'\"]+")


def names_an_object(line: str) -> bool:
    """Whether a line says which object it is about."""
    return OBJECT_PATTERN.search(line) is not None


def in_one_line(said: str) -> str:
    """Return the object Spark could not read and why, or its first line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    named = OBJECT_PATTERN.search(said)
    causes = [line.partition(":")[2].strip() for line in lines if line.startswith("Caused by:")]
    refused = [line.rpartition("NightRefused:")[2].strip() for line in lines if "NightRefused:" in line]
    if refused:
        return refused[0]
    why = (causes or lines or ["no reason given"])[-1 if causes else 0][:LINE_CHARACTERS_MAX]
    if named:
        return f"object {named[0].rstrip('.:')} cannot be read: {why}"
    return f"Spark failed: {why}"
