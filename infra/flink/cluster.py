"""The local Flink cluster as two services: the job manager and one task manager.

The cluster runs from the Python package's own scripts, with libraries, plugins and configuration in a
folder of ours, so that the installed package stays as it was.
"""

import importlib.util
import json
import pathlib
import re
import shutil
import sys
import urllib.request
from collections.abc import Iterable

from infra.flink import metrics
from infra.process import STREAM_NICE, Service
from infra.settings import Settings

JOB_MANAGER_MB = 1_024
MANAGED_MB = 512
NETWORK_MB = 128
SPARK_JARS = ("hadoop-client-api-*.jar", "hadoop-client-runtime-*.jar", "zstd-jni-*.jar")


def services(settings: Settings) -> list[Service]:
    """Return the job manager and the task manager."""
    base = settings.port_base
    job_ports = {"REST": base + 81, "RPC": base + 82, "blobs": base + 83}
    return [
        _service(settings, "flink-jobmanager", "jobmanager.sh", job_ports, base + 191, task_managers=0),
        _service(settings, "flink-taskmanager", "taskmanager.sh", {}, base + 192, task_managers=1),
    ]


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables with which Flink's scripts and clients find our libraries and configuration."""
    folder = settings.home / "flink"
    return {
        "FLINK_HOME": str(package("pyflink")),
        "FLINK_CONF_DIR": str(folder / "conf"),
        "FLINK_LIB_DIR": str(folder / "lib"),
        "FLINK_PLUGINS_DIR": str(folder / "plugins"),
        "FLINK_LOG_DIR": str(folder / "log"),
        "FLINK_PID_DIR": str(folder / "pids"),
    }


def prepare(settings: Settings) -> None:
    """Lay out libraries, plugins and configuration of the local cluster and of clients to any cluster."""
    folder = settings.home / "flink"
    for name in ("conf", "lib", "plugins/s3-fs-hadoop", "plugins/metrics-prometheus", "log", "pids"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    flink, spark_jars = package("pyflink"), package("pyspark") / "jars"
    libraries = [*flink.glob("lib/*.jar"), *flink.glob("opt/flink-python-*.jar")]
    libraries += [path for path in settings.jars.glob("flink/*.jar") if "s3-fs" not in path.name]
    libraries += settings.jars.glob("stream/*.jar")
    for pattern in SPARK_JARS:
        libraries += spark_jars.glob(pattern)
    _link(libraries, folder / "lib")
    _link(settings.jars.glob("flink/flink-s3-fs-hadoop-*.jar"), folder / "plugins" / "s3-fs-hadoop")
    _link(flink.glob("plugins/metrics-prometheus/*.jar"), folder / "plugins" / "metrics-prometheus")
    for path in flink.glob("conf/log4j*.properties"):
        shutil.copy(path, folder / "conf")
    lines = [f"{key}: {value}" for key, value in _configuration(settings, flink).items()]
    (folder / "conf" / "config.yaml").touch(mode=0o600)
    (folder / "conf" / "config.yaml").write_text("\n".join(lines) + "\n")


def package(name: str) -> pathlib.Path:
    """Return the folder of an installed Python package without importing it."""
    spec = importlib.util.find_spec(name)
    assert spec and spec.origin, f"{name} is not installed; run `make setup`"
    return pathlib.Path(spec.origin).parent


def _configuration(settings: Settings, flink: pathlib.Path) -> dict[str, object]:
    base = settings.port_base
    [java_options] = re.findall(r"^ +all: (.+)$", (flink / "conf" / "config.yaml").read_text(), re.MULTILINE)
    return {
        # Out of memory, a process must end and be started anew: half alive it would hold the job up.
        "env.java.opts.all": f"{java_options} -XX:+ExitOnOutOfMemoryError",
        # It coordinates and computes nothing: optimising its code costs more than it could ever save.
        "env.java.opts.jobmanager": "-XX:TieredStopAtLevel=1",
        # A tenth less of the processor than with the collector that keeps its pauses short.
        "env.java.opts.taskmanager": "-XX:+UseParallelGC",
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.bind-host": "127.0.0.1",
        "jobmanager.rpc.port": base + 82,
        "jobmanager.memory.process.size": f"{JOB_MANAGER_MB}m",
        "blob.server.port": base + 83,
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": base + 81,
        "rest.bind-port": base + 81,
        "web.cancel.enable": "false",
        "web.submit.enable": "false",
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": settings.flink_task_slots,
        "taskmanager.memory.process.size": f"{settings.flink_task_memory_mb}m",
        "taskmanager.memory.managed.size": f"{MANAGED_MB}m",
        "taskmanager.memory.network.min": f"{NETWORK_MB}m",
        "taskmanager.memory.network.max": f"{NETWORK_MB}m",
        "heartbeat.interval": 2_000,
        "heartbeat.timeout": 12_000,
        # So long the cluster tells no metrics, and the watch has none to tick by, where a task manager is
        # killed while it is asked for its own. By default that is ten minutes.
        "web.timeout": "20 s",
        "state.checkpoints.num-retained": 3,
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "s3.endpoint": settings.s3_endpoint,
        "s3.path.style.access": "true",
        "s3.access-key": settings.s3_access_key,
        "s3.secret-key": settings.s3_secret_key,
        "s3.endpoint.region": settings.s3_region,
        **(metrics.configuration() if settings.metrics_host else {}),
    }


def _service(
    settings: Settings, name: str, script: str, ports: dict[str, int], metrics_port: int, task_managers: int
) -> Service:
    command = [str(package("pyflink") / "bin" / script), "start-foreground"]
    if settings.metrics_host:
        ports = {**ports, "metrics": metrics_port}
        # Both processes share one configuration file; their ports must differ.
        command += ["-D", f"metrics.reporter.prom.port={metrics_port}"]
    return Service(
        name=name,
        folder=settings.home / "flink" / name,
        command=command,
        ports=ports,
        ready=lambda: _task_managers(settings.flink_rest) >= task_managers,
        env=environment(settings),
        prepare=lambda: prepare(settings),
        nice=STREAM_NICE,
    )


def _task_managers(rest: str) -> int:
    """Return how many task managers the cluster has, -1 if it does not answer."""
    try:
        with urllib.request.urlopen(f"{rest}/overview", timeout=2) as response:
            return int(json.load(response)["taskmanagers"])
    except OSError:
        return -1


def _link(paths: Iterable[pathlib.Path], folder: pathlib.Path) -> None:
    """Make a folder hold links to exactly these files, leaving those alone that a process may be reading."""
    wanted = {path.name: path for path in paths}
    for link in folder.iterdir():
        if wanted.get(link.name) != link.readlink():
            link.unlink()
    for name, path in wanted.items():
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(path)
