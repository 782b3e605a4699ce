"""The MySQL-protocol server: one MariaDB process here, any server by METERBEAT_MYSQL_HOST and _PORT."""
