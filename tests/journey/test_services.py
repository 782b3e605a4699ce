"""Starting, killing and missing services: what a person is told, and that nothing else is touched."""

import dataclasses
import socket

import pytest

from infra import platform as services_of
from infra.process import recorded_pid
from tests.support.services import Platform, failed_in_one_line, running_platform

PORT_BASE = 23_000
NOBODYS = f"127.0.0.1:{PORT_BASE + 4_600}"


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    with running_platform(tmp_path_factory.mktemp("services"), port_base=PORT_BASE) as running:
        yield running


def states(platform):
    return {one.name: one.state for one in services_of.status(platform.settings)}


class TestUp:
    def test_starting_twice_leaves_every_process_alone(self, platform):
        before = {one.name: one.pid for one in services_of.status(platform.settings)}

        done = platform.meterbeat("up")

        assert done.returncode == 0
        assert {one.name: one.pid for one in services_of.status(platform.settings)} == before

    def test_a_killed_service_is_reported_and_started_again(self, platform):
        platform.kill("redis")

        reported = platform.meterbeat("status", "--json")
        restarted = platform.meterbeat("up")

        assert reported.returncode == 1
        assert '"name": "redis", "state": "killed"' in reported.stdout
        assert restarted.returncode == 0
        assert set(states(platform).values()) == {"running"}

    def test_a_taken_port_is_named(self, platform):
        redis = platform.service("redis")
        redis.stop()
        with socket.create_server(("127.0.0.1", redis.ports["server"])):
            done = platform.meterbeat("up")
        platform.meterbeat("up")

        failed_in_one_line(done, code=1, says=f"redis: port {redis.ports['server']} (server) is taken")

    def test_an_unknown_setting_is_named(self, platform, monkeypatch):
        monkeypatch.setenv("METERBEAT_KAFKA_BOOTSTRAPS", "x")

        failed_in_one_line(
            platform.meterbeat("status"), code=2, says="METERBEAT_KAFKA_BOOTSTRAPS is not a setting"
        )


SIMULATE = ["simulate", "--users", "5", "--seed", "1", "--duration", "5"]
STREAM = ["stream", "run"]


class TestServicesAway:
    """Nobody answers at a service's address: it is as if it was stopped, and need not be started again."""

    @pytest.mark.parametrize(
        ("setting", "address", "commands"),
        [
            pytest.param("kafka_bootstrap", NOBODYS, [SIMULATE, STREAM], id="kafka"),
            pytest.param(
                "s3_endpoint",
                f"http://{NOBODYS}",
                [SIMULATE, STREAM, ["batch", "--night", "2025-06-01"]],
                id="s3",
            ),
            pytest.param("redis_url", f"redis://{NOBODYS}/0", [STREAM], id="redis"),
            pytest.param("flink_rest", f"http://{NOBODYS}", [["stream", "status"], STREAM], id="flink"),
        ],
    )
    def test_are_one_line_that_names_them_and_the_remedy(self, platform, setting, address, commands):
        without = Platform(dataclasses.replace(platform.settings, **{setting: address}))

        for command in commands:
            done = without.meterbeat(*command)

            failed_in_one_line(done, code=1, says="meterbeat up")
            assert address in " ".join(done.stderr.split())


class TestDown:
    """The last of all: it ends what the others stand on."""

    def test_ends_what_up_started_and_nothing_else(self, platform):
        bystander = socket.create_server(("127.0.0.1", PORT_BASE + 4_500))
        recorded = [recorded_pid(path) for path in platform.settings.home.rglob("service.pid")]
        pids = [pid for pid in recorded if pid]

        done = platform.meterbeat("down")

        assert done.returncode == 0
        assert len(pids) == 6
        assert not [pid for pid in pids if _alive(pid)]
        bystander.close()


def _alive(pid):
    from infra.process import started_at  # noqa: PLC0415

    return started_at(pid) is not None
