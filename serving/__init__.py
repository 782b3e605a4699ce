"""The serving layer: one household in milliseconds, a country at a glance, as an API and two pages.

Reads:   Redis hashes live:{user_id} and region:{code}; MySQL nights, usage_days, households, regions
Writes:  nothing
Imports: infra, fastapi, starlette, pydantic, uvicorn, redis, pymysql, orjson, prometheus_client, typer, rich
Never:   a figure that no two registers prove; an error that is a stack trace or a hang
"""
