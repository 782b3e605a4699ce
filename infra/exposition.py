"""How a process shows its metrics to Prometheus: over HTTP while it runs, in a file once it ends."""

import pathlib

from prometheus_client import (
    CollectorRegistry,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
    write_to_textfile,
)


class MetricsError(RuntimeError):
    """Metrics that cannot be shown: names the port or file, and the remedy. The work itself may go on."""


def new_registry() -> CollectorRegistry:
    """Return a registry that tells the process' CPU seconds, memory and open files, and nothing else yet."""
    # When a series began would double their number, and Prometheus sees resets by itself.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    return registry


def show(registry: CollectorRegistry, host: str, port: int) -> None:
    """Answer GET /metrics at an address until the process ends, from a thread of its own.

    :raises MetricsError: if the address cannot be had.
    """
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        raise MetricsError(
            f"metrics cannot be shown at {host}:{port} ({error.strerror}); choose another port, or 0 for none"
        ) from None


def write(registry: CollectorRegistry, path: pathlib.Path) -> None:
    """Replace a file of node_exporter's textfile collector at once, so that no reader sees half of it.

    :raises MetricsError: if the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise MetricsError(
            f"metrics cannot be written to {path} ({error.strerror}); see METERBEAT_BATCH_METRICS_FILE"
        ) from None
