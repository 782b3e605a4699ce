"""The local broker as a service, and the topics every broker must have."""

import contextlib
import subprocess
import time
import uuid

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from infra.contracts import dead_letter, tick
from infra.contracts.utility import UTILITIES
from infra.process import STREAM_NICE, Service, ServiceError, port_answers
from infra.settings import Settings

ADMIN_S_MAX = 30
HEAP_MB = 768

CONFIGURATION = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
num.partitions={partitions}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.segment.bytes=268435456
log.retention.ms=-1
log.retention.bytes={retention_bytes}
message.max.bytes=8388608
"""
LOGGING = """\
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %m (%c)%n
"""


def service(settings: Settings) -> Service:
    """Return the local broker; its data stays in its folder between runs."""
    folder = settings.home / "kafka"
    port, controller_port = settings.port_base + 92, settings.port_base + 93
    java = ["java", f"-Xmx{HEAP_MB}m", f"-Xms{HEAP_MB}m", "-XX:+UseG1GC"]
    java += [f"-Dlog4j2.configurationFile={folder}/log4j2.properties", "-cp", f"{settings.jars}/kafka/*"]

    def prepare() -> None:
        values = {"port": port, "controller_port": controller_port, "folder": folder}
        values |= {"partitions": settings.topic_partitions, "retention_bytes": settings.kafka_retention_bytes}
        (folder / "server.properties").write_text(CONFIGURATION.format(**values))
        (folder / "log4j2.properties").write_text(LOGGING)
        if not (folder / "data" / "meta.properties").exists():
            cluster_id = uuid.uuid4().hex[:22]
            format_command = [
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster_id,
                "-c",
                "server.properties",
            ]
            subprocess.run([*java, *format_command], cwd=folder, check=True, capture_output=True)

    return Service(
        name="kafka",
        folder=folder,
        command=[*java, "kafka.Kafka", "server.properties"],
        ports={"broker": port, "controller": controller_port},
        ready=lambda: port_answers(port),
        prepare=prepare,
        nice=STREAM_NICE,
    )


def create_topics(settings: Settings) -> None:
    """Create the topics that are missing; those that exist stay as they are.

    :raises ServiceError: if the broker does not answer within ADMIN_S_MAX.
    """
    limits = {
        # What is ahead of the broker's clock can be told only if the message carries that clock's time.
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": "-1",
        "retention.bytes": str(settings.kafka_retention_bytes),
    }
    topics = [
        NewTopic(utility.value, settings.topic_partitions, 1, topic_configs=limits) for utility in UTILITIES
    ]
    letters = {"retention.ms": "-1", "max.message.bytes": str(2 * dead_letter.VALUE_BYTES_MAX)}
    topics.append(NewTopic(dead_letter.TOPIC, 1, 1, topic_configs=letters))
    topics.append(NewTopic(tick.TOPIC, 1, 1, topic_configs={"retention.bytes": "1048576"}))
    admin = _admin(settings)
    try:
        for topic in topics:
            with contextlib.suppress(TopicAlreadyExistsError):
                admin.create_topics([topic])
        _wait_until_led(admin, [topic.name for topic in topics])
    except KafkaError as error:
        raise ServiceError(
            f"kafka at {settings.kafka_bootstrap} does not make its topics ({error})"
        ) from None
    finally:
        admin.close()


def _wait_until_led(admin: KafkaAdminClient, names: list[str]) -> None:
    """Wait until every partition has a leader; a new topic is known to clients a moment after it is made."""
    deadline = time.monotonic() + ADMIN_S_MAX
    while True:
        found = admin.describe_topics(names)
        led = [
            topic["partitions"] and all(part["leader_id"] >= 0 for part in topic["partitions"])
            for topic in found
        ]
        if len(led) == len(names) and all(led):
            return
        if time.monotonic() > deadline:
            raise ServiceError(f"kafka has no leader for all of {', '.join(names)}; see its log")
        time.sleep(0.1)


def _admin(settings: Settings) -> KafkaAdminClient:
    deadline = time.monotonic() + ADMIN_S_MAX
    while True:
        try:
            return KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, bootstrap_timeout_ms=5_000)
        except KafkaError as error:
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"kafka at {settings.kafka_bootstrap} does not answer ({error}); "
                    "start it with `meterbeat up`"
                ) from None
            time.sleep(0.5)
