"""Redis: one Valkey process here, any server from 6.2 by METERBEAT_REDIS_URL."""
