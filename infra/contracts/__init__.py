"""What each pipe carries: shapes, units, key and table names. Shared shapes, never shared sums."""
