"""The batch layer: a night's archive in, the truth out, and the archive itself made small.

Reads:   S3 raw/, compacted/, master/, curated/
Writes:  S3 curated/usage_days/night={day}, compacted/, manifests in raw/;
         MySQL nights, usage_days, households, regions
Imports: infra, pyspark, py4j, pyarrow, pymysql, boto3, botocore, prometheus_client, typer, rich
Never:   live state or Kafka; the truth rests on the archive alone
"""
