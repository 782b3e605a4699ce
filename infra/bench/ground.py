"""The ground a bench stands on: a platform of its own, metered, and gone after success."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from infra import platform, rooms
from infra.bench.processes import TASK_MANAGER, Meter
from infra.flink import cluster
from infra.kafka import server as kafka
from infra.mysql import server as mysql
from infra.process import ServiceError, end, interruptible, port_answers, recorded_pid
from infra.rooms import RoomError
from infra.s3 import server as s3
from infra.settings import CHECKOUT, Settings

STREAM = ("kafka", "redis", "s3", "flink-jobmanager", TASK_MANAGER)
CHECKPOINT_INTERVAL_S = 10


class Command:
    """A room's command that runs beside the bench, metered, and answers in JSON."""

    def __init__(
        self,
        settings: Settings,
        meter: Meter,
        group: str,
        arguments: Sequence[str],
        question: pathlib.Path | None = None,
    ) -> None:
        """`arguments`: the room and what it is to do; `question`: a file that is its standard input."""
        self._words = " ".join(arguments)
        self._meter = meter
        self._log = settings.home / f"{group}.log"
        with self._log.open("ab") as log, (question or pathlib.Path(os.devnull)).open("rb") as asked:
            self._process = subprocess.Popen(
                rooms.command(arguments[0], *arguments[1:]),
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **settings.to_env()},
                cwd=CHECKOUT,
                start_new_session=True,
            )
        meter.watch(group, self._process.pid)

    def answer(self) -> Any:
        """Wait for the command's end and return what it answered.

        :raises RoomError: if it failed, with the last line it said.
        """
        assert self._process.stdout is not None
        try:
            told = b"".join(self._lines(self._process.stdout))
            self._process.wait()
        finally:
            self.end()
        if self._process.returncode:
            said = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            raise RoomError(f"`{self._words}` failed: {''.join(said)}")
        # A JVM inside the room may have logged before the answer, which is the last line.
        answer = told.strip().splitlines()[-1:]
        try:
            return json.loads(b"".join(answer))
        except ValueError:
            raise RoomError(f"`{self._words}` answered no JSON but {answer!r}") from None

    def _lines(self, output: IO[bytes]) -> Iterator[bytes]:
        for line in output:
            # What the process used is known only while it is there.
            self._meter.sample()
            yield line

    def ended(self) -> bool:
        """Return whether the command has ended."""
        return self._process.poll() is not None

    def end(self) -> None:
        """End the command if it runs."""
        if self._process.poll() is None:
            end(self._process.pid)


@dataclasses.dataclass(frozen=True)
class Ground:
    """A running platform. `say` tells people how far the bench is."""

    settings: Settings
    meter: Meter
    say: Callable[[str], None]
    cleanup: contextlib.ExitStack

    def start(self, group: str, *arguments: str) -> Command:
        """Start a room's command; it is ended with the ground at the latest."""
        command = Command(self.settings, self.meter, group, arguments)
        self.cleanup.callback(command.end)
        return command

    def ask(self, group: str, *arguments: str) -> Any:
        """Run a room's command to its end and return its answer.

        :raises RoomError: if it failed.
        """
        return self.start(group, *arguments).answer()

    def ask_with(self, question: pathlib.Path, group: str, *arguments: str) -> Any:
        """Run a room's command with a file as its standard input and return its answer.

        :raises RoomError: if it failed.
        """
        command = Command(self.settings, self.meter, group, arguments, question)
        self.cleanup.callback(command.end)
        return command.answer()

    def start_stream(self) -> None:
        """Start the stream; it is stopped with the ground.

        :raises RoomError: if it does not start.
        """
        self.cleanup.callback(self.stop_stream)
        self.ask("commands", "stream", "run", "--json")
        watch = recorded_pid(self.settings.home / "stream-watch" / "service.pid")
        if watch:
            self.meter.watch("stream watch", watch)

    def stop_stream(self) -> None:
        """Stop the stream if it runs; what it holds goes into a savepoint, its files into the archive."""
        with contextlib.suppress(RoomError):
            self.ask("commands", "stream", "stop", "--json")


@contextlib.contextmanager
def ground(
    settings: Settings, names: Sequence[str], say: Callable[[str], None], *, keep: bool, **changes: Any
) -> Iterator[Ground]:
    """Start the named services in an empty folder of the bench's own; `changes` are to the settings.

    :raises ServiceError: if a port is taken, as by the ordinary platform, or a service does not start.
    """
    own = bench_settings(settings, **changes)
    everything = platform.services(own)
    services = [service for service in everything if service.name in names]
    for service in everything:
        for purpose, port in service.ports.items():
            if port_answers(port):
                raise ServiceError(
                    f"bench: port {port} ({service.name}, {purpose}) is taken; end the platform that "
                    "runs with `meterbeat down`, so that the bench has the machine for itself"
                )
    shutil.rmtree(own.home, ignore_errors=True)
    own.home.mkdir(parents=True)
    meter = Meter()
    meter.start()
    with interruptible(), contextlib.ExitStack() as cleanup:
        cleanup.callback(meter.close)
        cleanup.callback(platform.down, own, lambda *_: None)
        say(f"starting {', '.join(names)}")
        for service in services:
            service.start()
        for service in services:
            service.wait()
            meter.watch(service.name, service.pid() or 0)
        if TASK_MANAGER in names:
            cluster.prepare(own)
        if "kafka" in names:
            kafka.create_topics(own)
        if "s3" in names:
            s3.create_bucket(own)
        if "mysql" in names:
            mysql.migrate(own)
        yield Ground(own, meter, say, cleanup)
    if keep:
        say(f"its data stays in {own.home}")
    else:
        shutil.rmtree(own.home, ignore_errors=True)


def bench_settings(settings: Settings, **changes: Any) -> Settings:
    """Return the settings of a platform under the ordinary one's home, with every service local."""
    local: dict[str, Any] = {"kafka_bootstrap": "", "redis_url": "", "s3_endpoint": "", "flink_rest": ""}
    local |= {"mysql_host": "127.0.0.1", "mysql_port": 0}
    local |= {"flink_metrics_urls": "", "batch_metrics_file": "", "checkpoint_dir": ""}
    return dataclasses.replace(
        settings,
        home=settings.home / "bench",
        checkpoint_interval_s=CHECKPOINT_INTERVAL_S,
        **(local | changes),
    ).completed()


def disk_bytes(folder: pathlib.Path, pattern: str) -> int:
    """Return the bytes of the files under a folder that match a pattern."""
    return sum(path.stat().st_size for path in folder.glob(pattern))
