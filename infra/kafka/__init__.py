"""The broker: one KRaft process here, any cluster by METERBEAT_KAFKA_BOOTSTRAP."""
