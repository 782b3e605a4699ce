"""HTTP to look-ups and back, one module a resource; no rule lives here."""
