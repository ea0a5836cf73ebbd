"""``sensors …``: read once, found on the buses, listed by type."""
