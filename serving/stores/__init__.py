"""Where rows come from: one module a client library, and the statements they are asked with."""
