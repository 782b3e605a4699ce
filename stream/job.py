"""The graph of the streaming job: one source, four sinks, in Flink SQL; nothing is computed here.

Kafka --decode--> heartbeats --+-- archive (Parquet on S3, exactly once)
             |                 +-- on time: bucket x event-time window  -> fold -> Redis -> regions -> Redis
             |                 +-- late:    bucket x processing window  -> fold -> Redis
             +--> malformed -----> dead letters
"""

import dataclasses

from pyflink.table import StatementSet, TableEnvironment

from infra.contracts import archive, dead_letter, tick
from infra.contracts.utility import UTILITIES
from stream.fold_udf import fold_late, fold_live, fold_regions

# A partition that waits its turn for longer than `idle_s` would be taken for idle and its heartbeats for
# late.
FETCH_BYTES_MAX = 262_144
LATE_WINDOW_S = 2


@dataclasses.dataclass(frozen=True)
class JobOptions:
    """What the graph depends on. Durations in the unit of their name."""

    kafka_bootstrap: str
    group_id: str  # under which the job tells the broker how far it is
    archive_url: str  # of the bucket, with its scheme
    buckets: int
    labels: tuple[int, int]  # of the buckets: step and offset, see stream/buckets.py
    window_s: int
    lateness_s: int
    idle_s: int
    drift_s: int


def build(tables: TableEnvironment, options: JobOptions) -> StatementSet:
    """Return the statements of the whole job; executing them submits it."""
    tables.create_java_temporary_function("decode_heartbeat", "meterbeat.Decoder")
    tables.create_java_temporary_function("clip_value", "meterbeat.Clip")
    tables.create_temporary_function("fold_live", fold_live)
    tables.create_temporary_function("fold_late", fold_late)
    tables.create_temporary_function("fold_regions", fold_regions)
    for statement in (_messages(options), _decoded(), _archive(options), _dead_letters(options), _done()):
        tables.execute_sql(statement)
    tables.execute_sql(_heartbeats())
    statements = tables.create_statement_set()
    for insert in (_fill_archive(), _fill_dead_letters(), _fold_on_time(options), _fold_late(options)):
        statements.add_insert_sql(insert)
    return statements


def _messages(options: JobOptions) -> str:
    topics = ";".join([*UTILITIES, tick.TOPIC])
    return f"""
    CREATE TABLE messages (
        message_key   BYTES,
        message_value BYTES,
        topic         STRING METADATA VIRTUAL,
        partition_id  INT METADATA FROM 'partition' VIRTUAL,
        message_offset BIGINT METADATA FROM 'offset' VIRTUAL,
        event_time    TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
        arrival_time  AS PROCTIME(),
        WATERMARK FOR event_time AS event_time - INTERVAL '{options.lateness_s}' SECOND
    ) WITH (
        'connector' = 'kafka',
        'topic' = '{topics}',
        'properties.bootstrap.servers' = '{options.kafka_bootstrap}',
        'properties.group.id' = '{options.group_id}',
        'properties.max.partition.fetch.bytes' = '{FETCH_BYTES_MAX}',
        'scan.startup.mode' = 'earliest-offset',
        'scan.watermark.idle-timeout' = '{options.idle_s} s',
        'scan.watermark.alignment.group' = 'heartbeats',
        'scan.watermark.alignment.max-drift' = '{options.drift_s} s',
        'scan.watermark.alignment.update-interval' = '200 ms',
        'key.format' = 'raw', 'key.fields' = 'message_key',
        'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
    )"""


def _decoded() -> str:
    return f"""
    CREATE TEMPORARY VIEW decoded AS
    SELECT *, decode_heartbeat(message_key, message_value, topic, event_time) AS h,
        event_time <= CURRENT_WATERMARK(event_time) AS late
    FROM messages WHERE topic <> '{tick.TOPIC}'"""


