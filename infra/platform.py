"""All local services as one: start them, stop them, tell which run.

A service whose address is set to another machine is that machine's business and is left out.
"""

import concurrent.futures
import dataclasses
import itertools
from collections.abc import Callable, Sequence

from infra.flink import cluster as flink
from infra.kafka import server as kafka
from infra.mysql import server as mysql
from infra.process import Service, stop_recorded
from infra.redis import server as redis
from infra.s3 import server as s3
from infra.settings import Settings


@dataclasses.dataclass(frozen=True)
class ServiceStatus:
    """One line of `meterbeat status`."""

    name: str
    state: str  # running, starting, killed or stopped
    pid: int | None
    ports: dict[str, int]
    log: str


def services(settings: Settings) -> list[Service]:
    """Return the services that run on this machine under these settings, in the order of their start."""
    local = dataclasses.replace(
        settings,
        kafka_bootstrap="",
        redis_url="",
        s3_endpoint="",
        mysql_host="127.0.0.1",
        mysql_port=0,
        flink_rest="",
    ).completed()
    chosen: list[Service] = []
    if settings.kafka_bootstrap == local.kafka_bootstrap:
        chosen.append(kafka.service(settings))
    if settings.redis_url == local.redis_url:
        chosen.append(redis.service(settings))
    if (settings.mysql_host, settings.mysql_port) == (local.mysql_host, local.mysql_port):
        chosen.append(mysql.service(settings))
    if settings.s3_endpoint == local.s3_endpoint:
        chosen.append(s3.service(settings))
    if settings.flink_rest == local.flink_rest:
        chosen += flink.services(settings)
    return chosen


def up(settings: Settings, report: Callable[[str, str], None]) -> None:
    """Start every service that does not run, wait until all serve, and make what they must hold.

    `report` gets a service's name and what became of it. Safe to repeat.
    Topics, bucket and schema of a service elsewhere are its owner's to make.

    :raises ServiceError: naming the service that did not start.
    """
    everything = services(settings)
    started = _start_side_by_side(everything)
    for service in everything:
        service.wait()
        report(service.name, "started" if service.name in started else "runs already")
    flink.prepare(settings)
    make = {"kafka": kafka.create_topics, "s3": s3.create_bucket, "mysql": mysql.migrate}
    for service in everything:
        if service.name in make:
            make[service.name](settings)


def _start_side_by_side(everything: Sequence[Service]) -> set[str]:
    """Start what does not run and return its names: to set one up takes seconds that need not add up.

    Processes of one cluster, whose names begin the same, write one configuration: they start in turn.

    :raises ServiceError: if one cannot be started; the others are by then.
    """
    clusters = itertools.groupby(everything, lambda service: service.name.partition("-")[0])
    in_turn = [list(members) for _, members in clusters]

    def start(members: list[Service]) -> list[str]:
        return [service.name for service in members if service.start()]

    with concurrent.futures.ThreadPoolExecutor(max(1, len(in_turn))) as pool:
        return {name for names in pool.map(start, in_turn) for name in names}


def down(settings: Settings, report: Callable[[str, str], None]) -> None:
    """End the services that `up` started, last first, and what rooms left running; no other process."""
    known = {service.pid_path for service in services(settings)}
    for pid_path in set(settings.home.glob("*/service.pid")) - known:
        report(pid_path.parent.name, "ended" if stop_recorded(pid_path) else "was not running")
    for service in reversed(services(settings)):
        report(service.name, "ended" if service.stop() else "was not running")


def status(settings: Settings) -> list[ServiceStatus]:
    """Return the state of every local service."""
    return [
        ServiceStatus(
            service.name, _state(service), service.pid(), dict(service.ports), str(service.log_path)
        )
        for service in services(settings)
    ]


def _state(service: Service) -> str:
    """Tell a service that was killed from one that was never started or was stopped."""
    if service.pid():
        return "running" if service.ready() else "starting"
    return "killed" if service.pid_path.exists() else "stopped"
