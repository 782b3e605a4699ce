"""The only reader of the environment: one frozen object with every address, limit and credential.

Each field is set by METERBEAT_<FIELD IN CAPITALS>. Services on other machines are reached by setting
their address; what `meterbeat up` starts itself listens on 127.0.0.1 at `port_base` plus a fixed step.
"""

import dataclasses
import ipaddress
import os
import pathlib
from collections.abc import Mapping
from typing import Any

PREFIX = "METERBEAT_"
CHECKOUT = pathlib.Path(__file__).resolve().parent.parent


class SettingError(ValueError):
    """A setting that cannot be used: the message names it, its value and what it must be."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where everything is and how much of it there may be. Units are in the names."""

    home: pathlib.Path = CHECKOUT / ".meterbeat"  # data, logs and process ids of local services
    jars: pathlib.Path = CHECKOUT / ".jars"  # fetched by `make setup`
    port_base: int = 19_000  # local services; a second platform beside the first takes another base

    kafka_bootstrap: str = ""  # default: the local broker
    topic_partitions: int = 4  # a topic; more than cores buys nothing on one machine
    kafka_retention_bytes: int = 2 * 1024**3  # a partition; by size, as event times may be old

    redis_url: str = ""  # default: the local server

    s3_endpoint: str = ""  # default: the local server
    s3_bucket: str = "meterbeat"
    s3_region: str = "us-east-1"
    s3_access_key: str = "meterbeat"
    s3_secret_key: str = "meterbeat-local"

    mysql_host: str = "127.0.0.1"
    mysql_port: int = 0  # default: the local server's
    mysql_database: str = "meterbeat"
    mysql_batch_user: str = "meterbeat_batch"
    mysql_batch_password: str = "meterbeat-batch-local"
    mysql_serving_user: str = "meterbeat_serving"
    mysql_serving_password: str = "meterbeat-serving-local"

    flink_rest: str = ""  # default: the local cluster
    flink_task_slots: int = 4  # of the local task manager
    flink_task_memory_mb: int = 3_072  # of the local task manager, Python workers not counted
    checkpoint_dir: str = ""  # default: under home; on a cluster, its object store
    checkpoint_interval_s: int = 10
    stream_parallelism: int = 2
    stream_buckets: int = 24  # groups of users folded together; see ARCHITECTURE.md, decision 11
    window_s: int = 5
    lateness_s: int = 3  # how far out of order heartbeats may come and still be on time
    idle_s: int = 5  # a partition silent for so long no longer holds back the others
    drift_s: int = 20  # how far in event time one partition may be read ahead of another; bounds the state
    archive_parallelism: int = 1  # each adds files; one writes several 100,000 heartbeats/s
    archive_checkpoint_interval_s: int = 120  # a file of each utility ends with every checkpoint
    stream_epoch: int = 1  # raised for a deliberate rewrite of live state

    spark_master: str = "local[2]"
    spark_driver_memory_mb: int = 2_048

    serving_host: str = "127.0.0.1"
    serving_port: int = 0  # default: port_base + 80
    serving_timeout_ms: int = 800  # of one look-up; MySQL has four times that for many months, or all regions
    serving_stream_metrics_urls: str = ""  # with commas; default: the local watch's and flink_metrics_urls
    serving_processes: int = 2  # behind the local balancer; 1: one process and no balancer
    serving_drain_s: int = 3  # asked to end, a process says so and serves on for so long

    serving_token_keys: pathlib.Path = pathlib.Path()  # default: serving/token.keys under home
    serving_cookie_secure: bool = False  # True where pages are reached by https, and then by it alone
    serving_rate_limit_per_minute: int = 600  # requests of one household or person
    serving_attempt_limit_per_minute: int = 60  # log-ins and requests that prove nobody, of one address
    serving_forwarded_by: str = ""  # with commas: proxies whose X-Forwarded-For is believed

    metrics_host: str = "127.0.0.1"  # where processes show their metrics; empty: only serving and batch do
    simulator_metrics_port: int = 0  # default: port_base + 190
    flink_metrics_urls: str = ""  # with commas; default: the local cluster's, port_base + 191 and 192
    stream_watch_metrics_port: int = 0  # default: port_base + 193
    batch_metrics_file: str = ""  # default: metrics/batch.prom under home

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Return the settings of an environment (default: the process's own).

        :raises SettingError: naming the variable that is unknown or has an unusable value.
        """
        environ = os.environ if environ is None else environ
        fields = {field.name: field for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for variable, text in environ.items():
            if variable.startswith(PREFIX):
                name = variable.removeprefix(PREFIX).lower()
                if name not in fields:
                    raise SettingError(f"{variable} is not a setting; see infra/settings.py for all of them")
                values[name] = _parse(variable, text, fields[name].type)
        return cls(**values).completed()

    def completed(self) -> "Settings":
        """Fill in the addresses of local services and hold numbers to their range."""
        for name, low, high in (
            ("port_base", 1_024, 65_000),
            ("topic_partitions", 1, 1_000),
            ("stream_parallelism", 1, 1_000),
            ("stream_buckets", 1, 4_096),
            ("window_s", 1, 60),
            ("checkpoint_interval_s", 1, 3_600),
            ("archive_checkpoint_interval_s", 1, 3_600),
            ("archive_parallelism", 1, 1_000),
            ("serving_rate_limit_per_minute", 1, 10_000_000),
            ("serving_attempt_limit_per_minute", 1, 10_000_000),
            ("serving_processes", 1, 32),
            ("serving_drain_s", 0, 600),
        ):
            if not low <= getattr(self, name) <= high:
                raise SettingError(f"{PREFIX}{name.upper()} is {getattr(self, name)}, not in {low}..{high}")
        for proxy in listed(self.serving_forwarded_by):
            if not _some_addresses(proxy):
                raise SettingError(
                    f"{PREFIX}SERVING_FORWARDED_BY is {self.serving_forwarded_by!r}, of which {proxy!r} is "
                    "no proxy; name the addresses or networks of your proxies"
                )
        if 60 % self.window_s:
            raise SettingError(
                f"{PREFIX}WINDOW_S is {self.window_s}; it must divide 60 so that windows end with hours"
            )
        home = self.home.expanduser().resolve()
        flink_urls = self.flink_metrics_urls or ",".join(
            f"http://127.0.0.1:{self.port_base + step}/metrics" for step in (191, 192)
        )
        watch_port = self.stream_watch_metrics_port or self.port_base + 193
        return dataclasses.replace(
            self,
            home=home,
            jars=self.jars.expanduser().resolve(),
            kafka_bootstrap=self.kafka_bootstrap or f"127.0.0.1:{self.port_base + 92}",
            redis_url=self.redis_url or f"redis://127.0.0.1:{self.port_base + 379}/0",
            s3_endpoint=self.s3_endpoint or f"http://127.0.0.1:{self.port_base + 1}",
            mysql_port=self.mysql_port or self.port_base + 306,
            flink_rest=self.flink_rest or f"http://127.0.0.1:{self.port_base + 81}",
            checkpoint_dir=self.checkpoint_dir or f"file://{home}/flink/checkpoints",
            serving_port=self.serving_port or self.port_base + 80,
            serving_token_keys=(
                home / "serving" / "token.keys"
                if self.serving_token_keys == pathlib.Path()
                else self.serving_token_keys.expanduser().resolve()
            ),
            simulator_metrics_port=self.simulator_metrics_port or self.port_base + 190,
            flink_metrics_urls=flink_urls,
            stream_watch_metrics_port=watch_port,
            serving_stream_metrics_urls=self.serving_stream_metrics_urls
            or f"http://127.0.0.1:{watch_port}/metrics,{flink_urls}",
            batch_metrics_file=self.batch_metrics_file or f"{home}/metrics/batch.prom",
        )

    def to_env(self) -> dict[str, str]:
        """Return the variables that make another process read the same settings."""
        return {f"{PREFIX}{key.upper()}": str(value) for key, value in dataclasses.asdict(self).items()}

    @property
    def serving_url(self) -> str:
        """Where the pages and the API answer."""
        return f"http://{self.serving_host}:{self.serving_port}"


def listed(text: str) -> list[str]:
    """Return the entries of a setting that has several, with commas."""
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _some_addresses(text: str) -> bool:
    """Return whether a text is an address or a network, and not of all addresses that there are."""
    try:
        return ipaddress.ip_network(text).prefixlen > 0
    except ValueError:
        return False


def _parse(variable: str, text: str, kind: Any) -> Any:
    """Turn a variable's text into its field's type."""
    if kind is int or kind == "int":
        try:
            return int(text)
        except ValueError:
            raise SettingError(f"{variable} is {text!r}, not a whole number") from None
    if kind is bool:
        try:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        except KeyError:
            raise SettingError(f"{variable} is {text!r}, neither true nor false") from None
    return pathlib.Path(text) if kind is pathlib.Path else text
