"""Flink: a standalone cluster of two processes here, any cluster by METERBEAT_FLINK_REST."""
