"""Spark's failures, pages long, in the one line that helps."""

import re

LINE_CHARACTERS_MAX = 300
PYTHON_PATTERN = re.compile(r"[\w.]*(Error|Exception): ")
OBJECT_PATTERN = re.compile(r"s3a://[^\s,;)'\"]+")


def names_an_object(line: str) -> bool:
    """Whether a line says which object it is about."""
    return OBJECT_PATTERN.search(line) is not None


def in_one_line(said: str) -> str:
    """Return the object Spark could not read and why, or its first line."""
    # What Py4J says before the JVM's own words names nothing but a variable.
    lines = [line.strip().removeprefix(": ") for line in said.splitlines() if line.strip()]
    lines = lines[1:] if lines[1:] and lines[0].startswith("An error occurred while calling") else lines
    named = OBJECT_PATTERN.search(said)
    causes = [line.partition(":")[2].strip() for line in lines if line.startswith("Caused by:")]
    refused = [line.rpartition("NightRefused:")[2].strip() for line in lines if "NightRefused:" in line]
    if refused:
        return refused[0]
    # A Python worker's own words are the last line of its traceback that is not indented.
    raised = [line for line in said.splitlines() if PYTHON_PATTERN.match(line)]
    why = (causes or raised or lines or ["no reason given"])[-1 if causes or raised else 0]
    why = why[:LINE_CHARACTERS_MAX]
    if named:
        return f"object {named[0].rstrip('.:')} cannot be read: {why}"
    return f"Spark failed: {why}"
