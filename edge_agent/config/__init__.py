"""The configuration, declared once, and the loader that finds every mistake in it."""
