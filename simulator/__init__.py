"""The fleet: every meter's heartbeats out, and the ledger of what must have become of them.

Reads:   its own run records on S3, ledger/run-*.json
Writes:  Kafka topics electricity, gas, water; S3 master/ and ledger/
Imports: infra, numpy, pyarrow, boto3, botocore, lz4, crc32c, prometheus_client, rich, typer
Never:   state; what a meter shows is a function of seed, user, utility and time alone
"""
