"""A user's hours as files: CSV, Parquet and Green Button. Pure: hours in, bytes out, a batch at a time."""
