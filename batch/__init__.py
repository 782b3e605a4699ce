"""The batch layer: a night's archive in, the truth out, validated, reconciled and priced; invoices.

Reads:   S3 raw/, compacted/, master/, live/, curated/
Writes:  S3 curated/usage_days/night={day}, compacted/, manifests in raw/;
         MySQL nights, usage_days, findings, reconciliations, their ledgers, usage_days_claims, households,
         regions, region_days, invoices
Imports: infra, pyspark, py4j, pyarrow, pandas, numpy, pymysql, boto3, botocore, prometheus_client, typer,
         rich
Never:   Redis or Kafka; what the stream held is only held against the truth, which rests on the archive alone
"""
