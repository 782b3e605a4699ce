"""The serving layer: one household in milliseconds, a country at a glance, as an API and two pages.

Reads:   Redis hashes live:{user_id} and region:{code}, strings load:{code}; MySQL, all but what batch alone
         needs; Kafka topic dead-letter; the metrics that the stream shows
Writes:  Redis strings rate:{kind}:{subject}, which last for at most a minute, and the sorted set revoked of
         tokens that were taken back; a dead letter back on its topic
Imports: infra, fastapi, starlette, pydantic, jwt, uvicorn, redis, hiredis, asyncmy, pymysql, kafka, orjson,
         prometheus_client, pyarrow, typer, rich
Never:   a figure that no two registers prove; an error that is a stack trace or a hang
"""
