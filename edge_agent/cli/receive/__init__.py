"""``receive``: the reference receiver as a command."""
