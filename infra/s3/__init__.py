"""S3: one s3proxy process over a folder here, any object store by METERBEAT_S3_ENDPOINT."""
