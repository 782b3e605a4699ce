"""The speed layer: heartbeats in, live state per user and region out, every heartbeat archived.

Reads:   Kafka topics electricity, gas, water and tick; S3 prefixes raw/ and compacted/ after a loss
Writes:  Redis hashes live:{user_id} and region:{code}, strings load:{code}; Kafka topic dead-letter;
         S3 prefixes raw/ and live/
Imports: infra, pyflink, kafka, redis, pyarrow, numpy, pandas, prometheus_client, typer, rich
Never:   the wall clock for what a figure is; whether a heartbeat is late the watermark says alone
"""
