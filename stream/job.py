"""The graphs of the two streaming jobs; nothing is computed here.

fold:     Kafka -> decode -> pack by bucket and window -> keep until the window ends -> fold -> Redis
                     |                                                                   +-> regions -> Redis
                     +-> what is malformed -> dead letters
archive:  Kafka -> decode -> Parquet on S3, exactly once

They are apart because live state wants a checkpoint every few seconds and the archive, whose files end with
one, a checkpoint every few minutes.
"""

import dataclasses
from typing import Any

from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StatementSet, StreamTableEnvironment, Table

from infra.contracts import archive, dead_letter, tick
from infra.contracts.utility import UTILITIES
from stream.fold_udf import fold_live, fold_regions

MAX_PARALLELISM = 128  # a checkpoint can be resumed with any parallelism up to this one


@dataclasses.dataclass(frozen=True)
class FoldOptions:
    """What the graph of the fold depends on. Durations in the unit of their name."""

    kafka_bootstrap: str
    group_id: str  # under which the job tells the broker how far it is
    parallelism: int
    buckets: int
    window_s: int
    lateness_s: int
    idle_s: int
    drift_s: int


@dataclasses.dataclass(frozen=True)
class ArchiveOptions:
    """What the graph of the archive depends on."""

    kafka_bootstrap: str
    group_id: str
    archive_url: str  # of the bucket, with its scheme


def build_fold(environment: StreamExecutionEnvironment, options: FoldOptions) -> StatementSet:
    """Return the statements of the fold; executing them submits the job."""
    java = get_gateway().jvm.meterbeat
    watermarks = java.HeartbeatSource.watermarks(
        options.lateness_s * 1000, options.idle_s * 1000, options.drift_s * 1000
    )
    topics = [*UTILITIES, tick.TOPIC]
    messages = _read(environment, options.kafka_bootstrap, options.group_id, topics, watermarks)
    packs = java.Buckets.pack(
        messages, options.buckets, options.window_s * 1000, options.parallelism, MAX_PARALLELISM
    )
    tables = StreamTableEnvironment.create(environment)
    _view(tables, "windows", java.Buckets.windows(packs), _windows_schema())
    _view(tables, "malformed", java.Buckets.deadLetters(packs), Schema.new_builder().build())
    tables.create_temporary_function("fold_live", fold_live)
    tables.create_temporary_function("fold_regions", fold_regions)
    tables.execute_sql("CREATE TABLE done (regions BIGINT) WITH ('connector' = 'blackhole')")
    tables.execute_sql(_dead_letters(options))
    statements = tables.create_statement_set()
    statements.add_insert_sql(_fold(options))
    statements.add_insert_sql(_fill_dead_letters())
    return statements


def build_archive(environment: StreamExecutionEnvironment, options: ArchiveOptions) -> None:
    """Add the graph of the archive to an environment; executing that submits the job."""
    jvm = get_gateway().jvm
    never = jvm.org.apache.flink.api.common.eventtime.WatermarkStrategy.noWatermarks()
    messages = _read(environment, options.kafka_bootstrap, options.group_id, list(UTILITIES), never)
    jvm.meterbeat.Archive.write(messages, f"{options.archive_url}/{archive.PREFIX}")


def _read(
    environment: StreamExecutionEnvironment, bootstrap: str, group_id: str, topics: list[str], watermarks: Any
) -> Any:
    """Return the Java stream of messages, decoded where they are read."""
    names = get_gateway().jvm.java.util.ArrayList()
    for topic in topics:
        names.add(str(topic))
    return get_gateway().jvm.meterbeat.HeartbeatSource.read(
        environment._j_stream_execution_environment, bootstrap, group_id, names, tick.TOPIC, watermarks
    )


def _view(tables: StreamTableEnvironment, name: str, stream: Any, schema: Schema) -> None:
    """Name a Java stream of rows as a table."""
    table = tables._j_tenv.fromDataStream(stream, schema._j_schema)
    tables.create_temporary_view(name, Table(table, tables))


def _windows_schema() -> Schema:
    """Return what a window's rows carry beside their columns: its last instant, as event time."""
    return (
        Schema.new_builder()
        .column_by_metadata("window_time", "TIMESTAMP_LTZ(3)", "rowtime", True)
        .watermark("window_time", "SOURCE_WATERMARK()")
        .build()
    )


def _fold(options: FoldOptions) -> str:
    """Fold each bucket's window into Redis, then sum the buckets' regions."""
    return f"""
    INSERT INTO done
    SELECT fold_regions(shares)
    FROM (SELECT window_time, fold_live(window_end, late, heartbeats) AS shares FROM windows)
    WHERE shares IS NOT NULL
    GROUP BY TUMBLE(window_time, INTERVAL '{options.window_s}' SECOND)"""


def _dead_letters(options: FoldOptions) -> str:
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
        dead_letter.HEADER_TIMESTAMP: "CAST(timestamp_ms AS STRING)",
        dead_letter.HEADER_REASON: "reason",
    }
    pairs = ", ".join(f"'{name}', ENCODE({value}, 'UTF-8')" for name, value in headers.items())
    return f"INSERT INTO dead_letters SELECT message_key, message_value, MAP[{pairs}] FROM malformed"
