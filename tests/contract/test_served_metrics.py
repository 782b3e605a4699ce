"""GET /metrics of the real process: how serving does, and nothing of whom it served."""

import contextlib
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from tests.support.metrics import assert_fit, samples_of, value, without_values

START_S_MAX = 60
USER = 99_999_998  # of no fleet: the services are shared, and other tests leave users in them


@pytest.fixture(scope="module")
def url(services):
    process = services.start("serve", "--processes", "1")
    address = services.settings.serving_url
    deadline = time.monotonic() + START_S_MAX
    try:
        while status_of(f"{address}/healthz") != 200:
            assert process.poll() is None and time.monotonic() < deadline, "serving does not start"
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)


def status_of(url, headers=None):
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers or {}), timeout=5
        ) as response:
            return response.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return None


class TestMetrics:
    def test_count_a_household_without_naming_it(self, url, services):
        token = services.ask("token", "--role", "operator")["token"]
        status = status_of(f"{url}/api/v1/households/{USER}", {"Authorization": f"Bearer {token}"})
        assert status == 404

        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as response:
            text = response.read().decode()

        samples = samples_of(text)
        route = {"route": "/api/v1/households/{user_id}", "status": "404"}
        assert value(samples, "meterbeat_serving_request_seconds_count", **route) == 1
        assert value(samples, "meterbeat_serving_lookup_seconds_count", store="redis", question="user") == 1
        assert str(USER) not in without_values(text)
        assert_fit(samples)

    def test_are_not_in_the_public_api(self, url):
        with urllib.request.urlopen(f"{url}/api/v1/openapi.json", timeout=5) as response:
            assert "/metrics" not in response.read().decode()
