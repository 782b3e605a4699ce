"""The batch layer: a night's archive in, the truth out.

Reads:   S3 raw/, master/, curated/
Writes:  S3 curated/usage_days/night={day}; MySQL nights, usage_days, households, regions
Imports: infra, pyspark, py4j, pyarrow, pymysql, boto3, botocore, typer, rich
Never:   live state or Kafka; the truth rests on the archive alone
"""
