"""Where readings are born; imports the vocabulary only."""