def _heartbeats() -> str:
    return """
    CREATE TEMPORARY VIEW heartbeats AS
    SELECT h.user_id, h.sent_at, h.register, h.rate, h.region, h.tag, topic, event_time, arrival_time, late
    FROM decoded WHERE h.reason IS NULL"""


def _archive(options: JobOptions) -> str:
    columns = ", ".join(f"`{name}` {kind}" for name, kind in archive.COLUMNS.items())
    return f"""
    CREATE TABLE archive ({columns}, utility STRING, `day` STRING) PARTITIONED BY (utility, `day`) WITH (
        'connector' = 'filesystem',
        'path' = '{options.archive_url}/{archive.PREFIX}',
        'format' = 'parquet',
        'parquet.compression' = 'ZSTD'
    )"""


def _fill_archive() -> str:
    columns = ", ".join(f"`{name}`" for name in archive.COLUMNS)
    day = "CAST(CAST(CAST(event_time AS TIMESTAMP(3)) AS DATE) AS STRING)"
    return f"INSERT INTO archive SELECT {columns}, topic, {day} FROM heartbeats"


def _dead_letters(options: JobOptions) -> str:
    return f"""
    CREATE TABLE dead_letters (
        message_key   BYTES,
        message_value BYTES,
        headers       MAP<STRING NOT NULL, BYTES> METADATA
    ) WITH (
        'connector' = 'kafka',
        'topic' = '{dead_letter.TOPIC}',
        'properties.bootstrap.servers' = '{options.kafka_bootstrap}',
        'properties.compression.type' = 'lz4',
        'properties.max.request.size' = '{2 * dead_letter.VALUE_BYTES_MAX}',
        'key.format' = 'raw', 'key.fields' = 'message_key',
        'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
    )"""


def _fill_dead_letters() -> str:
    headers = {
        dead_letter.HEADER_TOPIC: "topic",
        dead_letter.HEADER_PARTITION: "CAST(partition_id AS STRING)",
        dead_letter.HEADER_OFFSET: "CAST(message_offset AS STRING)",
        dead_letter.HEADER_TIMESTAMP: (
            "CAST(EXTRACT(EPOCH FROM event_time) * 1000"
            " + MOD(EXTRACT(MILLISECOND FROM event_time), 1000) AS STRING)"
        ),
        dead_letter.HEADER_REASON: "h.reason",
    }
    pairs = ", ".join(f"'{name}', ENCODE({value}, 'UTF-8')" for name, value in headers.items())
    return f"""
    INSERT INTO dead_letters
    SELECT message_key, clip_value(message_value), MAP[{pairs}] FROM decoded WHERE h.reason IS NOT NULL"""


def _done() -> str:
    return "CREATE TABLE done (users BIGINT) WITH ('connector' = 'blackhole')"


def _fold_on_time(options: JobOptions) -> str:
    """Fold per bucket and window into Redis, then sum the buckets' regions in a second window."""
    window = f"INTERVAL '{options.window_s}' SECOND"
    return f"""
    INSERT INTO done
    SELECT fold_regions(regions)
    FROM (
        SELECT
            fold_live(user_id, sent_at, register, rate, tag) AS regions,
            TUMBLE_ROWTIME(event_time, {window}) AS window_time
        FROM heartbeats WHERE late IS NOT TRUE
        GROUP BY {_bucket(options)}, TUMBLE(event_time, {window})
    )
    GROUP BY TUMBLE(window_time, {window})"""


def _bucket(options: JobOptions) -> str:
    step, offset = options.labels
    return f"MOD(user_id, {options.buckets}) * {step} + {offset}"


def _fold_late(options: JobOptions) -> str:
    """Fold what came late as it comes; the fence keeps what is newer, and regions are not told."""
    return f"""
    INSERT INTO done
    SELECT fold_late(user_id, sent_at, register, rate, tag)
    FROM heartbeats WHERE late IS TRUE
    GROUP BY {_bucket(options)}, TUMBLE(arrival_time, INTERVAL '{LATE_WINDOW_S}' SECOND)"""
