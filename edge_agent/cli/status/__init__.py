"""``status``: gathered, told in words, told as JSON, watched."""
