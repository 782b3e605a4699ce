"""Who asks, and what they may see. Knows no route, no store and no clock."""
